//! The real binary in a folder of its own, as an operator runs it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use khlong_crdt::address::RelayAddress;
use serde_json::Value;

pub struct Home(tempfile::TempDir);

pub struct Running {
    pub child: Child,
    ready: Value,
}

impl Home {
    /// A folder in which `init` has run.
    pub fn init() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let addresses = ["--quic", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let made = home
            .command(&["init", "--host", "127.0.0.1"])
            .args(addresses)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", said(&made));
        home
    }

    /// Another machine: the same configuration and key, and no folder of a store.
    pub fn elsewhere(&self) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        for name in ["relay.toml", "relay.key"] {
            std::fs::copy(self.path(name), home.path(name)).unwrap();
        }
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_khlong-relay"));
        // Nothing from the environment of whoever runs the tests.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KHLONG_")) {
            command.env_remove(name);
        }
        command
            .arg("--config")
            .arg(self.path("relay.toml"))
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    pub fn backup(&self, what: &str, folder: &Path) -> Output {
        let mut command = self.command(&["--json", "backup", what]);
        command.arg(folder).output().unwrap()
    }

    pub fn run(&self) -> Running {
        self.serve(&mut self.command(&["run", "--json", "--log", "error"]))
    }

    /// Runs a command that says `run --json`, until it serves.
    pub fn serve(&self, command: &mut Command) -> Running {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).expect("it does not serve");
        Running { child, ready }
    }
}

impl Running {
    pub fn admin(&self) -> &str {
        self.ready.get("admin").unwrap().as_str().unwrap()
    }

    pub fn address(&self) -> RelayAddress {
        let text = self.ready.get("address").unwrap();
        text.as_str().unwrap().parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Standard output of a command that went well.
pub fn data(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}
