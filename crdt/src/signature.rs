//! The one way to check an Ed25519 signature.
//!
//! Strict everywhere (RFC 8032 with the cofactorless equation, canonical `S`, no
//! small-order `R`), so that all replicas accept the same signatures; and no key of
//! small order or with two spellings, under which anybody could sign.
//!
//! With the feature `aws-lc` signatures are made and checked by AWS-LC's assembly, in half
//! and in about 70 % of the time. What is accepted is the same, bit for bit: its
//! equation is the cofactorless one too, what it does not look at is looked at here,
//! and what it refuses is asked again of the portable code, which has the last word.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

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
    #[cfg(feature = "aws-lc")]
    if native::verify(key, message, signature) {
        return Ok(());
    }
    verify_portable(key, message, signature)
}

/// [`verify`] without the feature `aws-lc`: the measure of the other, and what a browser runs.
///
/// # Errors
/// [`SignatureError`].
pub fn verify_portable(
    key: &[u8; 32],
    message: &[u8],
    signature: &[u8; 64],
) -> Result<(), SignatureError> {
    parse(key)?
        .verify_strict(message, &Signature::from_bytes(signature))
        .map_err(|_| SignatureError::Mismatch)
}

/// Signs `message` (RFC 8032 §5.1.6). The bytes follow from key and message alone, so they are
/// the same with every library.
#[must_use]
pub fn sign(key: &SigningKey, message: &[u8]) -> [u8; 64] {
    #[cfg(feature = "aws-lc")]
    if let Some(signature) = native::sign(key.as_bytes(), message) {
        return signature;
    }
    key.sign(message).to_bytes()
}

#[cfg(feature = "aws-lc")]
mod native {
    use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};

    use super::{is_canonical, is_small_order};

    /// Whether the signature is certainly good. A refusal says nothing about which part is bad.
    pub(super) fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let Some(commitment) = signature.first_chunk() else {
            return false;
        };
        // AWS-LC compares R with the canonical bytes of what it computes, and S with the order of
        // the group. It takes keys and an R of small order, and second spellings on some processors.
        is_canonical(key)
            && !is_small_order(key)
            && !is_small_order(commitment)
            && UnparsedPublicKey::new(&ED25519, key)
                .verify(message, signature)
                .is_ok()
    }

    pub(super) fn sign(seed: &[u8; 32], message: &[u8]) -> Option<[u8; 64]> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        pair.sign(message).as_ref().try_into().ok()
    }
}

/// Whether the bytes spell one of the eight points whose order divides the cofactor. They have
/// five y (0, 1, −1, and two of order eight); the sign of x is the top bit.
#[cfg(feature = "aws-lc")]
fn is_small_order(bytes: &[u8; 32]) -> bool {
    const Y: [[u8; 32]; 5] = [
        [0; 32],
        {
            let mut one = [0; 32];
            one[0] = 1;
            one
        },
        {
            let mut minus_one = [0xff; 32];
            minus_one[0] = 0xec;
            minus_one[31] = 0x7f;
            minus_one
        },
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut y = *bytes;
    y[31] &= 0x7f;
    Y.contains(&y)
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
