//! A node in a folder of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Node {
    folder: TempDir,
    passphrase_file: Option<PathBuf>,
}

/// What a command left behind.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A process that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Node {
    /// A folder without a node.
    pub(crate) fn bare() -> Self {
        Self {
            folder: tempfile::Builder::new().prefix("khl").tempdir().unwrap(),
            passphrase_file: None,
        }
    }

    /// A node with plain keys.
    pub(crate) fn new(nickname: &str) -> Self {
        let node = Self::bare();
        let said = node.run(&["init", "--plain-keys", "--nickname", nickname]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        node
    }

    pub(crate) fn with_passphrase(mut self, passphrase: &str) -> Self {
        let file = self.folder.path().join("passphrase");
        std::fs::write(&file, format!("{passphrase}\n")).unwrap();
        self.passphrase_file = Some(file);
        self
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self) -> Command {
        command_in(&self.home(), self.passphrase_file.as_deref())
    }

    /// Runs to the end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(
            self.command()
                .args(arguments)
                .stdin(Stdio::null())
                .output()
                .unwrap(),
        )
    }

    pub(crate) fn run_with_stdin(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        said(child.wait_with_output().unwrap())
    }

    /// Runs a command that waits for a relay's word until its time is up; `--timeout` is not
    /// among its arguments. On a busy machine the word may come later: as long as none has
    /// come (exit code 5), it is given more time.
    pub(crate) fn run_patiently(&self, arguments: &[&str]) -> Said {
        let with = |time| self.run(&[arguments, &["--timeout", time]].concat());
        let mut said = with("3s");
        for time in ["15s", "60s"] {
            if said.code != 5 {
                break;
            }
            said = with(time);
        }
        said
    }

    /// Runs with `--json` and success; every line is an object with the schema's version.
    pub(crate) fn json_lines(&self, arguments: &[&str]) -> Vec<Value> {
        let said = self.run(&[&["--json"], arguments].concat());
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.stderr);
        let lines: Vec<Value> = said
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(
            lines.iter().all(|line| line["schema_version"] == 2),
            "{}",
            said.stdout
        );
        lines
    }

    /// The last of these lines.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.json_lines(arguments).pop().unwrap()
    }

    /// Bodies of the history.
    pub(crate) fn bodies(&self, timeline: &str) -> Vec<String> {
        let lines = self.json_lines(&["log", timeline, "--limit", "100000"]);
        lines
            .iter()
            .map(|line| line["body"].as_str().unwrap().to_owned())
            .collect()
    }

    /// A new timeline; its id.
    pub(crate) fn open_timeline(&self, title: &str) -> String {
        text(&self.json(&["timeline", "new", title, "--wait", "none"])["timeline"]["id"])
    }

    /// Starts the daemon and waits until it says that it runs.
    pub(crate) fn daemon(&self) -> Running {
        let mut child = self
            .command()
            .arg("daemon")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("the daemon runs") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the daemon ended");
        }
        // Nobody reads the rest, and a full pipe would stop the daemon.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Running(child)
    }

    /// Starts a command whose lines are read while it runs.
    pub(crate) fn stream(&self, arguments: &[&str]) -> (Running, BufReader<ChildStdout>) {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        (Running(child), lines)
    }
}

/// Longer than anything takes for which a test asks again and again.
const COME_MAX: Duration = Duration::from_secs(120);

/// Asks until it is so: processes go on meanwhile.
pub(crate) fn comes(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < COME_MAX, "never: {what}");
        // The processor is for those that are waited for.
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

pub(crate) fn command_in(home: &Path, passphrase_file: Option<&Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_khlong"));
    command
        .env_clear()
        .env("HOME", home)
        .env("KHLONG_HOME", home);
    if let Some(file) = passphrase_file {
        command.env("KHLONG_PASSPHRASE_FILE", file);
    }
    command
}

fn said(output: std::process::Output) -> Said {
    Said {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

pub(crate) fn next_line(lines: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the command ended");
    line
}
