//! The folder of a store and the lock on it.
//!
//! ```text
//! <folder>/LOCK-KHLONG   held while open; holds the number of the process
//! <folder>/COMMITTED     the side file
//! <folder>/db/           RocksDB
//! ```
//!
//! RocksDB locks `db/` too, but answers with an I/O error; ours names the process
//! and covers the side file. It is an advisory lock of the operating system, so
//! a killed process leaves none behind.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::StoreError;

/// Name of the lock file.
pub const LOCK_FILE: &str = "LOCK-KHLONG";
/// Name of RocksDB's folder.
pub const DATABASE_FOLDER: &str = "db";

/// The user who reads what others leave.
pub(crate) const ROOT: u32 = 0;

/// A locked folder; the lock goes when the last clone of this is dropped, or with the process.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    _lock: Arc<File>,
}

impl Folder {
    /// Makes the folder if it does not exist (readable by its owner only), and locks it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] with the number of the process that has it.
    pub fn lock(path: &Path) -> Result<Self, StoreError> {
        create_private(path).map_err(|error| failed("create", path, &error))?;
        let lock_path = path.join(LOCK_FILE);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|error| failed("open", &lock_path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    path: path.to_path_buf(),
                    pid: read_pid(&mut lock),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", &lock_path, &error)),
        }
        // Whoever had it took the folder away, the file with it: the next one locks another file.
        if !is_at(&lock, &lock_path) {
            return Err(StoreError::Locked {
                path: path.to_path_buf(),
                pid: read_pid(&mut lock),
            });
        }
        let pid = format!("{}\n", std::process::id());
        lock.set_len(0)
            .and_then(|()| lock.write_all(pid.as_bytes()))
            .map_err(|error| {
                // On a full disk: an empty one would be in the way of whoever wants an empty folder.
                let _ = std::fs::remove_file(&lock_path);
                failed("write", &lock_path, &error)
            })?;
        Ok(Self {
            path: path.to_path_buf(),
            _lock: Arc::new(lock),
        })
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where RocksDB lives.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FOLDER)
    }
}

/// Whether there is a database in the folder `path`. One that may not be looked into is not one without.
///
/// # Errors
/// [`StoreError::Folder`] where that cannot be told.
pub fn has_database(path: &Path) -> Result<bool, StoreError> {
    let database = path.join(DATABASE_FOLDER);
    match std::fs::metadata(&database) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) => {
            let nothing = [ErrorKind::NotFound, ErrorKind::NotADirectory];
            let is_nothing = nothing.contains(&error.kind());
            is_nothing
                .then_some(false)
                .ok_or_else(|| failed("look into", &database, &error))
        }
    }
}

/// The process that has the folder `path` locked: its number, or 0 if it did not write it.
/// The lock is only tried, and nothing is made or written.
///
/// # Errors
/// [`StoreError::Folder`] if the lock file cannot be read.
pub fn holder(path: &Path) -> Result<Option<u32>, StoreError> {
    let lock_path = path.join(LOCK_FILE);
    let mut lock = match File::open(&lock_path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", &lock_path, &error)),
    };
    // Shared: two who look do not see each other.
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read_pid(&mut lock))),
        Err(TryLockError::Error(error)) => Err(failed("lock", &lock_path, &error)),
    }
}

/// Refuses a folder of somebody else, before anything is written into it: what one user writes
/// there, root too, the other may be unable to open afterwards. A folder of root's is taken by
/// whoever may write in it (a volume that is lent to a group), and one that is not there is
/// nobody's.
///
/// # Errors
/// [`StoreError::Foreign`] says as whom to do it.
pub fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    let (Some(own), Some(owner)) = (own_user(), owner_of(path)) else {
        return Ok(());
    };
    if owner == own || owner == ROOT {
        return Ok(());
    }
    Err(StoreError::Foreign {
        path: path.to_path_buf(),
        owner,
        own,
    })
}

/// The same for a folder that may have to be made: then the nearest one above it that is there
/// counts, in which it will lie.
///
/// # Errors
/// As [`refuse_foreign`].
pub fn refuse_foreign_place(path: &Path) -> Result<(), StoreError> {
    for place in path.ancestors() {
        let is_here = place.as_os_str().is_empty();
        let place = if is_here { Path::new(".") } else { place };
        if place.exists() {
            return refuse_foreign(place);
        }
    }
    Ok(())
}

#[cfg(unix)]
fn owner_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().ok().map(|metadata| metadata.uid())
}

#[cfg(not(unix))]
fn owner_of(_path: &Path) -> Option<u32> {
    None
}

/// The number of the user that this process runs as: the system's own word. `None` where it has none.
#[must_use]
pub fn own_user() -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let own = Path::new("/proc/self").metadata().ok()?;
        Some(own.uid())
    }
    #[cfg(not(unix))]
    None
}

#[cfg(unix)]
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).create(path)
}

/// Whether `path` names this very file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), path.metadata()) {
        (Ok(own), Ok(there)) => (own.dev(), own.ino()) == (there.dev(), there.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

fn read_pid(lock: &mut File) -> u32 {
    let mut text = String::new();
    let read = lock
        .seek(SeekFrom::Start(0))
        .and_then(|_| lock.read_to_string(&mut text));
    read.ok()
        .and_then(|_| text.trim().parse().ok())
        .unwrap_or_default()
}

fn failed(operation: &'static str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Folder {
        operation,
        path: path.to_path_buf(),
        message: error.to_string(),
    }
}
