//! Whether a backup is what was backed up. Nothing in it changes.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::files;
use super::{
    BackupError, Damage, FileEntry, MANIFEST_FILE, MANIFEST_SUM_FILE, Manifest, STORE_FOLDER,
};
use crate::error::StoreError;
use crate::identity::Role;
use crate::migrate::SCHEMA;
use crate::peek::Peek;
use crate::side_file::SideState;

/// Reads every file, compares the checksums, opens the store for reading, and compares its
/// last commit. `deeper` is what only its owner can check; it says what is wrong.
///
/// # Errors
/// [`BackupError::Incomplete`], [`BackupError::Damaged`] with everything that was found,
/// [`BackupError::TooNew`], or [`BackupError::Io`].
pub fn verify<O: Serialize + DeserializeOwned>(
    backup: &Path,
    role: Role,
    deeper: impl FnOnce(&Peek, &Manifest<O>) -> Option<String>,
) -> Result<Manifest<O>, BackupError> {
    let manifest = Manifest::read(backup)?;
    let mut damages = Vec::new();
    for (path, entry) in &manifest.files {
        damages.extend(differs(backup, path, entry)?);
    }
    let own = [MANIFEST_FILE, MANIFEST_SUM_FILE].map(str::to_owned);
    let listed: BTreeSet<&String> = manifest.files.keys().chain(&own).collect();
    for path in files::list(backup)? {
        if !listed.contains(&path) {
            damages.push(Damage::new(path, "it is not in the list"));
        }
    }
    if damages.is_empty() {
        // Only what is byte for byte right is given to the engine.
        damages.extend(opens(&backup.join(STORE_FOLDER), role, &manifest, deeper)?);
    }
    if damages.is_empty() {
        return Ok(manifest);
    }
    Err(BackupError::Damaged {
        folder: backup.to_path_buf(),
        damages,
    })
}

fn differs(backup: &Path, path: &str, entry: &FileEntry) -> Result<Option<Damage>, BackupError> {
    let file = backup.join(path);
    let metadata = match file.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Some(Damage::new(path, "it is missing")));
        }
        Err(error) => return Err(BackupError::io("read", &file)(error)),
    };
    if !metadata.is_file() {
        return Ok(Some(Damage::new(path, "it is no file")));
    }
    if metadata.len() != entry.bytes {
        let reason = format!("it has {} bytes instead of {}", metadata.len(), entry.bytes);
        return Ok(Some(Damage::new(path, reason)));
    }
    let hash = match files::sum(&file) {
        Ok(summed) => summed.hash.to_hex().to_string(),
        // A sector that cannot be read is damage too, and the rest is worth knowing.
        Err(error) => return Ok(Some(Damage::new(path, error.to_string()))),
    };
    let reason = "its checksum is another one";
    Ok((hash != entry.blake3).then(|| Damage::new(path, reason)))
}

fn opens<O: Serialize + DeserializeOwned>(
    store: &Path,
    role: Role,
    manifest: &Manifest<O>,
    deeper: impl FnOnce(&Peek, &Manifest<O>) -> Option<String>,
) -> Result<Option<Damage>, BackupError> {
    let damaged = |reason: String| Ok(Some(Damage::new(STORE_FOLDER, reason)));
    let peek = match Peek::open(store) {
        Ok(peek) => peek,
        Err(error) if error.exit_code() == 8 => return Err(BackupError::Store(error)),
        Err(error) => return damaged(error.to_string()),
    };
    let found = peek.found();
    if let Some(schema) = found.schema.filter(|schema| *schema > SCHEMA) {
        return Err(BackupError::Store(StoreError::SchemaTooNew {
            found: schema,
            supported: SCHEMA,
        }));
    }
    if found.role.as_deref() != Some(role.name()) {
        return damaged(format!("it is no {}'s", role.name()));
    }
    let Some(committed) = manifest.committed() else {
        return damaged(format!("{MANIFEST_FILE} names no commit"));
    };
    if found.committed != committed {
        return damaged(format!(
            "it holds commit {}, not the commit {} that was backed up",
            found.committed.seq, committed.seq
        ));
    }
    if found.identity != manifest.identity() {
        return damaged("it holds another log than was backed up".to_owned());
    }
    if found.side != SideState::Acknowledged(committed) {
        return damaged("its side file names another commit".to_owned());
    }
    if let Err(error) = peek.read_all() {
        return damaged(error.to_string());
    }
    match deeper(&peek, manifest) {
        Some(reason) => damaged(reason),
        None => Ok(None),
    }
}
