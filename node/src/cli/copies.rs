//! `backup`, `restore`.

use std::path::Path;

use serde::Serialize;

use super::Run;
use super::error::CliError;
use super::progress::Progress;
use crate::backup::{self, BackupError};
use crate::daemon::socket;
use crate::error::{ExitCode, NodeError};

#[derive(Serialize)]
struct Copied<'a> {
    kind: &'static str,
    folder: &'a str,
    files: u64,
}

pub(super) async fn backup(run: &Run, folder: &Path) -> Result<(), CliError> {
    // The daemon, if there is one, may have another working directory.
    let target = std::path::absolute(folder).map_err(|source| CliError::Unwritable {
        path: folder.to_owned(),
        source,
    })?;
    let mut gate = run.look().await?;
    backup::begin(&target)?;
    let copied = gate.checkpoint(backup::store_of(&target)).await;
    gate.close().await;
    copied?;
    let progress = Progress::new("checking");
    let mut files = 0;
    backup::finish(&run.home, &target, &mut |total, done| {
        files = total;
        progress.set(total, done);
    })?;
    drop(progress);
    told(
        run,
        "backup",
        &target,
        files,
        "keep it as safe as the node itself: the keys are in it",
    )
}

pub(super) fn restore(run: &Run, folder: &Path) -> Result<(), CliError> {
    if socket::path(&run.home).exists() {
        return Err(NodeError::AlreadyInitialised(run.home.clone()).into());
    }
    let progress = Progress::new("restoring");
    let mut files = 0;
    backup::restore(folder, &run.home, &mut |total, done| {
        files = total;
        progress.set(total, done);
    })?;
    drop(progress);
    told(
        run,
        "restored",
        &run.home,
        files,
        "`khlong sync` fetches what was written since",
    )
}

fn told(
    run: &Run,
    kind: &'static str,
    folder: &Path,
    files: u64,
    advice: &str,
) -> Result<(), CliError> {
    let folder = folder.display().to_string();
    if run.output.json {
        return run.output.object(&Copied {
            kind,
            folder: &folder,
            files,
        });
    }
    run.output
        .line(&format!("{folder}: {files} files; {advice}"))
}

impl BackupError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Exists(_) | Self::Incomplete { .. } => ExitCode::Config as u8,
            Self::TooNew { .. } => ExitCode::Incompatible as u8,
            Self::Damaged { .. } => ExitCode::Integrity as u8,
            Self::Io { source, .. } => ExitCode::of_io(source) as u8,
        }
    }
}
