//! What the relay tells a service manager, by systemd's protocol.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use khlong_relay::server::{OpenStore, Server, ServerError};
use khlong_store::engine::faults::Fault;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::limits::QuicLimits;
use support::client::{Client, PATIENCE};
use support::process::{Running, init, relay};
use support::served::{Relay, options};
use support::virtual_world::open_store;

/// What the test itself says behind the relay's last word.
const END: &str = "end of the test";

struct Manager {
    told: mpsc::Receiver<String>,
    folder: tempfile::TempDir,
}

impl Manager {
    /// It listens all the time, as a manager does: the system keeps a few datagrams for who
    /// does not, and then holds up the relay that says one more.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let (tell, told) = mpsc::sync_channel(1_024);
        std::thread::spawn(move || {
            let mut bytes = [0; 256];
            while let Ok(length) = socket.recv(&mut bytes) {
                let said = String::from_utf8_lossy(bytes.get(..length).unwrap());
                if tell.send(said.trim_end().to_owned()).is_err() || said == END {
                    return;
                }
            }
        });
        Self { told, folder }
    }

    fn command(&self, home: &Path, watchdog_us: Option<u32>) -> std::process::Command {
        let mut command = relay(home);
        command
            .args(["run", "--json"])
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .env_remove("WATCHDOG_PID")
            .env_remove("WATCHDOG_USEC");
        if let Some(watchdog_us) = watchdog_us {
            command.env("WATCHDOG_USEC", watchdog_us.to_string());
        }
        command
    }

    fn next(&self) -> String {
        self.told.recv_timeout(PATIENCE).unwrap()
    }

    /// Of a relay that has ended: whether all that it said was heard.
    fn is_silent(&self) -> bool {
        let socket = UnixDatagram::unbound().unwrap();
        let path = self.folder.path().join("notify");
        socket.send_to(END.as_bytes(), path).unwrap();
        self.next() == END
    }
}

#[test]
fn ready_when_it_serves_alive_meanwhile_and_stopping_when_it_stops() {
    let (manager, folder) = (Manager::new(), tempfile::tempdir().unwrap());
    init(folder.path());
    let running = Running::spawn(&mut manager.command(folder.path(), Some(20_000)));
    assert_eq!(manager.next(), "READY=1");
    assert!(running.get("/readyz").starts_with("HTTP/1.1 200"));
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    let (code, said) = running.stop("-TERM");
    assert_eq!(code, Some(0), "{said}");
    let mut last = manager.next();
    while last == "WATCHDOG=1" {
        last = manager.next();
    }
    assert_eq!(last, "STOPPING=1");
    assert!(manager.is_silent(), "that was the last word");
}

#[test]
fn a_relay_that_does_not_serve_is_never_ready_and_nobody_asks_for_a_watchdog() {
    let (manager, folder) = (Manager::new(), tempfile::tempdir().unwrap());
    init(folder.path());
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = manager.command(folder.path(), Some(20_000));
    let failed = command.args(["--quic", &address]).output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(manager.is_silent());

    let (manager, folder) = (Manager::new(), tempfile::tempdir().unwrap());
    init(folder.path());
    let running = Running::spawn(&mut manager.command(folder.path(), None));
    assert_eq!(manager.next(), "READY=1");
    running.stop("-INT");
    assert_eq!(manager.next(), "STOPPING=1");
    assert!(manager.is_silent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_hangs_has_no_pulse_although_timers_fire() {
    let disk = MemoryDisk::new();
    let (hangs, hung) = mpsc::sync_channel(1);
    let (go_on, goes_on) = mpsc::sync_channel::<()>(1);
    let (opened, on) = (AtomicUsize::new(0), disk.clone());
    let open: OpenStore = Box::new(move || {
        if opened.fetch_add(1, Ordering::Relaxed) > 0 {
            hangs.send(()).unwrap();
            goes_on.recv().unwrap();
        }
        Ok::<_, ServerError>(open_store(&on, Role::Relay))
    });
    let server = Server::start_on(open, options(Path::new("unused")))
        .await
        .unwrap();
    let pulse = server.pulse();
    let relay = Relay::serve(server);
    assert!(pulse.beat().await);

    // A commit fails, and the disk does not answer when it is opened again.
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let mut client = Client::connect(&dialer, &relay.address).await;
    let (timeline, admin, intro) = support::open(1);
    client.prove(&admin).await;
    assert!(client.append(vec![timeline.genesis]).await[0].is_kept());
    disk.inject(Fault::SyncError { persisted: false });
    client.offer(vec![intro]).await;
    tokio::task::spawn_blocking(move || hung.recv().unwrap())
        .await
        .unwrap();
    let asked = pulse.clone();
    let beat = tokio::spawn(async move { asked.beat().await });
    assert!(relay.get("/livez").await.starts_with("HTTP/1.1 200"));
    assert!(!beat.is_finished(), "nobody is there to answer");
    go_on.send(()).unwrap();
    assert!(beat.await.unwrap(), "it turns again");
    relay.stop().await;
    assert!(!pulse.beat().await, "it has ended");
}
