//! `make demo`: the whole of Khlong in under a minute.
//!
//! A relay and three nodes run as processes of their own. A group is opened by
//! invite, a conversation is written by all of them at once, the relay is
//! killed in the middle, writing goes on, the relay comes back, and everything
//! that this file says with a tick was checked. Any check that fails ends it
//! with exit code 1.

#[path = "../shared/processes.rs"]
mod processes;
mod replay;
mod report;
mod search;
mod story;
mod world;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::processes::Failure;

/// Longer paths leave no room for a socket (unix(7)).
const FOLDER_BYTES_MAX: usize = 70;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match prepare() {
        Ok((binaries, folder, _lock)) => story::tell(&binaries, &folder).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n✗ {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where the programs are, and an empty folder for what they write.
///
/// The lock goes with the process: two demos at once would sweep each other's folder.
fn prepare() -> Result<(PathBuf, PathBuf, File), Failure> {
    let this = std::env::current_exe()?;
    let binaries = this
        .parent()
        .and_then(Path::parent)
        .ok_or("the demo runs from the target folder")?;
    let target = binaries
        .parent()
        .ok_or("the demo runs from the target folder")?;
    let folder = target.join("demo");
    let lock = File::create(target.join("demo.lock"))?;
    lock.try_lock()
        .map_err(|_| "another demo runs; wait for it")?;
    if folder.as_os_str().len() > FOLDER_BYTES_MAX {
        let folder = tempfile::Builder::new()
            .prefix("khlong-demo-")
            .tempdir()?
            .keep();
        return Ok((binaries.to_owned(), folder, lock));
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok((binaries.to_owned(), folder, lock))
}
