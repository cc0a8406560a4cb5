//! The list that makes a folder a backup.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path};

use khlong_crdt::id::LogId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::files;
use super::{BackupError, Damage};
use crate::identity::{Committed, LogIdentity};

/// Name of the list.
pub const MANIFEST_FILE: &str = "MANIFEST.json";
/// Name of the list's checksum; `b3sum --check` reads it.
pub const MANIFEST_SUM_FILE: &str = "MANIFEST.blake3";
/// Version of the list.
pub const MANIFEST_VERSION: u32 = 1;

/// Largest list that is read: some hundred thousand files.
const MANIFEST_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// 64 digits, two spaces, a name, a line's end.
const SUM_BYTES_MAX: u64 = 256;
/// Longest path inside a backup.
const PATH_BYTES_MAX: usize = 256;

/// What a backup holds; `O` is what its owner says of itself, as members among the others.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Manifest<O> {
    /// [`MANIFEST_VERSION`].
    pub schema_version: u32,
    /// The program that wrote it.
    pub program: String,
    /// When, RFC 3339 in UTC.
    pub created_at: String,
    /// Whose it is.
    #[serde(flatten)]
    pub owner: O,
    /// The log's name, in text form.
    pub log: String,
    /// The epoch of the log.
    pub log_epoch: u32,
    /// The last commit in it.
    pub seq: u64,
    /// The running hash of the commits up to it, hexadecimal.
    pub hash: String,
    /// Schema of the store's rows.
    pub store_schema: u32,
    /// By path inside the backup, with `/` between folders.
    pub files: BTreeMap<String, FileEntry>,
}

/// One file of a backup.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct FileEntry {
    /// Its size.
    pub bytes: u64,
    /// Its checksum, hexadecimal.
    pub blake3: String,
}

impl<O: Serialize + DeserializeOwned> Manifest<O> {
    /// Bytes of all files in the list.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// The log it is of.
    #[must_use]
    pub fn identity(&self) -> Option<LogIdentity> {
        let log: LogId = self.log.parse().ok()?;
        let epoch = self.log_epoch;
        Some(LogIdentity { log, epoch })
    }

    /// The last commit in it.
    #[must_use]
    pub fn committed(&self) -> Option<Committed> {
        let hash = blake3::Hash::from_hex(&self.hash).ok()?;
        Some(Committed {
            seq: self.seq,
            hash: *hash.as_bytes(),
        })
    }

    /// Writes it and, last, its checksum.
    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let path = folder.join(MANIFEST_FILE);
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| BackupError::io("write", &path)(error.into()))?;
        text.push(b'\n');
        files::write(&path, &text)?;
        let sum = format!("{}  {MANIFEST_FILE}\n", blake3::hash(&text).to_hex());
        files::write(&folder.join(MANIFEST_SUM_FILE), sum.as_bytes())
    }

    /// Reads it, if it is whole.
    ///
    /// # Errors
    /// [`BackupError::Damaged`], [`BackupError::TooNew`]; those of the disk.
    pub fn read(folder: &Path) -> Result<Self, BackupError> {
        let text = read_bounded(folder, MANIFEST_FILE, MANIFEST_BYTES_MAX)?;
        let sum = read_bounded(folder, MANIFEST_SUM_FILE, SUM_BYTES_MAX)?;
        let damaged = |path: &str, reason: String| {
            Err(BackupError::Damaged {
                folder: folder.to_path_buf(),
                damages: vec![Damage::new(path, reason)],
            })
        };
        let Some(sum) = parse_sum(&sum) else {
            return damaged(MANIFEST_SUM_FILE, "it is no checksum".to_owned());
        };
        if sum != blake3::hash(&text) {
            // Neither can be believed against the other.
            let reason = format!("{MANIFEST_FILE} and its checksum do not fit");
            return Err(BackupError::Damaged {
                folder: folder.to_path_buf(),
                damages: [MANIFEST_FILE, MANIFEST_SUM_FILE]
                    .map(|path| Damage::new(path, reason.clone()))
                    .into(),
            });
        }
        // The version alone first: a newer list may have any shape.
        let Version { schema_version } = match serde_json::from_slice(&text) {
            Ok(version) => version,
            Err(error) => return damaged(MANIFEST_FILE, error.to_string()),
        };
        if schema_version > MANIFEST_VERSION {
            return Err(BackupError::TooNew {
                found: schema_version,
            });
        }
        let manifest: Self = match serde_json::from_slice(&text) {
            Ok(manifest) => manifest,
            Err(error) => return damaged(MANIFEST_FILE, error.to_string()),
        };
        match manifest.files.keys().find(|path| !is_inside(path)) {
            Some(path) => damaged(MANIFEST_FILE, format!("`{path}` is no path inside it")),
            None => Ok(manifest),
        }
    }
}

#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

/// A list from elsewhere must not make anybody read or write outside.
fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty()
        && path.len() <= PATH_BYTES_MAX
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn parse_sum(line: &[u8]) -> Option<blake3::Hash> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (digits, name) = line.split_once("  ")?;
    (name == MANIFEST_FILE && !digits.bytes().any(|digit| digit.is_ascii_uppercase()))
        .then(|| blake3::Hash::from_hex(digits).ok())
        .flatten()
}

fn read_bounded(folder: &Path, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackupError> {
    let path = folder.join(name);
    let incomplete = |reason: String| BackupError::Incomplete {
        folder: folder.to_path_buf(),
        reason,
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(incomplete(format!("it has no {name}")));
        }
        Err(error) => return Err(BackupError::io("read", &path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(BackupError::io("read", &path))?;
    if bytes.len() as u64 > bytes_max {
        return Err(incomplete(format!(
            "{name} is longer than {bytes_max} bytes"
        )));
    }
    Ok(bytes)
}
