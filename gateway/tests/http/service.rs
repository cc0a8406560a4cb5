//! What the gateway tells a service manager, by systemd's protocol.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use serde_json::Value;

use crate::client::try_call;
use crate::killed::PROGRAM;
use crate::log::Log;
use crate::server::{Server, config, init, options};
use crate::until::until;

struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let patience = Some(Duration::from_secs(60));
        socket.set_read_timeout(patience).unwrap();
        Self { socket, folder }
    }

    /// `run` in the folder `home`.
    fn command(&self, home: &Path, watchdog_us: Option<u32>) -> Command {
        let file = home.join("gateway.toml");
        std::fs::write(&file, config("[log]\nlevel = \"error\"")).unwrap();
        let mut command = Command::new(PROGRAM);
        command
            .args(["--json", "run", "--config"])
            .arg(&file)
            .stdout(Stdio::piped())
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .env_remove("WATCHDOG_PID")
            .env_remove("WATCHDOG_USEC");
        if let Some(watchdog_us) = watchdog_us {
            command.env("WATCHDOG_USEC", watchdog_us.to_string());
        }
        command
    }

    fn next(&self) -> String {
        let mut bytes = [0; 256];
        let length = self.socket.recv(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes[..length]);
        text.trim_end().to_owned()
    }

    fn is_silent(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        self.socket.recv(&mut [0; 1]).is_err()
    }
}

#[test]
fn it_says_when_it_is_ready_that_it_is_alive_and_when_it_stops() {
    for watchdog_us in [Some(20_000), None] {
        let (manager, home) = (Manager::new(), tempfile::tempdir().unwrap());
        init(&options(home.path(), ""));
        let mut command = manager.command(home.path(), watchdog_us);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let address: SocketAddr = said["http"].as_str().unwrap().parse().unwrap();
        assert_eq!(manager.next(), "READY=1");
        let ready = try_call(address, "GET", "/readyz", &[], b"").unwrap();
        assert_eq!(ready.status, 200);
        if watchdog_us.is_some() {
            for _ in 0..3 {
                assert_eq!(manager.next(), "WATCHDOG=1");
            }
        }
        let status = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
        let mut last = manager.next();
        while watchdog_us.is_some() && last == "WATCHDOG=1" {
            last = manager.next();
        }
        assert_eq!(last, "STOPPING=1");
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(manager.is_silent(), "that was the last word");
    }
}

#[test]
fn one_that_does_not_start_is_never_ready() {
    let (manager, home) = (Manager::new(), tempfile::tempdir().unwrap());
    // No folder was made.
    let mut command = manager.command(home.path(), Some(20_000));
    let failed = command.output().unwrap();
    assert_eq!(failed.status.code(), Some(3));
    assert!(manager.is_silent());
}

/// A start behind an end, or before its network: no person has to look at that.
#[test]
fn a_port_that_is_taken_for_a_moment_is_waited_for() {
    let log = Log::begin();
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = options(home.path(), "");
    options.http = taken.local_addr().unwrap();
    std::thread::scope(|scope| {
        let as_asked = options.clone();
        let starts = scope.spawn(move || Server::of(as_asked));
        until("the port was asked for in vain", || {
            log.says("the address is not to be had yet")
        });
        assert!(!starts.is_finished());
        drop(taken);
        let server = starts.join().unwrap();
        assert_eq!(server.address, options.http);
        server.stop().unwrap();
    });
}

#[test]
fn a_driver_that_hangs_has_no_pulse_although_the_process_answers() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let handle = server.handle.clone();
    let beats = || {
        let handle = handle.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            runtime.block_on(async { (handle.is_ready().await, handle.beat().await) })
        })
    };
    assert_eq!(beats().join().unwrap(), (true, true));
    let (hangs, hung) = sync_channel(1);
    let (go_on, goes_on) = sync_channel::<()>(1);
    let reading = handle.begin_read(move |_| {
        hangs.send(()).unwrap();
        goes_on.recv().unwrap();
    });
    let reading = reading.unwrap();
    hung.recv().unwrap();
    let queued = || -> u64 {
        let text = handle.metrics().render().unwrap();
        let mut lines = text.lines();
        let count = lines.find_map(|line| line.strip_prefix("khlong_gateway_queue_inputs "));
        count.unwrap().parse().unwrap()
    };
    let before = queued();
    let beat = beats();
    until("the beat waits in the queue", || queued() > before);
    let alive = try_call(server.address, "GET", "/livez", &[], b"").unwrap();
    assert_eq!(alive.status, 200);
    assert!(!beat.is_finished(), "nobody is there to answer");
    go_on.send(()).unwrap();
    assert_eq!(beat.join().unwrap(), (true, true), "it turns again");
    reading.blocking_recv().unwrap();
    server.stop().unwrap();
    assert_eq!(beats().join().unwrap(), (false, false), "it has ended");
}
