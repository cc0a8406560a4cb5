//! A backup as a place from which a replay begins: checked like a backup, and held against the
//! journal, which it never overrules.

use std::fs;
use std::path::{Path, PathBuf};

use khlong_store::backup::{BackupError, MANIFEST_FILE, STORE_FOLDER};
use khlong_store::journal::{self, Head, JournalError, JournalSeq};
use khlong_store::peek::Peek;
use serde_json::{Value, json};

use super::CliError;
use super::backup::CopyError;
use super::output::hexadecimal;
use crate::backup::{self, Manifest, Owner};

/// Names in a folder of backups. In one with more the newest backup might be left out.
const SNAPSHOTS_MAX: usize = 4_096;

/// A backup that is whole, and part of the journal.
pub(super) struct Snapshot {
    /// Where it is.
    pub(super) path: PathBuf,
    /// The journal's head when it was taken.
    pub(super) at: Head,
    /// The hash over its views, hexadecimal.
    pub(super) state: String,
    /// What is in it.
    pub(super) rows: Peek,
    /// Newer ones that were not used, and why.
    pub(super) passed_over: Vec<PassedOver>,
}

/// A backup that a replay does not begin from.
pub(super) struct PassedOver {
    path: PathBuf,
    reason: String,
}

impl PassedOver {
    pub(super) fn json(&self) -> Value {
        json!({ "path": self.path.display().to_string(), "reason": self.reason })
    }

    pub(super) fn text(&self) -> String {
        format!("passed over {}: {}", self.path.display(), self.reason)
    }
}

/// The newest of the backups in `path`, or `path` itself if that is one, that is whole and whose end
/// is an entry of the journal of `folder` in `source`, which was checked and ends with `head`.
pub(super) fn newest(
    path: &Path,
    folder: &Path,
    source: &Peek,
    head: &Head,
) -> Result<Snapshot, CliError> {
    let part_of = |owner: &Owner| {
        part_of(owner, source, head).map_err(|error| CliError::journal(folder, error))
    };
    if path.join(MANIFEST_FILE).exists() {
        let owner = Manifest::read(path).map_err(CopyError::Backup)?.owner;
        let at = part_of(&owner)?;
        let at = at.ok_or_else(|| CliError::NoSnapshot {
            path: path.to_owned(),
            reason: elsewhere(&owner),
        })?;
        let (state, rows) = whole(path).map_err(CopyError::Backup)?;
        return Ok(Snapshot {
            path: path.to_owned(),
            at,
            state,
            rows,
            passed_over: Vec::new(),
        });
    }
    let (mut passed_over, mut found) = (Vec::new(), Vec::new());
    for path in backups(path)? {
        match Manifest::read(&path) {
            // The list of its files may be long.
            Ok(manifest) => found.push((path, manifest.owner)),
            Err(error) => passed_over.push(refused(path, &error)),
        }
    }
    found.sort_by_key(|(_, owner): &(_, Owner)| owner.entries);
    for (path, owner) in found.into_iter().rev() {
        let Some(at) = part_of(&owner)? else {
            let reason = elsewhere(&owner);
            passed_over.push(PassedOver { path, reason });
            continue;
        };
        match whole(&path) {
            Ok((state, rows)) => {
                return Ok(Snapshot {
                    path,
                    at,
                    state,
                    rows,
                    passed_over,
                });
            }
            Err(error) => passed_over.push(refused(path, &error)),
        }
    }
    let reasons: Vec<_> = passed_over.iter().map(PassedOver::text).collect();
    Err(CliError::NoSnapshot {
        path: path.to_owned(),
        reason: if reasons.is_empty() {
            "there is no backup in it".to_owned()
        } else {
            reasons.join("; ")
        },
    })
}

/// The folders in `path` that have a list of files, in the order of their names.
fn backups(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    let unreadable = |source| CliError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for (names, entry) in fs::read_dir(path).map_err(unreadable)?.enumerate() {
        if names >= SNAPSHOTS_MAX {
            return Err(CliError::NoSnapshot {
                path: path.to_owned(),
                reason: format!("it has more than {SNAPSHOTS_MAX} names"),
            });
        }
        let path = entry.map_err(unreadable)?.path();
        if path.join(MANIFEST_FILE).exists() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Every file, every row, its journal's chain, and the state hash computed again.
fn whole(path: &Path) -> Result<(String, Peek), BackupError> {
    let manifest = backup::verify(path)?;
    let rows = Peek::open(&path.join(STORE_FOLDER)).map_err(BackupError::Store)?;
    Ok((manifest.owner.state, rows))
}

/// The head that the backup names, if the journal had it.
fn part_of(owner: &Owner, source: &Peek, head: &Head) -> Result<Option<Head>, JournalError> {
    let at = JournalSeq(owner.entries);
    let hash = if at == JournalSeq(0) {
        Some(Head::start(head.id).hash)
    } else {
        journal::get(source, at)?.map(|stored| stored.hash)
    };
    let same = |hash: &[u8; 32]| {
        at <= head.seq
            && owner.journal == hexadecimal(head.id.as_bytes())
            && owner.head == hexadecimal(hash)
    };
    Ok(hash.filter(same).map(|hash| Head {
        id: head.id,
        seq: at,
        hash,
    }))
}

fn elsewhere(owner: &Owner) -> String {
    format!(
        "entry {} of journal {} with hash {} is not in this journal",
        owner.entries, owner.journal, owner.head
    )
}

fn refused(path: PathBuf, error: &BackupError) -> PassedOver {
    let reason = error.to_string().replace('\n', " ");
    PassedOver { path, reason }
}
