//! How a relay ends: connections that are cut leave the hub, damage ends the process
//! with its own exit code, and a disk that hangs does not hold it for ever.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, TimelineId};
use khlong_relay::command::CommandError;
use khlong_relay::server::{OpenStore, Server, ServerError, ServerOptions};
use khlong_store::engine::faults::Fault;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role;
use khlong_store::table::Table;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::wire::frame::{Frame, Lane, Subscribe, TimelineSubscription};
use support::client::{Client, PATIENCE};
use support::open;
use support::served::{Relay, options};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

fn anywhere() -> ServerOptions {
    options(Path::new("unused"))
}

/// A relay on an imaginary disk; `reopen` runs before the folder is opened again.
async fn serve(
    disk: &MemoryDisk,
    options: ServerOptions,
    mut reopen: impl FnMut() + Send + 'static,
) -> (Server, Arc<AtomicUsize>) {
    let opened = Arc::new(AtomicUsize::new(0));
    let (disk, counted) = (disk.clone(), Arc::clone(&opened));
    let open: OpenStore = Box::new(move || {
        if counted.fetch_add(1, Ordering::Relaxed) > 0 {
            reopen();
        }
        let open = khlong_store::store::OpenOptions {
            role: Role::Relay,
            fresh_log_id: khlong_crdt::id::LogId::from_bytes([5; 16]),
            accept_loss: false,
            sizes: khlong_store::engine::rocks::RocksOptions {
                reserve_bytes: 1,
                ..Default::default()
            },
        };
        khlong_store::store::Store::in_memory(&disk, &open).map_err(ServerError::Store)
    });
    (Server::start_on(open, options).await.unwrap(), opened)
}

type Served = JoinHandle<Result<(), ServerError>>;

fn run(server: Server) -> (oneshot::Sender<()>, Served) {
    let (quit, stop) = oneshot::channel::<()>();
    let stop = async {
        let _ = stop.await;
    };
    (quit, tokio::spawn(server.run(stop)))
}

async fn ended(served: Served) -> Result<(), ServerError> {
    tokio::time::timeout(PATIENCE, served)
        .await
        .expect("it does not end")
        .unwrap()
}

/// Makes the hub fail: a commit whose fate is unknown.
async fn break_a_commit(disk: &MemoryDisk, client: &mut Client) {
    let (timeline, admin, intro) = open(1);
    client.prove(&admin).await;
    assert!(client.append(vec![timeline.genesis]).await[0].is_kept());
    disk.inject(Fault::SyncError { persisted: false });
    let answer = client.try_append(vec![intro]).await;
    assert!(
        answer.is_err(),
        "an unknown commit was answered: {answer:?}"
    );
}

#[tokio::test]
async fn whoever_is_cut_off_for_not_reading_leaves_the_hub_at_once() {
    let mut options = anywhere();
    // The answer to one long subscribe is more than may wait.
    options.limits.queued_bytes_max = 64 * 1024;
    let (server, _) = serve(&MemoryDisk::new(), options, || {}).await;
    let relay = Relay::serve(server);
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let strangers = (0..4_096_u64).map(|n| {
        let mut id = [7; 32];
        for (byte, from) in id.iter_mut().zip(n.to_be_bytes()) {
            *byte = from;
        }
        TimelineSubscription {
            timeline: TimelineId::from_bytes(id),
            backfill: Class::ALL.map(|class| (class, ArrivalSeq(0))).to_vec(),
        }
    });
    let long = Frame::Subscribe(Subscribe {
        request: 1,
        cursors: Vec::new(),
        timelines: strangers.collect(),
        wake_up: None,
    });
    // Several: sometimes the end of the link is heard before the driver's.
    for _ in 0..16 {
        let mut client = Client::connect(&dialer, &relay.address).await;
        let sender = client.link.sender();
        sender.send(Lane::Control, long.clone()).await.unwrap();
        client.rest().await;
    }
    // Far sooner than silence would end it: the client's keep-alive is 30 s, three of them.
    let gone = async {
        while !relay.get("/metrics").await.contains("khlong_connections 0") {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, gone).await.is_ok(),
        "a ghost stays in the hub"
    );
    relay.stop().await;
}

#[tokio::test]
async fn a_folder_that_lost_what_was_acknowledged_ends_the_relay_with_exit_code_9() {
    let disk = MemoryDisk::new();
    let rotten = disk.clone();
    let rot = move || {
        assert!(rotten.rot(Table::Meta, b"committed", 70));
    };
    let (server, opened) = serve(&disk, anywhere(), rot).await;
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let address = server.address().clone();
    let (_quit, served) = run(server);
    let mut client = Client::connect(&dialer, &address).await;
    break_a_commit(&disk, &mut client).await;
    let error = ended(served).await.unwrap_err();
    assert!(matches!(error, ServerError::Store(_)), "{error:?}");
    assert_eq!(CommandError::Server(error).exit_code(), 9);
    assert_eq!(opened.load(Ordering::Relaxed), 2, "asked again and again");
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_hold_the_relay_when_it_is_told_to_stop() {
    let disk = MemoryDisk::new();
    let (hang, hanging) = mpsc::sync_channel::<()>(1);
    let (reached, reaching) = mpsc::sync_channel::<()>(1);
    let wait = move || {
        reached.send(()).unwrap();
        // Until the test is over.
        let _ = hanging.recv();
    };
    let options = ServerOptions {
        stop_within: Duration::from_millis(200),
        ..anywhere()
    };
    let (server, _) = serve(&disk, options, wait).await;
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let address = server.address().clone();
    let (quit, served) = run(server);
    let mut client = Client::connect(&dialer, &address).await;
    break_a_commit(&disk, &mut client).await;
    tokio::task::spawn_blocking(move || reaching.recv_timeout(PATIENCE))
        .await
        .unwrap()
        .unwrap();
    quit.send(()).unwrap();
    let error = ended(served).await.unwrap_err();
    assert!(
        matches!(error, ServerError::DriverHangs { .. }),
        "{error:?}"
    );
    drop(hang);
}
