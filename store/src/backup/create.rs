//! From a checkpoint beside the store to a whole backup elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::files;
use super::{BackupError, FileEntry, MANIFEST_VERSION, Manifest, STORE_FOLDER};
use crate::error::StoreError;
use crate::folder::{self, Folder, LOCK_FILE, own_user};
use crate::identity::Committed;
use crate::peek::Peek;
use crate::store::Store;

/// Beside the store, so that a checkpoint is made of links and takes no time.
const STAGING_FOLDER: &str = "BACKUP";
const CHECKPOINT_FOLDER: &str = "checkpoint";

/// Where the checkpoint of one backup lies meanwhile. One at a time for each store.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    _lock: Folder,
}

impl Staging {
    /// Takes the place beside the store in `folder`.
    ///
    /// # Errors
    /// [`BackupError::Store`] while another backup is being made, or where the folder is
    /// another user's: what stays here of an attempt that was cut off must be its own user's.
    pub fn begin(folder: &Path) -> Result<Self, BackupError> {
        folder::refuse_foreign(folder).map_err(BackupError::Store)?;
        let path = folder.join(STAGING_FOLDER);
        let lock = Folder::lock(&path).map_err(BackupError::Store)?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays takes space until the next backup, which replaces it. Nothing else goes.
        let _ = fs::remove_dir_all(self.path.join(CHECKPOINT_FOLDER));
        let _ = fs::remove_file(self.path.join(LOCK_FILE));
        let _ = fs::remove_dir(&self.path);
    }
}

/// A backup in the folder `store` that it is of would go with it.
///
/// # Errors
/// [`BackupError::InsideStore`]. That something is not there is said by what needs it.
pub fn refuse_inside(store: &Path, target: &Path) -> Result<(), BackupError> {
    let parent = target.parent().filter(|path| *path != Path::new(""));
    let parent = parent.unwrap_or_else(|| Path::new("."));
    let (Ok(store), Ok(parent)) = (store.canonicalize(), parent.canonicalize()) else {
        return Ok(());
    };
    if parent.starts_with(&store) {
        return Err(BackupError::InsideStore(target.to_path_buf()));
    }
    Ok(())
}

/// Makes a checkpoint of `store`, whose folder is `folder`, where [`Draft::finish`] takes it
/// from. Of an earlier backup that was cut off nothing stays.
///
/// # Errors
/// From the engine or the file system.
pub fn take_checkpoint(store: &Store, folder: &Path) -> Result<Committed, StoreError> {
    let target = folder.join(STAGING_FOLDER).join(CHECKPOINT_FOLDER);
    files::remove(&target)
        .and_then(|()| files::make_folder(&folder.join(STAGING_FOLDER)))
        .map_err(|error| StoreError::Folder {
            operation: "make way for",
            path: target.clone(),
            message: error.to_string(),
        })?;
    store.checkpoint(&target)?;
    Ok(store.last_commit())
}

/// Removes what [`take_checkpoint`] has made and nobody will take. What cannot be removed stays
/// until the next one.
pub fn forget_checkpoint(folder: &Path) {
    let _ = files::remove(&folder.join(STAGING_FOLDER).join(CHECKPOINT_FOLDER));
}

/// What the command that makes a backup knows of its origin.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Name and version of the program.
    pub program: &'static str,
    /// RFC 3339 in UTC.
    pub created_at: String,
    /// What the store keeps free on its own disk.
    pub reserve_bytes: u64,
}

/// A backup that grows under another name. Dropped before its end, it goes.
#[derive(Debug)]
pub struct Draft {
    target: PathBuf,
    partial: PathBuf,
    _lock: Folder,
    is_finished: bool,
}

impl Draft {
    /// Begins the backup that will be `target`. What an attempt that was killed has left
    /// under the other name goes.
    ///
    /// # Errors
    /// [`BackupError::Exists`], [`BackupError::NoName`], [`BackupError::NotOwn`], [`BackupError::Io`], and
    /// [`BackupError::Store`] while another process makes the same one.
    pub fn begin(target: &Path) -> Result<Self, BackupError> {
        if target.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(target.to_path_buf()));
        }
        let Some(name) = target.file_name() else {
            return Err(BackupError::NoName(target.to_path_buf()));
        };
        let mut name = name.to_os_string();
        name.push(".partial");
        let partial = target.with_file_name(name);
        // Before anything is written there, and once more when nobody else can take the name.
        let was_there = refuse_foreign(&partial, true)?;
        let lock = Folder::lock(&partial).map_err(BackupError::Store)?;
        refuse_foreign(&partial, was_there)?;
        files::remove(&partial.join(STORE_FOLDER))?;
        for name in files::list(&partial)?
            .iter()
            .filter(|name| *name != LOCK_FILE)
        {
            let path = partial.join(name);
            fs::remove_file(&path).map_err(BackupError::io("remove", &path))?;
        }
        Ok(Self {
            target: target.to_path_buf(),
            partial,
            _lock: lock,
            is_finished: false,
        })
    }

    /// Copies the checkpoint that [`take_checkpoint`] made in `folder`, looks whether it holds
    /// `wanted`, and gives the backup its name. `owner` says whose the copy is, once every row
    /// of it was read.
    ///
    /// # Errors
    /// [`BackupError`]; nothing is left then.
    pub fn finish<O: Serialize + DeserializeOwned>(
        mut self,
        folder: &Path,
        wanted: Committed,
        origin: &Origin,
        owner: impl FnOnce(&Peek) -> Result<O, BackupError>,
    ) -> Result<Manifest<O>, BackupError> {
        let checkpoint = folder.join(STAGING_FOLDER).join(CHECKPOINT_FOLDER);
        let names = files::list(&checkpoint)?;
        self.check_room(&checkpoint, &names, origin.reserve_bytes)?;
        let mut entries = BTreeMap::new();
        for name in &names {
            let inside = format!("{STORE_FOLDER}/{name}");
            let to = self.partial.join(&inside);
            if let Some(parent) = to.parent() {
                files::make_folder(parent)?;
            }
            let summed = files::copy(&checkpoint.join(name), &to)?;
            let entry = FileEntry {
                bytes: summed.bytes,
                blake3: summed.hash.to_hex().to_string(),
            };
            entries.insert(inside, entry);
        }
        let manifest = self.describe(entries, wanted, origin, owner)?;
        manifest.write(&self.partial)?;
        self.take_its_name()?;
        Ok(manifest)
    }

    /// A backup that fills the store's own disk would stop whoever uses it.
    fn check_room(
        &self,
        checkpoint: &Path,
        names: &[String],
        reserve_bytes: u64,
    ) -> Result<(), BackupError> {
        let mut wanted = 0_u64;
        for path in names.iter().map(|name| checkpoint.join(name)) {
            let metadata = path.metadata().map_err(BackupError::io("read", &path))?;
            wanted = wanted.saturating_add(metadata.len());
        }
        if is_same_disk(checkpoint, &self.partial)? {
            wanted = wanted.saturating_add(reserve_bytes);
        }
        let free = fs4::available_space(&self.partial)
            .map_err(BackupError::io("measure the space at", &self.partial))?;
        if free < wanted {
            return Err(BackupError::NoRoom {
                path: self.partial.clone(),
                wanted,
                free,
            });
        }
        Ok(())
    }

    fn describe<O>(
        &self,
        files: BTreeMap<String, FileEntry>,
        wanted: Committed,
        origin: &Origin,
        owner: impl FnOnce(&Peek) -> Result<O, BackupError>,
    ) -> Result<Manifest<O>, BackupError> {
        // What the copy says, not what its origin said: it is opened before anybody relies on it.
        let peek = Peek::open(&self.partial.join(STORE_FOLDER)).map_err(BackupError::Store)?;
        // A checksum of what has rotted on the origin's disk would be right for ever.
        peek.read_all().map_err(BackupError::Store)?;
        let found = peek.found();
        if found.committed != wanted {
            return Err(BackupError::OtherCommit {
                copied: found.committed.seq,
                wanted: wanted.seq,
            });
        }
        let identity = found.identity.unwrap_or_default();
        Ok(Manifest {
            schema_version: MANIFEST_VERSION,
            program: origin.program.to_owned(),
            created_at: origin.created_at.clone(),
            owner: owner(&peek)?,
            log: identity.log.to_string(),
            log_epoch: identity.epoch,
            seq: wanted.seq,
            hash: blake3::Hash::from_bytes(wanted.hash).to_hex().to_string(),
            store_schema: found.schema.unwrap_or_default(),
            files,
        })
    }

    fn take_its_name(&mut self) -> Result<(), BackupError> {
        let store = self.partial.join(STORE_FOLDER);
        let lock = self.partial.join(LOCK_FILE);
        for folder in fs::read_dir(&store).map_err(BackupError::io("read", &store))? {
            let path = folder.map_err(BackupError::io("read", &store))?.path();
            if path.is_dir() {
                files::sync_folder(&path)?;
            }
        }
        files::sync_folder(&store)?;
        // Still held; only its name goes.
        fs::remove_file(&lock).map_err(BackupError::io("remove", &lock))?;
        files::sync_folder(&self.partial)?;
        // A folder that appeared meanwhile and holds something makes this fail.
        fs::rename(&self.partial, &self.target).map_err(BackupError::io("name", &self.target))?;
        self.is_finished = true;
        let parent = self
            .target
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        files::sync_folder(parent.unwrap_or_else(|| Path::new(".")))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_finished {
            // It has no manifest, or not its name: `verify` refuses what stays.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// A folder that is there must be one that only this user can have filled: whoever made a link, or
/// a folder that he may enter, would read the backup, or have another folder emptied.
/// Returns whether there is one. What this process has made need not be `closed`: some file systems
/// keep no modes.
#[cfg(unix)]
fn refuse_foreign(path: &Path, closed: bool) -> Result<bool, BackupError> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(BackupError::io("look at", path)(error)),
    };
    let is_closed = metadata.permissions().mode() & 0o077 == 0;
    let is_own = own_user().is_none_or(|own| own == metadata.uid());
    if metadata.is_dir() && is_own && (is_closed || !closed) {
        return Ok(true);
    }
    Err(BackupError::NotOwn(path.to_path_buf()))
}

#[cfg(not(unix))]
fn refuse_foreign(path: &Path, _closed: bool) -> Result<bool, BackupError> {
    Ok(path.exists())
}

#[cfg(unix)]
fn is_same_disk(one: &Path, other: &Path) -> Result<bool, BackupError> {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| {
        let metadata = path.metadata().map_err(BackupError::io("read", path))?;
        Ok(metadata.dev())
    };
    Ok(device(one)? == device(other)?)
}

#[cfg(not(unix))]
fn is_same_disk(_one: &Path, _other: &Path) -> Result<bool, BackupError> {
    Ok(true)
}
