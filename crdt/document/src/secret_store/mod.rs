//! Where a node keeps the one secret that opens all its others.
//!
//! Behind a trait, because phones and desktops have a keyring of their own, and a
//! browser has neither files nor permissions. The file format is pure
//! ([`sealed_file`]); only [`FileStore`] touches a disk, and wasm builds leave it out.

#[cfg(not(target_family = "wasm"))]
mod file;
pub mod sealed_file;

#[cfg(not(target_family = "wasm"))]
pub use self::file::FileStore;

use std::io;
use std::path::PathBuf;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use self::sealed_file::SealedFileError;

/// Keeps one secret over restarts.
pub trait SecretStore {
    /// The secret; none before the first [`Self::save`].
    ///
    /// # Errors
    /// [`SecretStoreError`].
    fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SecretStoreError>;

    /// Replaces the secret. When it returns, the new one is on the disk; when it
    /// fails, the old one still is.
    ///
    /// # Errors
    /// [`SecretStoreError`].
    fn save(&self, secret: &[u8], rng: &mut dyn CryptoRng) -> Result<(), SecretStoreError>;
}

/// Why a secret could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum SecretStoreError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others could read the file.
    #[error("{} can be read by other users (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a regular file.
    #[error("{} is not a regular file; name another", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// The content.
    #[error("{} cannot be opened", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: SealedFileError,
    },
}
