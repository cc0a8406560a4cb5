//! The relay as a process of its own, the way people run it: for the demo and the benchmarks.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Whoever runs programs stops at the first thing that is not as it should be.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// For one command or one start; generous, because the machine may be busy building.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// A process that does not outlive this one.
pub(crate) struct Running(pub(crate) Child);

impl Running {
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
    pub(crate) binary: PathBuf,
    pub(crate) config: PathBuf,
    /// `khlong://KEY@HOST:PORT`.
    pub(crate) address: String,
    admin: String,
    log: PathBuf,
    /// Over those of the file, as environment variables.
    settings: Vec<(&'static str, &'static str)>,
}

impl Relay {
    pub(crate) fn create(
        binaries: &Path,
        folder: &Path,
        settings: &[(&'static str, &'static str)],
    ) -> Result<Self, Failure> {
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
            address,
            admin,
            log: folder.join("relay.log"),
            settings: settings.to_vec(),
        })
    }

    pub(crate) fn start(&self) -> Result<Running, Failure> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let child = Command::new(&self.binary)
            .envs(self.settings.iter().copied())
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
            .filter(|line| line.strip_prefix(name).is_some_and(is_whole_name));
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

/// Whether a line of `/metrics` goes on behind a name as if that was all of it.
fn is_whole_name(rest: &str) -> bool {
    rest.starts_with([' ', '{'])
}

pub(crate) fn run(command: &mut Command) -> Result<String, Failure> {
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
