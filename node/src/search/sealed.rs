//! The files of the index, each sealed by a key that follows from the node's master key.
//!
//! The words of an index are the messages again, and the rest of a node's folder holds no
//! plaintext. So a folder whose key file a passphrase seals gives away neither.
//!
//! Why not the memory map that tantivy comes with? It needs the plaintext on the disk. A file is
//! opened whole, and checked: what was damaged or exchanged is refused before anything is read from it.
//!
//! Nothing is synced: what a power cut damages does not open, and is built anew. All files together have
//! a limit. They lie in memory while they are open, and one that is being written lies there twice.

use std::fmt;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::peer::IndexKey;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, OwnedBytes, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
};

const MAGIC: [u8; 8] = *b"khlsrch\x01";
const NONCE_BYTES: usize = 24;
/// What the name of a file that is being written ends with.
const HALF_WRITTEN: &str = "new";

/// A folder of sealed files: `magic and version 8 ‖ nonce 24 ‖ XChaCha20-Poly1305`, bound to the file's name.
#[derive(Clone)]
pub(super) struct SealedFolder {
    folder: PathBuf,
    cipher: Arc<XChaCha20Poly1305>,
    /// Bytes that its files may have together.
    bytes_max: u64,
    /// The disk had no room: said here, as tantivy hides the reason.
    full: Arc<AtomicBool>,
    /// The files would have had more than they may.
    over: Arc<AtomicBool>,
}

impl fmt::Debug for SealedFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedFolder({})", self.folder.display())
    }
}

impl SealedFolder {
    /// Makes the folder if it is not there, for its owner alone.
    pub(super) fn open(folder: &Path, key: &IndexKey, bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        // What a kill left half written.
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == HALF_WRITTEN)
            {
                fs::remove_file(path)?;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            cipher: Arc::new(XChaCha20Poly1305::new(key.bytes().into())),
            bytes_max,
            full: Arc::default(),
            over: Arc::default(),
        })
    }

    pub(super) const fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    pub(super) fn was_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// What its files have together.
    fn bytes(&self) -> io::Result<u64> {
        let mut bytes = 0_u64;
        for entry in fs::read_dir(&self.folder)? {
            // One that goes meanwhile takes nothing.
            let length = entry?.metadata().map_or(0, |metadata| metadata.len());
            bytes = bytes.saturating_add(length);
        }
        Ok(bytes)
    }

    pub(super) fn was_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn read(&self, name: &Path) -> Result<Vec<u8>, OpenReadError> {
        let failed = |source| OpenReadError::wrap_io_error(source, name.to_owned());
        let bytes = match fs::read(self.folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenReadError::FileDoesNotExist(name.to_owned()));
            }
            read => read.map_err(failed)?,
        };
        let refused = || {
            failed(io::Error::new(
                io::ErrorKind::InvalidData,
                "it does not open",
            ))
        };
        let sealed = bytes.strip_prefix(&MAGIC).ok_or_else(refused)?;
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(refused)?;
        let payload = Payload {
            msg: sealed,
            aad: name.as_os_str().as_encoded_bytes(),
        };
        let opened = self.cipher.decrypt(&XNonce::from(*nonce), payload);
        opened.map_err(|_| refused())
    }

    fn write(&self, name: &Path, plain: &[u8]) -> io::Result<()> {
        if !is_bookkeeping(name)
            && self.bytes()?.saturating_add(plain.len() as u64) > self.bytes_max
        {
            self.over.store(true, Ordering::Relaxed);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.try_write(name, plain);
        if let Err(error) = &written
            && matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        {
            self.full.store(true, Ordering::Relaxed);
        }
        written
    }

    /// Under another name first: whoever reads meets the old file or the new one.
    fn try_write(&self, name: &Path, plain: &[u8]) -> io::Result<()> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let payload = Payload {
            msg: plain,
            aad: name.as_os_str().as_encoded_bytes(),
        };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| io::Error::other("too long to be sealed"))?;
        let target = self.folder.join(name);
        let mut fresh = target.clone().into_os_string();
        fresh.push(".");
        fresh.push(HALF_WRITTEN);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        let mut parts = [&MAGIC[..], &nonce, &sealed].into_iter();
        let written = parts.try_for_each(|part| file.write_all(part));
        if written.is_err() {
            // It would take the room that is missing.
            let _ = fs::remove_file(&fresh);
        }
        written.and_then(|()| fs::rename(&fresh, &target))
    }
}

/// Which segments there are and what of them is gone: small, and without it nothing could be
/// deleted at the limit.
fn is_bookkeeping(name: &Path) -> bool {
    let is_deletion = name.extension().is_some_and(|extension| extension == "del");
    let is_list = name
        .extension()
        .is_some_and(|extension| extension == "json");
    is_deletion || is_list
}

impl Directory for SealedFolder {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(OwnedBytes::new(self.read(path)?)))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        fs::remove_file(self.folder.join(path)).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return DeleteError::FileDoesNotExist(path.to_owned());
            }
            DeleteError::IoError {
                io_error: Arc::new(error),
                filepath: path.to_owned(),
            }
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.folder.join(path).exists())
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        if self.folder.join(path).exists() {
            return Err(OpenWriteError::FileAlreadyExists(path.to_owned()));
        }
        Ok(BufWriter::new(Box::new(SealedFile {
            folder: self.clone(),
            name: path.to_owned(),
            plain: Vec::new(),
        })))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whoever opens the index holds the lock of the node's folder.
    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    /// Nobody else writes; the reader is told by hand.
    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

/// Kept in memory until it is whole, as it is sealed whole.
struct SealedFile {
    folder: SealedFolder,
    name: PathBuf,
    plain: Vec<u8>,
}

impl Write for SealedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.plain.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for SealedFile {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.folder.write(&self.name, &self.plain)
    }
}
