//! A node as one folder, to be carried away, and a node made from it.
//!
//! ```text
//! <backup>/MANIFEST.json   every other file with its size and BLAKE3 hash; written last
//! <backup>/store/…         a checkpoint of the database
//! <backup>/<key file>      as it is: sealed by the passphrase, if there is one
//! ```
//!
//! A restored node marks its folder, so that the peer begins a new author key:
//! what the old one wrote after the backup is not known here, and two envelopes
//! at one place of a chain would look like a copied device, which it is.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::folder::{KEY_FILE, STORE_FOLDER};

/// Name of the list of files.
pub const MANIFEST_FILE: &str = "MANIFEST.json";

/// Empty file in a restored node's folder. The peer that finds it begins new
/// author keys, makes that durable, and removes it.
pub const RESTORED_FILE: &str = "RESTORED";

/// Version of the list.
pub const MANIFEST_VERSION: u32 = 1;

/// Largest list that is read: some hundred thousand files.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Deepest folder in a backup; RocksDB has one level.
const DEPTH_MAX: usize = 4;

const CHUNK_BYTES: usize = 64 * 1024;

/// What a backup holds.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Manifest {
    version: u32,
    /// The program that wrote it.
    program: String,
    /// By path inside the backup, with `/` between folders.
    files: BTreeMap<String, FileEntry>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct FileEntry {
    bytes: u64,
    /// BLAKE3, hexadecimal.
    hash: String,
}

/// What stands in the way of a backup or a restore.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target exists.
    #[error("{} exists already; name a new folder", .0.display())]
    Exists(PathBuf),
    /// Not made by `khlong backup`, or not to its end.
    #[error("{} is not a complete backup: {reason}", .folder.display())]
    Incomplete {
        /// Which.
        folder: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// A newer version wrote it.
    #[error(
        "the backup has version {found}, this version knows {MANIFEST_VERSION}; install the newer version"
    )]
    TooNew {
        /// Its version.
        found: u32,
    },
    /// A file is not what was backed up.
    #[error("{} is damaged: {reason}; take another backup", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How it differs.
        reason: &'static str,
    },
    /// The disk said no.
    #[error("could not {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes the folder of a backup, private to its owner.
///
/// # Errors
/// [`BackupError::Exists`], [`BackupError::Io`].
pub fn begin(target: &Path) -> Result<(), BackupError> {
    if target.exists() {
        return Err(BackupError::Exists(target.to_owned()));
    }
    private_folder(target)
}

/// Where [`begin`] wants the checkpoint of the database.
#[must_use]
pub fn store_of(target: &Path) -> PathBuf {
    target.join(STORE_FOLDER)
}

/// Adds the key file of `home`, then the manifest over everything. Without the
/// manifest a folder is no backup, so a broken attempt is never restored.
/// `progress` is told how many files there are and how many are done.
///
/// # Errors
/// [`BackupError::Io`].
pub fn finish(
    home: &Path,
    target: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Manifest, BackupError> {
    copy(&home.join(KEY_FILE), &target.join(KEY_FILE))?;
    let mut names = Vec::new();
    list(target, Path::new(""), 0, &mut names)?;
    let mut files = BTreeMap::new();
    for (done, name) in (1_u64..).zip(&names) {
        files.insert(name.clone(), entry(&target.join(name))?);
        progress(names.len() as u64, done);
    }
    let program = concat!("khlong ", env!("CARGO_PKG_VERSION")).to_owned();
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        program,
        files,
    };
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| io_error("write", target, error.into()))?;
    let path = target.join(MANIFEST_FILE);
    let mut file = private_file(&path)?;
    file.write_all(&text)
        .and_then(|()| file.sync_all())
        .map_err(|source| io_error("write", &path, source))?;
    Ok(manifest)
}

/// Makes a node in the new folder `home` from a backup. Every file is checked
/// before the node counts as one: the key file comes last.
///
/// # Errors
/// [`BackupError`]; `home` is removed again then.
pub fn restore(
    backup: &Path,
    home: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Manifest, BackupError> {
    let manifest = read_manifest(backup)?;
    if home.exists()
        && fs::read_dir(home)
            .map_err(|source| io_error("read", home, source))?
            .next()
            .is_some()
    {
        return Err(BackupError::Exists(home.to_owned()));
    }
    let restored = restore_files(&manifest, backup, home, progress);
    if restored.is_err() {
        let _ = fs::remove_dir_all(home);
    }
    restored.map(|()| manifest)
}

fn restore_files(
    manifest: &Manifest,
    backup: &Path,
    home: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), BackupError> {
    private_folder(home)?;
    let marker = home.join(RESTORED_FILE);
    private_file(&marker)?
        .sync_all()
        .map_err(|source| io_error("write", &marker, source))?;
    let total = manifest.files.len() as u64;
    let key_last = manifest.files.iter().filter(|(name, _)| *name != KEY_FILE);
    let in_order = key_last.chain(manifest.files.get_key_value(KEY_FILE));
    for (done, (name, expected)) in (1_u64..).zip(in_order) {
        let (from, to) = (backup.join(name), home.join(name));
        if let Some(folder) = to.parent() {
            private_folder(folder)?;
        }
        copy(&from, &to)?;
        if entry(&to)? != *expected {
            return Err(BackupError::Damaged {
                path: from,
                reason: "its bytes are not those of the backup",
            });
        }
        progress(total, done);
    }
    Ok(())
}

fn read_manifest(backup: &Path) -> Result<Manifest, BackupError> {
    let path = backup.join(MANIFEST_FILE);
    let incomplete = |reason: String| BackupError::Incomplete {
        folder: backup.to_owned(),
        reason,
    };
    let file =
        File::open(&path).map_err(|error| incomplete(format!("{MANIFEST_FILE}: {error}")))?;
    let mut text = Vec::new();
    file.take(MANIFEST_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|source| io_error("read", &path, source))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| incomplete(error.to_string()))?;
    if manifest.version > MANIFEST_VERSION {
        return Err(BackupError::TooNew {
            found: manifest.version,
        });
    }
    if !manifest.files.contains_key(KEY_FILE) {
        return Err(incomplete("it has no key file".to_owned()));
    }
    // A manifest from elsewhere must not write outside the new folder.
    let inside = |name: &String| {
        let mut parts = Path::new(name).components();
        name.len() < 256 && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    match manifest.files.keys().find(|name| !inside(name)) {
        Some(name) => Err(incomplete(format!("`{name}` is no path inside it"))),
        None => Ok(manifest),
    }
}

fn list(
    root: &Path,
    inside: &Path,
    depth: usize,
    names: &mut Vec<String>,
) -> Result<(), BackupError> {
    let folder = root.join(inside);
    let failed = |source| io_error("read", &folder, source);
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = inside.join(entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() && depth < DEPTH_MAX {
            list(root, &path, depth + 1, names)?;
        } else {
            names.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

fn entry(path: &Path) -> Result<FileEntry, BackupError> {
    let failed = |source| io_error("read", path, source);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut chunk).map_err(failed)?;
        let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else {
            break;
        };
        hasher.update(part);
        bytes += read as u64;
    }
    Ok(FileEntry {
        bytes,
        hash: hasher.finalize().to_hex().to_string(),
    })
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut source = File::open(from).map_err(|source| io_error("read", from, source))?;
    let mut target = private_file(to)?;
    let copied = io::copy(&mut source, &mut target).and_then(|_| target.sync_all());
    copied.map_err(|source| io_error("write", to, source))
}

fn private_file(path: &Path) -> Result<File, BackupError> {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    opened.map_err(|source| io_error("make", path, source))
}

fn private_folder(path: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| io_error("make", path, source))
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> BackupError {
    BackupError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
