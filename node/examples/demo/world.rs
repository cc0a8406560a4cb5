//! A relay and three nodes, as processes of their own, the way people run them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use khlong_node::daemon::client::Client;
use serde_json::Value;

use crate::processes::{Failure, PATIENCE, PAUSE, Relay, Running, run};

impl Running {
    /// SIGKILL: no goodbye, nothing flushed.
    pub(crate) fn kill(mut self) -> Result<(), Failure> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Relay {
    /// What it stores.
    pub(crate) fn data(&self) -> PathBuf {
        self.config.with_file_name("data")
    }

    /// The command that starts it by hand.
    pub(crate) fn by_hand(&self) -> String {
        format!(
            "{} run --config {}",
            shown(&self.binary),
            shown(&self.config)
        )
    }
}

/// A node with a daemon.
pub(crate) struct Person {
    binary: PathBuf,
    pub(crate) nickname: String,
    pub(crate) home: PathBuf,
    _daemon: Running,
}

impl Person {
    pub(crate) async fn create(
        binaries: &Path,
        folder: &Path,
        name: &str,
        nickname: &str,
        relay: &str,
    ) -> Result<Self, Failure> {
        let (binary, home) = (binaries.join("khlong"), folder.join(name));
        let khlong = || command(&binary, &home);
        run(khlong().args(["init", "--plain-keys", "--nickname", nickname]))?;
        run(khlong().args(["relay", "add", relay]))?;
        let log = fs::File::create(folder.join(format!("{name}.log")))?;
        let child = khlong()
            .arg("daemon")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let person = Self {
            binary,
            nickname: nickname.to_owned(),
            home,
            _daemon: Running(child),
        };
        let begun = Instant::now();
        while Client::connect(&person.home).await?.is_none() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("the daemon of {name} does not start; see {name}.log").into());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(person)
    }

    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        Ok(Client::connect(&self.home)
            .await?
            .ok_or("the daemon is gone")?)
    }

    /// Runs the command line against this node's daemon; the answer is one JSON object.
    pub(crate) fn khlong(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let said = run(command(&self.binary, &self.home)
            .arg("--json")
            .args(arguments))?;
        let last = said.lines().last().ok_or("the command answered nothing")?;
        Ok(serde_json::from_str(last)?)
    }

    /// The start of a command line for this node by hand.
    pub(crate) fn by_hand(&self) -> String {
        format!("{} --home {}", shown(&self.binary), shown(&self.home))
    }
}

fn command(binary: &Path, home: &Path) -> Command {
    let mut command = Command::new(binary);
    command
        .env_remove("KHLONG_PASSPHRASE_FILE")
        .arg("--home")
        .arg(home);
    command
}

/// Relative where that is shorter, since a person types it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here)
        .unwrap_or(path)
        .display()
        .to_string()
}
