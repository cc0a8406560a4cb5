//! A relay, as the process that operators run.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use crate::node::{Node, Running};

pub(crate) struct Relay {
    folder: TempDir,
    /// For clients and for operators: the same ones, however often it starts.
    _ports: [Port; 2],
    pub(crate) address: String,
    /// Settings over those of the file, as environment variables.
    settings: BTreeMap<&'static str, &'static str>,
    running: Option<Running>,
}

impl Relay {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With settings such as `("KHLONG_POLICY__TIMELINE_QUOTA", "4KiB")`.
    pub(crate) fn start_with(settings: &[(&'static str, &'static str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = [Port::claim(), Port::claim()];
        let [quic, admin] = ports.each_ref().map(|port| port.address.clone());
        let mut relay = Self {
            folder,
            _ports: ports,
            address: String::new(),
            settings: settings.iter().copied().collect(),
            running: None,
        };
        let addresses = ["--host", "127.0.0.1", "--quic", &quic, "--admin", &admin];
        let made = relay.command("init").args(addresses).output().unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        relay.address = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        relay.restart();
        relay
    }

    /// The operator changes a setting and starts the relay again.
    pub(crate) fn restart_with(&mut self, name: &'static str, value: &'static str) {
        self.settings.insert(name, value);
        self.restart();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    pub(crate) fn restart(&mut self) {
        self.running = None;
        let mut child = self
            .command("run")
            .args(["--json", "--log", "error"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut says = BufReader::new(child.stdout.take().unwrap());
        self.running = Some(Running(child));
        // It says where it serves, once it does.
        let mut line = String::new();
        says.read_line(&mut line).unwrap();
        assert!(line.contains(&self.address), "it does not start: {line}");
    }

    /// A node that knows this relay.
    pub(crate) fn node(&self, nickname: &str) -> Node {
        let node = Node::new(nickname);
        node.json(&["relay", "add", &self.address]);
        node
    }

    /// The folder of its store.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Takes a backup of the running relay; its folder.
    pub(crate) fn backup(&self) -> PathBuf {
        let target = self.folder.path().join("backup");
        self.backed_up("create", &target);
        target
    }

    /// Loses the relay's folder and makes it from a backup; the epoch that begins.
    pub(crate) fn restore(&mut self, backup: &Path) -> u64 {
        self.kill();
        std::fs::remove_dir_all(self.data()).unwrap();
        let restored = self.backed_up("restore", backup);
        self.restart();
        restored["log_epoch"].as_u64().unwrap()
    }

    fn backed_up(&self, what: &str, folder: &Path) -> serde_json::Value {
        let mut command = self.command("backup");
        let done = command.args([what, "--json"]).arg(folder).output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        serde_json::from_slice(&done.stdout).unwrap()
    }

    fn command(&self, command: &str) -> Command {
        let mut relay = Command::new(binary());
        relay
            .envs(&self.settings)
            .arg("--config")
            .arg(self.folder.path().join("relay.toml"))
            .arg(command)
            .stdin(Stdio::null());
        relay
    }
}

/// Built beside ours: cargo names only the binaries of the package under test.
fn binary() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_khlong")).with_file_name("khlong-relay");
    assert!(
        path.exists(),
        "build the relay first: cargo build --workspace"
    );
    path
}

/// An address that is free for UDP and TCP. It lies below the range that the
/// system hands out by itself (from 32,768 on Linux): no client takes it while
/// the relay is down, and no probe of it can connect to itself.
struct Port {
    address: String,
    /// Its twin at another address of the loopback, held as long as this lives: no other test
    /// takes the port while the relay is down.
    _claim: UdpSocket,
}

/// As many as there are to choose from.
const PORTS: u16 = 12_000;

impl Port {
    fn claim() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let first = (std::process::id() % 1_000) as u16 * 12;
        let mut refused = None;
        for _ in 0..PORTS {
            let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
            let claim = match UdpSocket::bind(("127.0.0.2", port)) {
                Ok(claim) => claim,
                Err(error) => {
                    refused = Some(error);
                    continue;
                }
            };
            let address = format!("127.0.0.1:{port}");
            if UdpSocket::bind(&address).is_ok() && TcpListener::bind(&address).is_ok() {
                return Self {
                    address,
                    _claim: claim,
                };
            }
        }
        panic!("no port is free; at 127.0.0.2 the last word was {refused:?}");
    }
}
