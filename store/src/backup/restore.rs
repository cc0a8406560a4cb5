//! A store made from a backup, in a new epoch of its log.
//!
//! Commits that were acknowledged after the backup are not in it, and the new epoch says so:
//! what this means to those who heard of them is for the owner to tell them.

use std::fs;
use std::path::{Path, PathBuf};

use khlong_crdt::id::LogId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::files;
use super::{BackupError, Damage, Manifest, STORE_FOLDER};
use crate::engine::rocks::RocksOptions;
use crate::folder::{DATABASE_FOLDER, Folder, LOCK_FILE, refuse_foreign_place};
use crate::identity::{LogIdentity, Role};
use crate::store::{OpenOptions, Store};

/// Inside the target, until the store in it is whole.
const RESTORING_FOLDER: &str = "RESTORING";

/// A restore that has begun. Dropped before its end, nothing of it stays.
#[derive(Debug)]
pub struct Restoring {
    folder: PathBuf,
    path: PathBuf,
    _lock: Folder,
}

impl Restoring {
    /// Copies the store of a backup that was verified into the empty folder `folder`. `epoch`:
    /// see [`Self::open`].
    ///
    /// # Errors
    /// [`BackupError::NotEmpty`], [`BackupError::ClockBehind`], [`BackupError::Damaged`] if the
    /// backup changes meanwhile, or those of the disk.
    pub fn begin<O: Serialize + DeserializeOwned>(
        manifest: &Manifest<O>,
        backup: &Path,
        folder: &Path,
        epoch: u32,
    ) -> Result<Self, BackupError> {
        // The epochs that may have begun since then lie below the time, if the clock is right.
        let backed_up_at: Option<jiff::Timestamp> = manifest.created_at.parse().ok();
        if backed_up_at.is_some_and(|at| at.as_second() > i64::from(epoch)) {
            return Err(BackupError::ClockBehind {
                created_at: manifest.created_at.clone(),
            });
        }
        refuse_used(folder)?;
        let lock = Folder::lock(folder).map_err(BackupError::Store)?;
        // Nobody else can begin any more.
        refuse_used(folder)?;
        let restoring = Self {
            folder: folder.to_path_buf(),
            path: folder.join(RESTORING_FOLDER),
            _lock: lock,
        };
        files::remove(&restoring.path)?;
        copy(manifest, backup, &restoring.path)?;
        Ok(restoring)
    }

    /// Opens the copy and begins an epoch of its log: `epoch`, seconds since 1970, if that lies
    /// above the epoch of the backup. Losses that were accepted after the backup, and another
    /// restore of it, have begun epochs too, and no two may have one number.
    ///
    /// # Errors
    /// [`BackupError::Store`].
    pub fn open(
        &self,
        role: Role,
        sizes: RocksOptions,
        epoch: u32,
    ) -> Result<(Store, LogIdentity), BackupError> {
        let open = OpenOptions {
            role,
            // It has one: `verify` has looked.
            fresh_log_id: LogId::from_bytes([0; 16]),
            accept_loss: false,
            sizes,
        };
        let mut store = Store::open(&self.path, &open).map_err(BackupError::Store)?;
        let identity = store.begin_epoch(epoch).map_err(BackupError::Store)?;
        Ok((store, identity))
    }

    /// Gives the store its place; nothing may have it open.
    ///
    /// # Errors
    /// [`BackupError::Io`].
    pub fn finish(self) -> Result<(), BackupError> {
        let (made, database) = (
            self.path.join(DATABASE_FOLDER),
            self.folder.join(DATABASE_FOLDER),
        );
        files::sync_folder(&made)?;
        // One name makes it a store's folder. The side file is written anew when it is opened.
        fs::rename(&made, &database).map_err(BackupError::io("name", &database))?;
        files::sync_folder(&self.folder)
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        // What matters was renamed out of it. What stays is no store, and the next restore
        // removes it.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A restore never mixes with what is there, and makes nothing in another user's folder.
///
/// # Errors
/// [`BackupError::NotEmpty`], [`BackupError::Store`] for a folder of another user, or what the
/// disk says.
pub fn refuse_used(folder: &Path) -> Result<(), BackupError> {
    refuse_foreign_place(folder).map_err(BackupError::Store)?;
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BackupError::io("read", folder)(error)),
    };
    for entry in entries {
        let name = entry.map_err(BackupError::io("read", folder))?.file_name();
        // A restore that was cut off leaves these two.
        if name != RESTORING_FOLDER && name != LOCK_FILE {
            return Err(BackupError::NotEmpty(folder.to_path_buf()));
        }
    }
    Ok(())
}

fn copy<O>(manifest: &Manifest<O>, backup: &Path, target: &Path) -> Result<(), BackupError> {
    files::make_folder(target)?;
    for (path, entry) in &manifest.files {
        let Some(inside) = path.strip_prefix(STORE_FOLDER) else {
            continue;
        };
        let to = target.join(inside.trim_start_matches('/'));
        if let Some(parent) = to.parent() {
            files::make_folder(parent)?;
        }
        let summed = files::copy(&backup.join(path), &to)?;
        // It was right a moment ago; what counts is what was copied.
        if summed.hash.to_hex().to_string() != entry.blake3 {
            return Err(BackupError::Damaged {
                folder: backup.to_path_buf(),
                damages: vec![Damage::new(path, "it changed while it was copied")],
            });
        }
    }
    Ok(())
}
