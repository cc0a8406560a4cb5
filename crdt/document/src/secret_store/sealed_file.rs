//! The bytes of a secret file: sealed by a passphrase, or (chosen explicitly) not.
//!
//! `magic 16 ‖ version u8 ‖ protection u8`, then
//! * protection 1: `memory_kib u32 ‖ passes u32 ‖ lanes u8 ‖ salt 16 ‖ commitment 32 ‖
//!   nonce 24 ‖ ciphertext ‖ tag`; everything before the ciphertext is authenticated;
//! * protection 2: `checksum 32 ‖ secret`.
//!
//! The commitment makes a file open under one passphrase only (XChaCha20-Poly1305
//! alone can be made to open under several). The Argon2id parameters come from the
//! file, which an attacker may have written, so they are bounded before use.

use argon2::{Algorithm, Argon2, Params, Version};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::context;
use crate::seal::{decrypt_raw, encrypt_raw};
use khlong_crdt::reader::{Reader, Truncated};

/// Bytes of a secret. Default 64 KiB: a master key, or a small bundle of keys.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a file, whole.
pub const FILE_BYTES_MAX: usize = SECRET_BYTES_MAX + 256;
/// Memory that a file may ask for. Default 1 GiB.
pub const MEMORY_KIB_MAX: u32 = 1024 * 1024;
/// Passes that a file may ask for.
pub const PASSES_MAX: u32 = 16;
/// Lanes that a file may ask for.
pub const LANES_MAX: u8 = 16;
/// Memory times passes that a file may ask for: some 10 s on a slow machine.
pub const WORK_KIB_MAX: u64 = 4 * 1024 * 1024;

const MAGIC: &[u8; 16] = b"khlong secret\0\0\0";
const SEALED_HEADER_BYTES: usize = 16 + 2 + 4 + 4 + 1 + 16 + 32 + 24;
const PLAIN_HEADER_BYTES: usize = 16 + 2 + 32;
const _: () = assert!(SEALED_HEADER_BYTES + 16 + SECRET_BYTES_MAX <= FILE_BYTES_MAX);
const _: () = assert!(PLAIN_HEADER_BYTES + SECRET_BYTES_MAX <= FILE_BYTES_MAX);

const FILE_VERSION: u8 = 1;
const PROTECTION_PASSPHRASE: u8 = 1;
const PROTECTION_NONE: u8 = 2;

/// What a guess at the passphrase costs. Stored in the file, so it can be raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassphraseCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u8,
}

impl Default for PassphraseCost {
    /// 64 MiB, 3 passes, 1 lane: RFC 9106 §4, second choice, in one lane because the
    /// lanes of this implementation run one after the other.
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 1,
        }
    }
}

/// Why the bytes of a file gave no secret, or a secret no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedFileError {
    /// Not one of our files, or cut short.
    #[error("it is not a whole secret file; restore it from a backup")]
    Layout,
    /// Longer than a secret may be.
    #[error("it is too long for a secret ({SECRET_BYTES_MAX} bytes at most)")]
    TooLong,
    /// Made by a newer program.
    #[error("it has version {0}; upgrade this program")]
    Version(u8),
    /// Sealed, and no passphrase was given.
    #[error("it is sealed by a passphrase; give the passphrase")]
    PassphraseNeeded,
    /// Not sealed, and a passphrase was given. Refused, so that nobody can replace a
    /// sealed file by one of their own without notice.
    #[error("it is not sealed by a passphrase, and one was expected; check who changed it")]
    NotSealed,
    /// Argon2id parameters out of bounds.
    #[error("its passphrase parameters are out of bounds; restore it from a backup")]
    Cost,
    /// The derivation itself failed; mostly not enough memory.
    #[error("the passphrase cannot be stretched: not enough memory")]
    Derivation,
    /// Wrong, or the file was changed.
    #[error("wrong passphrase")]
    Passphrase,
    /// Bit rot in a file that is not sealed, or in a sealed one after the passphrase fitted.
    #[error("it is damaged; restore it from a backup")]
    Damaged,
}

impl PassphraseCost {
    fn check(self) -> Result<Self, SealedFileError> {
        let work = u64::from(self.memory_kib) * u64::from(self.passes);
        let within = self.memory_kib <= MEMORY_KIB_MAX
            && (1..=PASSES_MAX).contains(&self.passes)
            && (1..=LANES_MAX).contains(&self.lanes)
            && self.memory_kib >= 8 * u32::from(self.lanes)
            && work <= WORK_KIB_MAX;
        if within {
            Ok(self)
        } else {
            Err(SealedFileError::Cost)
        }
    }

    fn encode(self) -> [u8; 9] {
        let [a, b, c, d] = self.memory_kib.to_be_bytes();
        let [e, f, g, h] = self.passes.to_be_bytes();
        [a, b, c, d, e, f, g, h, self.lanes]
    }

    fn stretch(
        self,
        passphrase: &[u8],
        salt: &[u8; 16],
    ) -> Result<Zeroizing<[u8; 32]>, SealedFileError> {
        let cost = self.check()?;
        let params = Params::new(
            cost.memory_kib,
            cost.passes,
            u32::from(cost.lanes),
            Some(32),
        )
        .map_err(|_| SealedFileError::Cost)?;
        let mut root = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, salt, root.as_mut_slice())
            .map_err(|_| SealedFileError::Derivation)?;
        Ok(root)
    }
}

/// Seals `secret` by `passphrase`.
///
/// # Errors
/// [`SealedFileError::TooLong`], [`SealedFileError::Cost`], [`SealedFileError::Derivation`].
pub fn seal_with_passphrase(
    secret: &[u8],
    passphrase: &[u8],
    cost: PassphraseCost,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, SealedFileError> {
    if secret.len() > SECRET_BYTES_MAX {
        return Err(SealedFileError::TooLong);
    }
    let (mut salt, mut nonce) = ([0; 16], [0; 24]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut nonce);
    let root = cost.stretch(passphrase, &salt)?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[FILE_VERSION, PROTECTION_PASSPHRASE]);
    bytes.extend_from_slice(&cost.encode());
    bytes.extend_from_slice(&salt);
    let commitment = context::derive(context::SECRET_FILE_COMMITMENT, &[root.as_slice(), &bytes]);
    bytes.extend_from_slice(&commitment);
    bytes.extend_from_slice(&nonce);
    let key = Zeroizing::new(context::derive(
        context::SECRET_FILE_KEY,
        &[root.as_slice()],
    ));
    let ciphertext = encrypt_raw(&key, &nonce, &bytes, secret);
    bytes.extend_from_slice(&ciphertext);
    Ok(bytes)
}

/// The bytes of a file that keeps `secret` unsealed.
///
/// # Errors
/// [`SealedFileError::TooLong`].
pub fn encode_plain(secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealedFileError> {
    if secret.len() > SECRET_BYTES_MAX {
        return Err(SealedFileError::TooLong);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(PLAIN_HEADER_BYTES + secret.len()));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[FILE_VERSION, PROTECTION_NONE]);
    bytes.extend_from_slice(&context::derive(context::SECRET_FILE_CHECKSUM, &[secret]));
    bytes.extend_from_slice(secret);
    Ok(bytes)
}

/// The secret of a file. `passphrase` says which protection is expected.
///
/// # Errors
/// [`SealedFileError`].
pub fn open(
    bytes: &[u8],
    passphrase: Option<&[u8]>,
) -> Result<Zeroizing<Vec<u8>>, SealedFileError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(SealedFileError::TooLong);
    }
    let cut = |_: Truncated| SealedFileError::Layout;
    let mut reader = Reader::new(bytes);
    if reader.array().map_err(cut)? != *MAGIC {
        return Err(SealedFileError::Layout);
    }
    let version = reader.u8().map_err(cut)?;
    if version != FILE_VERSION {
        return Err(SealedFileError::Version(version));
    }
    match (reader.u8().map_err(cut)?, passphrase) {
        (PROTECTION_PASSPHRASE, Some(passphrase)) => open_sealed(bytes, reader, passphrase),
        (PROTECTION_PASSPHRASE, None) => Err(SealedFileError::PassphraseNeeded),
        (PROTECTION_NONE, None) => open_plain(reader),
        (PROTECTION_NONE, Some(_)) => Err(SealedFileError::NotSealed),
        (_, Some(_) | None) => Err(SealedFileError::Layout),
    }
}

fn open_sealed(
    bytes: &[u8],
    mut reader: Reader<'_>,
    passphrase: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealedFileError> {
    let cut = |_: Truncated| SealedFileError::Layout;
    let cost = PassphraseCost {
        memory_kib: reader.u32().map_err(cut)?,
        passes: reader.u32().map_err(cut)?,
        lanes: reader.u8().map_err(cut)?,
    };
    let salt: [u8; 16] = reader.array().map_err(cut)?;
    let commitment: [u8; 32] = reader.array().map_err(cut)?;
    let nonce: [u8; 24] = reader.array().map_err(cut)?;
    let (header, ciphertext) = bytes
        .split_at_checked(SEALED_HEADER_BYTES)
        .ok_or(SealedFileError::Layout)?;
    let committed = header
        .get(..SEALED_HEADER_BYTES - commitment.len() - nonce.len())
        .ok_or(SealedFileError::Layout)?;
    let root = cost.stretch(passphrase, &salt)?;
    let expected = context::derive(
        context::SECRET_FILE_COMMITMENT,
        &[root.as_slice(), committed],
    );
    // `blake3::Hash` compares in constant time.
    if blake3::Hash::from_bytes(expected) != blake3::Hash::from_bytes(commitment) {
        return Err(SealedFileError::Passphrase);
    }
    let key = Zeroizing::new(context::derive(
        context::SECRET_FILE_KEY,
        &[root.as_slice()],
    ));
    decrypt_raw(&key, &nonce, header, ciphertext).map_err(|_| SealedFileError::Damaged)
}

fn open_plain(mut reader: Reader<'_>) -> Result<Zeroizing<Vec<u8>>, SealedFileError> {
    let checksum: [u8; 32] = reader.array().map_err(|_| SealedFileError::Layout)?;
    let secret = reader.rest();
    if context::derive(context::SECRET_FILE_CHECKSUM, &[secret]) != checksum {
        return Err(SealedFileError::Damaged);
    }
    Ok(Zeroizing::new(secret.to_vec()))
}
