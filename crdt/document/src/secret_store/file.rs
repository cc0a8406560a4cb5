//! A secret in a file that only its owner can read, replaced as a whole.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::sealed_file::{self, FILE_BYTES_MAX, PassphraseCost};
use super::{SecretStore, SecretStoreError};

/// A secret file: sealed by a passphrase, or plain when chosen explicitly.
///
/// The file has mode 0600, and one that others may read is refused. A save writes a
/// new file beside it, syncs it, renames it over the old one and syncs the folder:
/// a crash leaves the old secret or the new one. The caller holds the folder's lock.
pub struct FileStore {
    path: PathBuf,
    protection: Protection,
}

enum Protection {
    Passphrase {
        passphrase: Zeroizing<Vec<u8>>,
        cost: PassphraseCost,
    },
    Plain,
}

impl FileStore {
    /// Sealed by `passphrase`; `cost` counts for the next save.
    #[must_use]
    pub fn sealed(path: impl Into<PathBuf>, passphrase: &[u8], cost: PassphraseCost) -> Self {
        let passphrase = Zeroizing::new(passphrase.to_vec());
        Self {
            path: path.into(),
            protection: Protection::Passphrase { passphrase, cost },
        }
    }

    /// Not sealed: whoever can read the disk has the secret.
    #[must_use]
    pub fn plain(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            protection: Protection::Plain,
        }
    }

    fn io(&self, action: &'static str) -> impl FnOnce(io::Error) -> SecretStoreError {
        let path = self.path.clone();
        move |source| SecretStoreError::Io {
            action,
            path,
            source,
        }
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SecretStoreError> {
        // Looked at before it is opened: to open a pipe waits for whoever writes to it.
        match fs::metadata(&self.path) {
            Ok(metadata) => self.check(&metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io("examine")(error)),
        }
        let file = File::open(&self.path).map_err(self.io("open"))?;
        // And again the open file, not its name: what is checked is what is read.
        self.check(&file.metadata().map_err(self.io("examine"))?)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX));
        file.take(FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(self.io("read"))?;
        Ok(Some(bytes))
    }

    fn check(&self, metadata: &Metadata) -> Result<(), SecretStoreError> {
        if !metadata.is_file() {
            return Err(SecretStoreError::NotAFile {
                path: self.path.clone(),
            });
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(SecretStoreError::Permissions {
                    path: self.path.clone(),
                    mode,
                });
            }
        }
        Ok(())
    }

    fn replace(&self, bytes: &[u8]) -> Result<(), SecretStoreError> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside = self.path.with_file_name(name);
        // Left by a save that was interrupted.
        match fs::remove_file(&beside) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(self.io("clear the way for")(error)),
        }
        write_new(&beside, bytes).map_err(self.io("write"))?;
        fs::rename(&beside, &self.path).map_err(self.io("replace"))?;
        sync_folder(&self.path).map_err(self.io("sync the folder of"))
    }
}

impl SecretStore for FileStore {
    fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SecretStoreError> {
        let Some(bytes) = self.read()? else {
            return Ok(None);
        };
        let passphrase = match &self.protection {
            Protection::Passphrase { passphrase, .. } => Some(passphrase.as_slice()),
            Protection::Plain => None,
        };
        sealed_file::open(&bytes, passphrase)
            .map(Some)
            .map_err(|source| SecretStoreError::Content {
                path: self.path.clone(),
                source,
            })
    }

    fn save(&self, secret: &[u8], rng: &mut dyn CryptoRng) -> Result<(), SecretStoreError> {
        let bytes = match &self.protection {
            Protection::Passphrase { passphrase, cost } => {
                sealed_file::seal_with_passphrase(secret, passphrase, *cost, rng)
                    .map(Zeroizing::new)
            }
            Protection::Plain => sealed_file::encode_plain(secret),
        }
        .map_err(|source| SecretStoreError::Content {
            path: self.path.clone(),
            source,
        })?;
        self.replace(&bytes)
    }
}

impl std::fmt::Debug for FileStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    // Elsewhere a folder cannot be opened; there the rename itself is journaled.
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
