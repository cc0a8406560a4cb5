//! A relay on a small file system that is really full: real QUIC, real RocksDB, real ENOSPC.
//!
//! The file system is a tmpfs of its own. Root mounts it; anybody else does in a user
//! namespace, in which the test runs again (`unshare -Urm`). Where neither is allowed the
//! tests fail, unless `KHLONG_SKIP_MOUNT=1` asks to leave them out.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_relay::server::ServerOptions;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::error::Closed;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;
use support::client::{Client, PATIENCE};
use support::served::{Relay, options};
use support::{Author, open};

/// Set to 1: leave these tests out where nothing can be mounted.
const SKIP: &str = "KHLONG_SKIP_MOUNT";
/// Set by a test for itself: this is the run inside a user namespace.
const INSIDE: &str = "KHLONG_TEST_INSIDE_NAMESPACE";
const DISK_BYTES: u64 = 24 << 20;

/// A mounted file system; it goes with this value.
struct SmallDisk {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`: the test is over, it ran in a namespace or is left out.
    fn mount(test: &str) -> Option<Self> {
        if std::env::var_os(SKIP).is_some_and(|value| value == "1") {
            eprintln!("SKIPPED  {test}: {SKIP}=1");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "tmpfs"])
            .arg(&path)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            let _folder = folder;
            return Some(Self { path, _folder });
        }
        assert!(
            std::env::var_os(INSIDE).is_none(),
            "root of a user namespace may not mount a tmpfs either; {SKIP}=1 leaves this out"
        );
        let again = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .status();
        assert!(
            again.as_ref().is_ok_and(|status| status.success()),
            "{test} needs root or user namespaces, or it failed there ({again:?}); {SKIP}=1 leaves it out"
        );
        None
    }

    fn free_bytes(&self) -> u64 {
        fs4::available_space(&self.path).unwrap()
    }

    /// Something else takes the space, until so much is left.
    fn fill(&self, name: &str, left_bytes: u64) -> PathBuf {
        let path = self.path.join(name);
        let mut file = std::fs::File::create(&path).unwrap();
        let page = [1; 4096];
        while self.free_bytes() >= left_bytes + page.len() as u64 {
            match file.write_all(&page) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn with_reserve(disk: &Path, reserve_bytes: u64) -> ServerOptions {
    let mut options = options(&disk.join("data"));
    options.sizes.reserve_bytes = reserve_bytes;
    options
}

#[tokio::test]
async fn below_the_reserve_writes_are_refused_reads_go_on_and_it_recovers() {
    let test = "below_the_reserve_writes_are_refused_reads_go_on_and_it_recovers";
    let Some(disk) = SmallDisk::mount(test) else {
        return;
    };
    let relay = Relay::start(with_reserve(&disk.path, 4 << 20)).await;
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let (timeline, mut admin, intro) = open(1);
    let mut client = Client::connect(&dialer, &relay.address).await;
    client.prove(&admin).await;
    client.append(vec![timeline.genesis, intro]).await;
    let before = admin.write(b"before");
    assert!(client.append(vec![before.clone()]).await[0].is_kept());

    let ballast = disk.fill("ballast", 2 << 20);
    assert!(disk.free_bytes() < 4 << 20);
    let refused = admin.write(b"no room");
    let outcome = client.append(vec![refused.clone()]).await[0];
    assert!(
        matches!(
            outcome,
            AppendOutcome::Refused {
                code: ErrorCode::DiskFull,
                retry_after_ms: Some(_)
            }
        ),
        "{outcome:?}"
    );
    assert!(relay.get("/readyz").await.contains("disk is full"));
    let mut reader = Client::connect(&dialer, &relay.address).await;
    reader.prove(&admin).await;
    reader.subscribe(admin.timeline, Vec::new()).await;
    assert_eq!(reader.texts(1).await, [before.id()], "reads go on");

    std::fs::remove_file(&ballast).unwrap();
    assert!(
        client.append(vec![refused.clone()]).await[0].is_kept(),
        "without a restart"
    );
    assert_eq!(reader.texts(1).await, [refused.id()]);
    relay.stop().await;
}

/// Appends one after the other, until something is not stored; how many were.
async fn append_until_it_breaks(client: &mut Client, envelopes: &[VerifiedEnvelope]) -> usize {
    for (stored, envelope) in envelopes.iter().enumerate() {
        let answer = client.try_append(vec![envelope.clone()]).await;
        match answer.as_deref() {
            Ok([AppendOutcome::Stored { .. }]) => {}
            Ok(
                [
                    AppendOutcome::Refused {
                        code: ErrorCode::DiskFull,
                        retry_after_ms: Some(_),
                    },
                ],
            )
            | Err(Closed::ByPeer {
                code: Some(ErrorCode::Internal),
                ..
            }) => return stored,
            Ok(_) | Err(_) => panic!("{answer:?}"),
        }
    }
    panic!("the disk took everything")
}

/// Whoever comes before the hub stands again is cut off and comes again.
async fn connect(dialer: &Dialer, relay: &Relay, author: &Author) -> Client {
    let connected = async {
        loop {
            if let Some(client) = Client::try_connect(dialer, &relay.address).await {
                return client;
            }
        }
    };
    let connected = tokio::time::timeout(PATIENCE, connected).await;
    let mut client = connected.expect("the relay does not come back");
    client.prove(author).await;
    client
}

/// There is no reserve, so RocksDB itself runs out of space in the middle of a commit: by
/// invariant 7 the hub goes, and is built again from what is on the disk.
#[tokio::test]
async fn where_rocksdb_runs_out_of_space_nothing_acknowledged_is_lost_and_it_recovers() {
    let test = "where_rocksdb_runs_out_of_space_nothing_acknowledged_is_lost_and_it_recovers";
    let Some(disk) = SmallDisk::mount(test) else {
        return;
    };
    let relay = Relay::start(with_reserve(&disk.path, 0)).await;
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let (timeline, mut admin, intro) = open(1);
    let mut client = connect(&dialer, &relay, &admin).await;
    client.append(vec![timeline.genesis, intro]).await;
    let mut waiting: Vec<_> = (0..100_u8)
        .map(|n| admin.write(&vec![n; 200 << 10]))
        .collect();
    let mut acknowledged = Vec::new();

    let first = disk.fill("first", 64 << 10);
    let stored = append_until_it_breaks(&mut client, &waiting).await;
    acknowledged.extend(waiting.drain(..stored).map(|envelope| envelope.id()));
    // RocksDB gave back what it had set aside for its log; with that the folder opens again.
    client = connect(&dialer, &relay, &admin).await;
    client.subscribe(admin.timeline, Vec::new()).await;
    let read = client.texts(acknowledged.len()).await;
    assert_eq!(read, acknowledged, "reads go on");

    // That is taken, too: now the process may have to wait for space before it serves.
    let second = disk.fill("second", 64 << 10);
    let stored = append_until_it_breaks(&mut client, &waiting).await;
    acknowledged.extend(waiting.drain(..stored).map(|envelope| envelope.id()));
    assert!(relay.get("/livez").await.starts_with("HTTP/1.1 200"));
    let metrics = relay.get("/metrics").await;
    // Without a reserve nothing is refused beforehand: both were commits that failed.
    assert!(metrics.contains("khlong_hub_failures_total 2"), "{metrics}");

    for path in [first, second] {
        std::fs::remove_file(path).unwrap();
    }
    let mut client = connect(&dialer, &relay, &admin).await;
    // The first was of unknown fate; whatever became of it, it is here once.
    for envelope in &waiting[..5] {
        let outcome = client.append(vec![envelope.clone()]).await[0];
        assert!(outcome.is_kept(), "without a restart: {outcome:?}");
        acknowledged.push(envelope.id());
    }
    client.subscribe(admin.timeline, Vec::new()).await;
    assert_eq!(client.texts(acknowledged.len()).await, acknowledged);
    assert!(relay.get("/readyz").await.starts_with("HTTP/1.1 200"));
    relay.stop().await;
}
