//! The folder from outside: whose it is, who has it open, whether there is room.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use khlong_store::engine::rocks::RocksOptions;
use khlong_store::folder;

use super::Finding;
use crate::api::Request;
use crate::daemon::client::Client;
use crate::error::ExitCode;
use crate::folder::{KEY_FILE, STORE_FOLDER};

/// Between two looks at who has the folder open.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// How long a daemon may say nothing: it sends a sign of life every few seconds.
const DAEMON_SILENCE_MAX: Duration = Duration::from_secs(10);

/// Whether the folder is a node's, this user's, and closed to others.
pub(super) fn owner(home: &Path) -> Finding {
    const CHECK: &str = "owner";
    let keys = home.join(KEY_FILE);
    // The folder first: in one that is closed to us nothing else can be seen.
    for path in [home.to_owned(), keys.clone(), home.join(STORE_FOLDER)] {
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let says = format!("{} holds no node", home.display());
                let remedy = "run `khlong init`, or name the right folder by --home or KHLONG_HOME";
                return Finding::problem(CHECK, ExitCode::Config, says, remedy);
            }
            Err(error) => {
                let says = format!("{} cannot be looked at: {error}", path.display());
                let remedy = "give it back to this user, or run khlong as its owner";
                return Finding::problem(CHECK, ExitCode::Untrusted, says, remedy);
            }
        };
        if let Some(finding) = foreign(CHECK, &path, &metadata) {
            return finding;
        }
        let mode = metadata.permissions().mode() & 0o777;
        if path != home && mode & 0o077 != 0 {
            let says = format!(
                "{} is open to group or others (mode {mode:04o}): keys and messages may have been read",
                path.display()
            );
            let remedy = format!("run `chmod go-rwx {}`", path.display());
            return Finding::problem(CHECK, ExitCode::Untrusted, says, remedy);
        }
    }
    Finding::ok(CHECK, format!("{} is this user's alone", home.display()))
}

fn foreign(check: &'static str, path: &Path, metadata: &Metadata) -> Option<Finding> {
    // Where that is not known, only modes are looked at.
    let own = folder::own_user()?;
    let found = metadata.uid();
    (found != own).then(|| {
        let says = format!(
            "{} belongs to user {found}, and this is user {own}",
            path.display()
        );
        let remedy = format!(
            "run khlong as its owner, or take it over: `sudo chown -R {own} {}`",
            path.display()
        );
        Finding::problem(check, ExitCode::Untrusted, says, remedy)
    })
}

/// Who has the folder open, and whether they answer. A command that ends, and a daemon that is
/// just starting, are waited for as every other command waits: neither is anything wrong.
pub(super) async fn lock(home: &Path, patience: Duration) -> Finding {
    let begun = Instant::now();
    while begun.elapsed() < patience && has_silent_holder(home).await {
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    look_at_lock(home).await
}

/// Somebody has the folder open and there is no socket to ask at.
async fn has_silent_holder(home: &Path) -> bool {
    let is_held = matches!(folder::holder(&home.join(STORE_FOLDER)), Ok(Some(_)));
    is_held && matches!(Client::connect(home).await, Ok(None))
}

async fn look_at_lock(home: &Path) -> Finding {
    const CHECK: &str = "lock";
    let pid = match folder::holder(&home.join(STORE_FOLDER)) {
        Ok(None) => return Finding::ok(CHECK, "no process has the folder open"),
        Ok(Some(pid)) => pid,
        Err(error) => return Finding::skipped(CHECK, error.to_string()),
    };
    let who = match pid {
        0 => "another process".to_owned(),
        pid => format!("process {pid}"),
    };
    let ends = "wait until that command has ended, or end the process";
    match Client::connect(home).await {
        Ok(Some(client)) => {
            let mut client = client.with_patience(DAEMON_SILENCE_MAX);
            match client.request(&Request::RelayLs).await {
                Ok(_) => Finding::ok(CHECK, format!("{who} has the folder open and answers")),
                Err(error) => {
                    let says = format!("{who} has the folder open: {}", error.full_message());
                    Finding::problem(CHECK, ExitCode::Config, says, ends)
                }
            }
        }
        Ok(None) => {
            let says = format!("{who} has the folder open and answers no commands");
            Finding::problem(CHECK, ExitCode::Config, says, ends)
        }
        Err(error) => {
            let says = format!("{who} has the folder open: {}", error.full_message());
            Finding::problem(CHECK, ExitCode::Config, says, ends)
        }
    }
}

/// Whether there is room to write.
pub(super) fn disk(home: &Path) -> Finding {
    const CHECK: &str = "disk";
    let reserve = RocksOptions::default().reserve_bytes;
    let Some(existing) = home.ancestors().find(|path| path.exists()) else {
        return Finding::skipped(CHECK, format!("{} does not exist", home.display()));
    };
    match fs4::available_space(existing) {
        Ok(free) if free < reserve => {
            let says = format!(
                "{} MiB are free, and nothing is written below {} MiB",
                free >> 20,
                reserve >> 20
            );
            let remedy = format!("free some space where {} lies", home.display());
            Finding::problem(CHECK, ExitCode::Full, says, remedy)
        }
        Ok(free) => Finding::ok(CHECK, format!("{} MiB are free", free >> 20)),
        Err(error) => Finding::skipped(CHECK, format!("the free space is not known: {error}")),
    }
}
