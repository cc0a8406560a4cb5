//! A relay, as the process that operators run.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::node::{Node, Running};

const START_MAX: Duration = Duration::from_secs(20);

pub(crate) struct Relay {
    folder: TempDir,
    quic: String,
    admin: String,
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
        let mut relay = Self {
            folder,
            quic: free_address(),
            admin: free_address(),
            address: String::new(),
            settings: settings.iter().copied().collect(),
            running: None,
        };
        let addresses = [
            "--host",
            "127.0.0.1",
            "--quic",
            &relay.quic,
            "--admin",
            &relay.admin,
        ];
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
        let child = self
            .command("run")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.running = Some(Running(child));
        let begun = Instant::now();
        while !self.is_ready() {
            assert!(begun.elapsed() < START_MAX, "the relay does not start");
            std::thread::yield_now();
        }
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

    fn is_ready(&self) -> bool {
        let asked = TcpStream::connect(&self.admin).and_then(|mut stream| {
            stream.set_read_timeout(Some(START_MAX))?;
            write!(
                stream,
                "GET /readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        asked.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
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
fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 1_000) as u16 * 12;
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let address = format!("127.0.0.1:{port}");
        if UdpSocket::bind(&address).is_ok() && TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}
