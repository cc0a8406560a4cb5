//! `replay`: every view again from the journal, or from a snapshot of it on.

use std::io::Write as _;
use std::path::Path;

use khlong_store::journal::{self, Head};
use khlong_store::peek::Peek;
use serde_json::Value;

use super::folder::{self, Unfinished};
use super::journal::{head_fields, print};
use super::output::{Output, hexadecimal};
use super::snapshot::{self, Snapshot};
use super::{CliError, database};
use crate::kernel::{Kernel, KernelError, check_views, replay as replay_journal, state_hash};

/// What `replay` is asked.
pub(super) struct Replay<'a> {
    pub(super) folder: &'a Path,
    pub(super) into: &'a Path,
    pub(super) config: Option<&'a Path>,
    pub(super) from_snapshot: Option<&'a Path>,
}

pub(super) fn replay(output: Output, asked: &Replay<'_>) -> Result<(), CliError> {
    let (path, into) = (asked.folder, asked.into);
    let peek = folder::look(path)?;
    let head = journal::verify(&peek).map_err(|error| CliError::journal(path, error))?;
    if let Some(mut database) = database::of(asked.config)? {
        database::compare(&mut database, path, &head)?;
    }
    let snapshot = asked
        .from_snapshot
        .map(|from| snapshot::newest(from, path, &peek, &head))
        .transpose()?;
    let unfinished = Unfinished::begin(into, path)?;
    if let Some(from) = asked.from_snapshot {
        // Whichever of the backups in it is taken.
        unfinished.refuse_inside(from)?;
    }
    let mut kernel = match &snapshot {
        None => folder::make_from(&peek, unfinished.path(), head.id)?,
        Some(snapshot) => begin(&peek, snapshot, unfinished.path())?,
    };
    let replayed = replay_journal(&peek, &mut kernel)
        .map_err(|error| diverged(path, error, snapshot.as_ref()))
        .and_then(|_| state_hash(kernel.store()).map_err(|error| CliError::store(into, error)));
    // Closed before it is moved, or removed.
    drop(kernel);
    let replayed = replayed?;
    // Views that cannot be read, or are not at the head, are what a replay mends.
    let found = check_views(&peek, Some(&head))
        .ok()
        .and_then(|_| state_hash(&peek).ok());
    // What a backup alone says is not left where a gateway could be started on it.
    if snapshot.is_none() || found == Some(replayed) {
        unfinished.finish()?;
    }
    say(output, &head, snapshot.as_ref(), found, replayed)?;
    let folder = path.to_owned();
    match (snapshot, found) {
        (_, Some(found)) if found == replayed => Ok(()),
        (None, _) => Err(CliError::ViewsDiffer {
            folder,
            into: into.to_owned(),
        }),
        (Some(Snapshot { path: snapshot, .. }), Some(_)) => {
            Err(CliError::SnapshotDiffers { folder, snapshot })
        }
        (Some(Snapshot { path: snapshot, .. }), None) => {
            Err(CliError::SnapshotAlone { folder, snapshot })
        }
    }
}

/// A folder that goes up to the snapshot.
fn begin(peek: &Peek, snapshot: &Snapshot, path: &Path) -> Result<Kernel, CliError> {
    let kernel = folder::make_behind(peek, &snapshot.rows, path, &snapshot.at)?;
    let state = state_hash(kernel.store()).map_err(|error| CliError::store(path, error))?;
    if hexadecimal(&state) == snapshot.state {
        return Ok(kernel);
    }
    Err(CliError::NoSnapshot {
        path: snapshot.path.clone(),
        reason: "its views changed while they were copied".to_owned(),
    })
}

/// Not the journal's fault as long as something else was trusted.
fn diverged(path: &Path, error: KernelError, snapshot: Option<&Snapshot>) -> CliError {
    match (error, snapshot) {
        (KernelError::Diverged { seq }, Some(snapshot)) => CliError::SnapshotDiverged {
            snapshot: snapshot.path.clone(),
            seq,
        },
        (error, _) => CliError::kernel(path, error),
    }
}

fn say(
    output: Output,
    head: &Head,
    snapshot: Option<&Snapshot>,
    found: Option<[u8; 32]>,
    replayed: [u8; 32],
) -> Result<(), CliError> {
    let mut fields = head_fields("replayed_journal", head);
    if let Some(snapshot) = snapshot {
        let from = snapshot.path.display().to_string();
        fields.insert("from_snapshot".to_owned(), from.into());
        fields.insert("snapshot_entry".to_owned(), snapshot.at.seq.0.into());
        let passed_over = &snapshot.passed_over;
        let told: Vec<Value> = passed_over.iter().map(|it| it.json()).collect();
        fields.insert("passed_over".to_owned(), told.into());
        for one in passed_over {
            // That nobody reads standard error any more is no failure.
            let _ = writeln!(std::io::stderr(), "khlong-gateway: {}", one.text());
        }
    }
    let found = found.map(|hash| hexadecimal(&hash));
    fields.insert("state".to_owned(), found.into());
    fields.insert("replayed_state".to_owned(), hexadecimal(&replayed).into());
    print(output, fields)
}
