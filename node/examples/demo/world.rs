//! A relay and three nodes, as processes of their own, the way people run them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use khlong_node::daemon::client::Client;
use serde_json::Value;

use crate::Failure;

/// For one command or one start; generous, because the machine may be busy building.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// A process that does not outlive the demo.
pub(crate) struct Running(Child);

impl Running {
    /// SIGKILL: no goodbye, nothing flushed.
    pub(crate) fn kill(mut self) -> Result<(), Failure> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let begun = Instant::now();
        while self.0.try_wait()?.is_none() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("process {pid} does not stop").into());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A relay.
pub(crate) struct Relay {
    binary: PathBuf,
    config: PathBuf,
    /// What it stores.
    pub(crate) data: PathBuf,
    /// `khlong://KEY@HOST:PORT`.
    pub(crate) address: String,
    admin: String,
    log: PathBuf,
}

impl Relay {
    pub(crate) fn create(binaries: &Path, folder: &Path) -> Result<Self, Failure> {
        let home = folder.join("relay");
        fs::create_dir_all(&home)?;
        let config = home.join("relay.toml");
        let quic = format!("127.0.0.1:{}", free_port()?);
        let admin = format!("127.0.0.1:{}", free_port()?);
        let binary = binaries.join("khlong-relay");
        let addresses = ["--host", "127.0.0.1", "--quic", &quic, "--admin", &admin];
        let said = run(Command::new(&binary)
            .arg("--config")
            .arg(&config)
            .arg("init")
            .args(addresses))?;
        let address = said
            .split_whitespace()
            .find(|word| word.starts_with("khlong://"));
        let address = address
            .ok_or("khlong-relay init names no address")?
            .to_owned();
        Ok(Self {
            binary,
            config,
            data: home.join("data"),
            address,
            admin,
            log: folder.join("relay.log"),
        })
    }

    pub(crate) fn start(&self) -> Result<Running, Failure> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let child = Command::new(&self.binary)
            .arg("run")
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let running = Running(child);
        until("the relay is ready", || {
            Ok(self
                .get("/readyz")
                .is_ok_and(|answer| answer.contains(" 200 ")))
        })?;
        Ok(running)
    }

    /// One number of `/metrics`, over all its labels.
    pub(crate) fn metric(&self, name: &str) -> Result<u64, Failure> {
        let answer = self.get("/metrics")?;
        let lines = answer
            .lines()
            .filter(|line| line.starts_with(name) && !line.starts_with('#'));
        let values: Vec<u64> = lines
            .filter_map(|line| {
                line.split_whitespace()
                    .nth(1)?
                    .split('.')
                    .next()?
                    .parse()
                    .ok()
            })
            .collect();
        if values.is_empty() {
            return Err(format!("the relay has no metric {name}").into());
        }
        Ok(values.iter().sum())
    }

    /// The command that starts it by hand.
    pub(crate) fn by_hand(&self) -> String {
        format!(
            "{} run --config {}",
            shown(&self.binary),
            shown(&self.config)
        )
    }

    fn get(&self, path: &str) -> Result<String, Failure> {
        let mut stream = TcpStream::connect(&self.admin)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
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

fn run(command: &mut Command) -> Result<String, Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} failed with {}: {said}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn until(what: &str, mut done: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let begun = Instant::now();
    while !done()? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("waited {} s in vain until {what}", PATIENCE.as_secs()).into());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// A port that is free for UDP and TCP, below the range that the system hands
/// out by itself: no client takes it while the relay is down.
fn free_port() -> Result<u16, Failure> {
    let first = (std::process::id() % 12_000) as u16;
    (0..12_000)
        .map(|step| 20_000 + (first + step) % 12_000)
        .find(|port| {
            let address = ("127.0.0.1", *port);
            UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
        })
        .ok_or_else(|| "no port between 20,000 and 31,999 is free".into())
}

/// Relative where that is shorter, since a person types it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here)
        .unwrap_or(path)
        .display()
        .to_string()
}
