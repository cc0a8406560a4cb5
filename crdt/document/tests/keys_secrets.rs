//! Secrets at rest and in logs.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use khlong_crdt::admission::{History, TimelineKind};
use khlong_document::keys::SecretError;
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::device::DeviceSecret;
use khlong_document::keys::epoch::{ControlKey, EpochKey};
use khlong_document::keys::inbox::InboxSecret;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::keys::principal::PrincipalSecret;
use khlong_document::keys::user::UserSecret;
use khlong_document::membership::joining::join;
use khlong_document::membership::manifest::ParentKey;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::secrets::{TimelineSecrets, TimelineSecretsError};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const SEED: [u8; 32] = [0xab; 32];

macro_rules! each_secret {
    ($check:ident) => {
        $check!(DeviceSecret, 1);
        $check!(AuthorSecret, 2);
        $check!(PrincipalSecret, 3);
        $check!(InboxSecret, 4);
        $check!(EpochKey, 5);
        $check!(ControlKey, 6);
        $check!(InviteSecret, 7);
        $check!(UserSecret, 8);
    };
}

#[test]
fn every_secret_is_stored_with_version_and_type() {
    macro_rules! check {
        ($name:ident, $tag:literal) => {{
            let secret = $name::from_seed(SEED);
            let bytes = secret.to_bytes();
            assert_eq!(bytes.as_slice(), [&[1, $tag][..], &SEED].concat());
            assert_eq!($name::from_bytes(&bytes).unwrap(), secret);
            assert_ne!($name::from_seed([1; 32]), secret);
            let newer = [&[2, $tag][..], &SEED].concat();
            assert!(matches!(
                $name::from_bytes(&newer),
                Err(SecretError::Version { version: 2, .. })
            ));
            let other = [&[1, $tag + 1][..], &SEED].concat();
            assert!(matches!(
                $name::from_bytes(&other),
                Err(SecretError::Tag { .. })
            ));
            for length in 0..bytes.len() {
                let cut = $name::from_bytes(bytes.get(..length).unwrap());
                assert!(matches!(cut, Err(SecretError::Length { .. })));
            }
            let longer = [bytes.as_slice(), &[0]].concat();
            assert!(matches!(
                $name::from_bytes(&longer),
                Err(SecretError::Length { .. })
            ));
        }};
    }
    each_secret!(check);
}

#[test]
fn no_secret_is_ever_printed() {
    fn assert_silent(text: &str) {
        for spelled in ["171", "ab, ab", "0xab", "abab"] {
            assert!(!text.to_lowercase().contains(spelled), "{text}");
        }
    }
    macro_rules! check {
        ($name:ident, $tag:literal) => {
            let secret = $name::from_seed(SEED);
            assert_eq!(format!("{secret:?}"), concat!(stringify!($name), "(…)"));
            assert_silent(&format!("{secret:#?}"));
        };
    }
    each_secret!(check);
    assert_silent(&format!(
        "{:?}",
        ParentKey::Epoch(EpochKey::from_seed(SEED))
    ));
    assert_silent(&format!(
        "{:?}",
        InviteSecret::from_seed(SEED).open_payload()
    ));

    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let opened = open_timeline(TimelineKind::Group, History::Full, &mut rng);
    let joined = join(opened.timeline, &InviteSecret::from_seed(SEED), &mut rng);
    for secrets in [&opened.secrets, &joined.secrets] {
        let text = format!("{secrets:?}");
        for seed in secrets.to_bytes().get(33..).unwrap().chunks(32) {
            let listed = format!("{seed:?}");
            assert!(!text.contains(listed.trim_matches(['[', ']'])));
        }
        assert_silent(&text);
    }
}

#[test]
fn the_secrets_of_a_timeline_survive_a_restart() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let opened = open_timeline(TimelineKind::Group, History::Full, &mut rng).secrets;
    let joined = join(opened.timeline, &InviteSecret::from_seed(SEED), &mut rng).secrets;
    for (secrets, length) in [(opened, 130), (joined, 162)] {
        let bytes = secrets.to_bytes();
        assert_eq!(bytes.len(), length);
        assert_eq!(TimelineSecrets::from_bytes(&bytes).unwrap(), secrets);
        for length in 0..bytes.len() {
            let cut = TimelineSecrets::from_bytes(bytes.get(..length).unwrap());
            assert_eq!(cut, Err(TimelineSecretsError::Layout));
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(
            TimelineSecrets::from_bytes(&longer),
            Err(TimelineSecretsError::Layout)
        );
        let mut newer = bytes.to_vec();
        *newer.first_mut().unwrap() = 2;
        assert_eq!(
            TimelineSecrets::from_bytes(&newer),
            Err(TimelineSecretsError::Version(2))
        );
        let mut odd = bytes.to_vec();
        *odd.get_mut(129).unwrap() = 2;
        assert_eq!(
            TimelineSecrets::from_bytes(&odd),
            Err(TimelineSecretsError::Layout)
        );
    }
}
