//! The one way to check an Ed25519 signature.
//!
//! Strict everywhere (RFC 8032 with the cofactorless equation, canonical `S`, no
//! small-order `R`), so that all replicas accept the same signatures; and no key of
//! small order or with two spellings, under which anybody could sign.

use ed25519_dalek::{Signature, VerifyingKey};

/// Why a signature was refused. Never retryable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not a canonical point of the curve, or of small order.
    #[error("the public key is weak or malformed; whoever made it must make a new one")]
    BadKey,
    /// The signature is not this key's signature over these bytes.
    #[error("the signature does not fit; the bytes were changed or signed by another key")]
    Mismatch,
}

/// Checks that `key` is a canonical curve point of large order.
///
/// # Errors
/// [`SignatureError::BadKey`].
pub fn check_key(key: &[u8; 32]) -> Result<(), SignatureError> {
    parse(key).map(drop)
}

/// Checks `signature` over `message`.
///
/// # Errors
/// [`SignatureError`].
pub fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
    parse(key)?
        .verify_strict(message, &Signature::from_bytes(signature))
        .map_err(|_| SignatureError::Mismatch)
}

fn parse(bytes: &[u8; 32]) -> Result<VerifyingKey, SignatureError> {
    if !is_canonical(bytes) {
        return Err(SignatureError::BadKey);
    }
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| SignatureError::BadKey)?;
    if key.is_weak() {
        return Err(SignatureError::BadKey);
    }
    Ok(key)
}

/// Whether `y` is below p = 2^255 − 19 (RFC 8032 §5.1.3 step 1). The crate
/// reduces instead, which gives some points a second spelling.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    *first < 0xed || *last & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}
