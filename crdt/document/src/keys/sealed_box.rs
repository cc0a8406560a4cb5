//! HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! ChaCha20-Poly1305, one message a key: how anything is sealed to a public key.
//!
//! Base mode does not authenticate the sender; the signature of the envelope around
//! it does. Public keys and encapsulated keys of low order are refused (RFC 9180
//! §7.1.4): with them the shared secret would be zero for everyone.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Bytes of an encapsulated key.
pub const ENCAPSULATED_KEY_BYTES: usize = 32;
/// Bytes that sealing adds beside the encapsulated key.
pub const TAG_BYTES: usize = 16;

/// Why something could not be sealed to a key, or opened with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedBoxError {
    /// The recipient's key has a low order: nothing sealed to it is secret.
    #[error("the recipient's X25519 key is weak; ask for a new one")]
    WeakKey,
    /// The wrong recipient, another context, or changed bytes.
    #[error("cannot be opened with this key: sealed to another key, or changed on the way")]
    Open,
}

/// Seals `plaintext` to `recipient`: (encapsulated key, ciphertext ‖ tag).
///
/// # Errors
/// [`SealedBoxError::WeakKey`].
pub fn seal(
    recipient: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    mut rng: &mut dyn CryptoRng,
) -> Result<([u8; ENCAPSULATED_KEY_BYTES], Vec<u8>), SealedBoxError> {
    let weak = |_| SealedBoxError::WeakKey;
    let recipient = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(recipient).map_err(weak)?;
    let (encapsulated, ciphertext) = hpke::single_shot_seal_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(
        &OpModeS::Base, &recipient, info, plaintext, aad, &mut rng
    )
    .map_err(weak)?;
    let encapsulated = encapsulated.to_bytes().into();
    Ok((encapsulated, ciphertext))
}

/// Opens what [`seal`] made for the public key of `secret`.
///
/// # Errors
/// [`SealedBoxError::Open`].
pub fn open(
    secret: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    encapsulated: &[u8; ENCAPSULATED_KEY_BYTES],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealedBoxError> {
    let failed = |_| SealedBoxError::Open;
    let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(secret).map_err(failed)?;
    let encapsulated =
        <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).map_err(failed)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &encapsulated,
        info,
        ciphertext,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(failed)
}
