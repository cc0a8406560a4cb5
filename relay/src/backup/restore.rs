//! A relay's store made from a backup, in a new epoch of its log.
//!
//! Commits that were acknowledged after the backup are not in it. The new epoch tells every
//! client so: its cursors no longer match, it reads anew, and offers again what it wrote.

use std::fs;
use std::path::{Path, PathBuf};

use khlong_crdt::id::{LogId, RelayKey};
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::folder::{DATABASE_FOLDER, Folder, LOCK_FILE};
use khlong_store::identity::{LogIdentity, Role};
use khlong_store::store::{OpenOptions, Store};

use super::files;
use super::{BackupError, Damage, Manifest, STORE_FOLDER, verify};

/// Inside the target, until the store in it is whole.
const RESTORING_FOLDER: &str = "RESTORING";

/// What to restore, and where.
#[derive(Clone, Debug)]
pub struct Restore<'r> {
    /// The folder of the backup.
    pub backup: &'r Path,
    /// The folder of the store.
    pub folder: &'r Path,
    /// The key that the relay will have.
    pub relay: RelayKey,
    /// Whether that may be another one than it had.
    pub other_key: bool,
    /// Sizes of the store.
    pub sizes: RocksOptions,
    /// Seconds since 1970. The new epoch is this, if that lies above the epoch of the
    /// backup: losses that were accepted after the backup, and another restore of it,
    /// have begun epochs too, and no two may have one number.
    pub epoch: u32,
}

/// Verifies the backup, then makes the store.
///
/// # Errors
/// [`BackupError`]; the target holds no relay then.
pub fn restore(what: &Restore<'_>) -> Result<(Manifest, LogIdentity), BackupError> {
    refuse_what_is_not_empty(what.folder)?;
    let manifest = verify(what.backup)?;
    if let Some(backed_up) = manifest.relay_key()
        && backed_up != what.relay
        && !what.other_key
    {
        return Err(BackupError::OtherKey {
            backed_up,
            configured: what.relay,
        });
    }
    // The epochs that may have begun since then lie below the time, if the clock is right.
    let backed_up_at: Option<jiff::Timestamp> = manifest.created_at.parse().ok();
    if backed_up_at.is_some_and(|at| at.as_second() > i64::from(what.epoch)) {
        return Err(BackupError::ClockBehind {
            created_at: manifest.created_at,
        });
    }
    let _lock = Folder::lock(what.folder).map_err(BackupError::Store)?;
    // Again, now that nobody else can begin.
    refuse_what_is_not_empty(what.folder)?;
    let restoring = Restoring(what.folder.join(RESTORING_FOLDER));
    files::remove(&restoring.0)?;
    copy(&manifest, what.backup, &restoring.0)?;
    let open = OpenOptions {
        role: Role::Relay,
        // It has one: `verify` has looked.
        fresh_log_id: LogId::from_bytes([0; 16]),
        accept_loss: false,
        sizes: what.sizes,
    };
    let mut store = Store::open(&restoring.0, &open).map_err(BackupError::Store)?;
    let identity = store.begin_epoch(what.epoch).map_err(BackupError::Store)?;
    drop(store);
    let (made, database) = (
        restoring.0.join(DATABASE_FOLDER),
        what.folder.join(DATABASE_FOLDER),
    );
    files::sync_folder(&made)?;
    // One name makes it a relay's folder. The side file is written anew when it is opened.
    fs::rename(&made, &database).map_err(BackupError::io("name", &database))?;
    files::sync_folder(what.folder)?;
    Ok((manifest, identity))
}

/// The copy, which goes with this value: whole, what matters was renamed out of it.
struct Restoring(PathBuf);

impl Drop for Restoring {
    fn drop(&mut self) {
        // What stays is no relay, and the next restore removes it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn refuse_what_is_not_empty(folder: &Path) -> Result<(), BackupError> {
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

fn copy(manifest: &Manifest, backup: &Path, target: &Path) -> Result<(), BackupError> {
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
