//! The real binary as a process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;

use khlong_crdt::address::RelayAddress;
use serde_json::Value;

pub fn relay(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_khlong-relay"));
    command.arg("--config").arg(folder.join("relay.toml"));
    // Nothing from the environment of whoever runs the tests.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KHLONG_")) {
        command.env_remove(name);
    }
    command
}

pub fn output(folder: &Path, arguments: &[&str]) -> Output {
    relay(folder).args(arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn init(folder: &Path) -> RelayAddress {
    let flags = [
        "init",
        "--host",
        "127.0.0.1",
        "--quic",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--json",
    ];
    let made = output(folder, &flags);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let data: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(data.get("schema_version"), Some(&Value::from(1)));
    // Port 0 is no address yet: the text ends in it.
    let address = data.get("address").unwrap().as_str().unwrap().to_owned();
    address
        .strip_suffix(":0")
        .map(|place| format!("{place}:1"))
        .unwrap_or(address)
        .parse()
        .unwrap()
}

pub struct Running {
    pub child: Child,
    pub ready: Value,
    /// Reads what it says on standard error while it runs: a pipe that is full would stop it.
    said: Option<JoinHandle<String>>,
}

impl Running {
    pub fn start(folder: &Path) -> Self {
        Self::spawn(relay(folder).args(["run", "--json"]))
    }

    /// Runs a command that says `run --json`, until it serves.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = child.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut said = String::new();
            errors.read_to_string(&mut said).unwrap();
            said
        });
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        match serde_json::from_str(&line) {
            Ok(ready) => Self {
                child,
                ready,
                said: Some(said),
            },
            Err(_) => {
                let _ = child.kill();
                panic!("it does not serve: {}", said.join().unwrap())
            }
        }
    }

    pub fn field(&self, name: &str) -> &str {
        self.ready.get(name).unwrap().as_str().unwrap()
    }

    pub fn get(&self, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect(self.field("admin")).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends the signal and waits; what it said on standard error.
    pub fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let said = self.said.take().unwrap().join().unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
