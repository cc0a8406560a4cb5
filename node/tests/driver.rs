//! A node whose disk fails under it: the driver drops the peer and its
//! connections, opens the disk again, and goes on. Real threads, a real relay on
//! loopback; only the disks are imaginary.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

#[path = "peer/disk.rs"]
mod disk;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use khlong_node::api::{Delivery, Event, ImportedLine, MessageView, Request, Response};
use khlong_node::error::NodeError;
use khlong_node::node::{Events, Heard, Node, OpenPeer};
use khlong_node::peer::SnapshotPace;
use khlong_relay::hub::Policy;
use khlong_relay::server::{Server, ServerError, ServerOptions};
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::error::{EngineError, StoreError};
use khlong_store::identity::Role;
use khlong_sync::transport::quic::limits::QuicLimits;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use disk::{NodeDisk, open_store};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running node, its disk, and how often the disk was opened.
struct Home {
    node: Node,
    disk: MemoryDisk,
    openings: Arc<AtomicU32>,
}

impl Home {
    /// `bad_opening`, if any, is the one at which the disk does not open.
    async fn open(name: &str, online: bool, bad_opening: Option<u32>) -> Self {
        let mut on_disk = NodeDisk::with_node(name, 1);
        let disk = on_disk.disk.clone();
        let openings = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&openings);
        let open: OpenPeer = Box::new(move |now| {
            let opening = counted.fetch_add(1, Ordering::SeqCst) + 1;
            if Some(opening) == bad_opening {
                return Err(NodeError::Keys("not mounted yet".to_owned()));
            }
            on_disk.open(now)
        });
        Self {
            node: Node::open_on(open, online).await.unwrap(),
            disk,
            openings,
        }
    }

    async fn ask(&self, request: Request) -> Response {
        let response = self.node.request(request).await;
        assert!(
            !matches!(response, Response::Refused { .. }),
            "{response:?}"
        );
        response
    }

    async fn open_timeline(&self) {
        let new = Request::TimelineNew {
            title: "canal".to_owned(),
            kind: "group".to_owned(),
            relays: Vec::new(),
        };
        self.ask(new).await;
    }

    async fn messages(&self) -> Vec<MessageView> {
        let log = Request::Log {
            timeline: "canal".to_owned(),
            from: None,
            limit: None,
        };
        match self.ask(log).await {
            Response::Messages { messages, .. } => messages,
            other => panic!("{other:?}"),
        }
    }

    async fn bodies(&self) -> Vec<String> {
        let messages = self.messages().await.into_iter();
        messages.map(|message| message.body).collect()
    }

    fn openings(&self) -> u32 {
        self.openings.load(Ordering::SeqCst)
    }
}

fn send(body: &str) -> Request {
    Request::Send {
        timeline: "canal".to_owned(),
        body: body.to_owned(),
        reply_to: None,
    }
}

async fn fails_while_sending(persisted: bool) {
    let home = Home::open("mali", false, None).await;
    home.open_timeline().await;
    home.ask(send("acknowledged")).await;
    home.disk.inject(Fault::SyncError { persisted });
    let told = home.node.request(send("of unknown fate")).await;
    assert_eq!(home.disk.fired(FaultKind::SyncError), 1);
    let Response::Refused { message, .. } = told else {
        panic!("it was acknowledged: {told:?}")
    };
    assert!(message.contains("look with `khlong log`"), "{message}");
    let expected: &[&str] = if persisted {
        &["acknowledged", "of unknown fate"]
    } else {
        &["acknowledged"]
    };
    assert_eq!(home.bodies().await, expected, "the disk knows");
    assert_eq!(home.openings(), 2);
    home.ask(send("after that")).await;
    assert_eq!(home.bodies().await.len(), expected.len() + 1);
    home.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_is_not_acknowledged_and_the_node_goes_on() {
    fails_while_sending(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_that_reached_the_disk_is_found_there() {
    fails_while_sending(true).await;
}

/// Nobody waits for a snapshot, and none takes an answer back.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_fails_leaves_the_answer_and_the_node_goes_on() {
    let mut on_disk = NodeDisk::with_node("mali", 1);
    let disk = on_disk.disk.clone();
    let openings = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&openings);
    let pace = SnapshotPace {
        due: 1,
        at_stop: 1,
        ..SnapshotPace::PRODUCTION
    };
    let open: OpenPeer = Box::new(move |now| {
        counted.fetch_add(1, Ordering::SeqCst);
        on_disk.open(now).map(|peer| peer.with_snapshot_pace(pace))
    });
    let home = Home {
        node: Node::open_on(open, false).await.unwrap(),
        disk,
        openings,
    };
    home.open_timeline().await;
    // An answer to it comes after the snapshot of the turn before.
    home.ask(Request::Status).await;
    home.disk
        .inject_after(1, Fault::SyncError { persisted: false });
    home.ask(send("written")).await;
    assert_eq!(home.bodies().await, ["written"]);
    assert_eq!(home.disk.fired(FaultKind::SyncError), 1);
    assert_eq!(home.openings(), 2);
    home.ask(send("after that")).await;
    home.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_open_at_once_is_tried_again() {
    let home = Home::open("mali", false, Some(2)).await;
    home.open_timeline().await;
    home.disk.inject(Fault::SyncError { persisted: false });
    let told = home.node.request(send("lost")).await;
    assert!(matches!(told, Response::Refused { .. }), "{told:?}");
    home.ask(send("kept")).await;
    assert_eq!(home.openings(), 3, "the second one failed");
    assert_eq!(home.bodies().await, ["kept"]);
    home.node.stop().await;
}

/// Refused before anything was tried: whoever asked is told so plainly.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_as_such_and_the_node_goes_on() {
    let home = Home::open("mali", false, None).await;
    home.open_timeline().await;
    home.disk.set_free_bytes(Some(0));
    for _ in 0..2 {
        let told = home.node.request(send("no room")).await;
        let Response::Refused { message, exit_code } = told else {
            panic!("it was acknowledged: {told:?}")
        };
        assert_eq!(exit_code, 7, "{message}");
        assert!(message.starts_with("nothing was written"), "{message}");
        assert!(!message.contains("khlong log"), "{message}");
        assert!(home.bodies().await.is_empty(), "memory is not ahead of it");
    }
    assert_eq!(home.disk.fired(FaultKind::DiskFull), 2);
    home.disk.set_free_bytes(None);
    home.ask(send("room again")).await;
    assert_eq!(home.bodies().await, ["room again"]);
    home.node.stop().await;
}

/// The folder cannot even be opened, as RocksDB has it on a file system without a block left.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_to_open_is_waited_for_and_told() {
    let mut on_disk = NodeDisk::with_node("mali", 1);
    let disk = on_disk.disk.clone();
    let is_full = Arc::new(AtomicBool::new(false));
    let full = Arc::clone(&is_full);
    let open: OpenPeer = Box::new(move |now| {
        if full.load(Ordering::SeqCst) {
            return Err(NodeError::Store(StoreError::Engine(EngineError::Io {
                operation: "open",
                message: "IO error: No space left on device: While appending".to_owned(),
            })));
        }
        on_disk.open(now)
    });
    let home = Home {
        node: Node::open_on(open, false).await.unwrap(),
        disk,
        openings: Arc::default(),
    };
    home.open_timeline().await;
    is_full.store(true, Ordering::SeqCst);
    home.disk.inject(Fault::NoSpace);
    for request in [send("fails"), Request::Status, Request::Status] {
        let told = home.node.request(request).await;
        assert!(matches!(told, Response::Refused { .. }), "{told:?}");
    }
    let Response::Refused { message, exit_code } = home.node.request(Request::Status).await else {
        panic!("it was answered from a folder that is not open")
    };
    assert_eq!(exit_code, 7, "{message}");
    is_full.store(false, Ordering::SeqCst);
    let begun = Instant::now();
    while matches!(
        home.node.request(Request::Status).await,
        Response::Refused { .. }
    ) {
        assert!(begun.elapsed() < PATIENCE, "it does not come back");
        tokio::task::yield_now().await;
    }
    home.ask(send("room again")).await;
    assert_eq!(home.bodies().await, ["room again"]);
    home.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_busy_for_a_moment_is_waited_for() {
    let home = Home::open("mali", false, None).await;
    home.open_timeline().await;
    home.disk.inject(Fault::Stall);
    home.disk.inject(Fault::Stall);
    home.ask(send("a moment later")).await;
    assert_eq!(home.disk.fired(FaultKind::Stall), 2);
    assert_eq!(home.openings(), 1, "the peer stayed");
    assert_eq!(home.bodies().await, ["a moment later"]);

    // Six times: more often than a commit is tried.
    for _ in 0..6 {
        home.disk.inject(Fault::Stall);
    }
    let told = home.node.request(send("too long")).await;
    let Response::Refused { message, exit_code } = told else {
        panic!("it was acknowledged: {told:?}")
    };
    assert_eq!(exit_code, 1, "{message}");
    assert!(message.starts_with("nothing was written"), "{message}");
    assert_eq!(home.bodies().await, ["a moment later"]);
    home.ask(send("at last")).await;
    home.node.stop().await;
}

/// One turn of the driver takes more than one batch holds.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_one_batch_is_committed_in_several() {
    const REQUESTS: usize = 10;
    let home = Home::open("mali", false, None).await;
    home.open_timeline().await;
    let import = |n: usize| {
        let line = |i: usize| {
            let mut bytes = vec![0; 8 * 1_024];
            let mut hasher = blake3::Hasher::new();
            hasher.update(&(n * 256 + i).to_be_bytes());
            hasher.finalize_xof().fill(&mut bytes);
            ImportedLine {
                network: "irc".to_owned(),
                sender: "som".to_owned(),
                sent_at_ms: 0,
                body: data_encoding::BASE64.encode(&bytes),
                import_key: format!("{:032x}", n * 256 + i),
                reply_to: None,
            }
        };
        Request::Import {
            timeline: "canal".to_owned(),
            messages: (0..256).map(line).collect(),
            dry_run: false,
        }
    };
    let asked: Vec<_> = (0..REQUESTS)
        .map(|n| {
            let (node, request) = (home.node.clone(), import(n));
            tokio::spawn(async move { node.request(request).await })
        })
        .collect();
    for asked in asked {
        let told = asked.await.unwrap();
        assert!(
            matches!(told, Response::Imported { imported: 256, .. }),
            "{told:?}"
        );
    }
    assert_eq!(home.openings(), 1);
    home.node.stop().await;
}

struct Relay {
    address: String,
    quit: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServerError>>,
}

impl Relay {
    async fn start() -> Self {
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let options = ServerOptions {
            key: SigningKey::from_bytes(&[42; 32]),
            folder: PathBuf::new(),
            sizes: RocksOptions::default(),
            accept_loss: false,
            policy: Policy::default(),
            quic: loopback,
            admin: loopback,
            limits: QuicLimits::default(),
            public_host: "127.0.0.1".to_owned(),
            public_port: None,
            stop_within: khlong_relay::server::STOP_WITHIN,
        };
        let disk = MemoryDisk::new();
        let open = Box::new(move || Ok(open_store(&disk, Role::Relay)));
        let server = Server::start_on(open, options).await.unwrap();
        let address = server.address().to_string();
        let (quit, stop) = oneshot::channel::<()>();
        let served = tokio::spawn(server.run(async {
            let _ = stop.await;
        }));
        Self {
            address,
            quit,
            served,
        }
    }

    async fn stop(self) {
        drop(self.quit);
        self.served.await.unwrap().unwrap();
    }
}

async fn until(events: &mut Events, wanted: impl Fn(&Event) -> bool) {
    let heard = async {
        loop {
            match events.next().await.unwrap() {
                Heard::Event(event) if wanted(&event) => return,
                Heard::Event(_) => {}
                Heard::Missed(count) => panic!("{count} events missed"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
}

/// Until the message of this text has come so far.
async fn until_delivered(home: &Home, events: &mut Events, body: &str) {
    loop {
        let messages = home.messages().await;
        let sent = messages.iter().find(|message| message.body == body);
        if sent.unwrap().delivery == Delivery::Delivered {
            return;
        }
        until(events, |event| matches!(event, Event::Delivery { .. })).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_loses_its_disk_while_receiving_calls_the_relay_again() {
    let relay = Relay::start().await;
    let (mali, ton) = (
        Home::open("mali", true, None).await,
        Home::open("ton", true, None).await,
    );
    for home in [&mali, &ton] {
        let (address, token) = (relay.address.clone(), None);
        home.ask(Request::RelayAdd { address, token }).await;
    }
    mali.open_timeline().await;
    let invite = Request::TimelineInvite {
        timeline: "canal".to_owned(),
        to: None,
        read_only: false,
        expires_in_s: 0,
    };
    let Response::Invite { link, .. } = mali.ask(invite).await else {
        panic!("no invite")
    };
    assert!(mali.node.wait_idle(PATIENCE).await);
    let (mut at_mali, mut at_ton) = (mali.node.subscribe(), ton.node.subscribe());
    ton.ask(Request::TimelineJoin { link }).await;
    mali.ask(send("before")).await;
    until(&mut at_ton, |event| matches!(event, Event::Message { .. })).await;
    until_delivered(&mali, &mut at_mali, "before").await;

    ton.disk.inject(Fault::SyncError { persisted: false });
    mali.ask(send("once")).await;
    until(&mut at_ton, |event| matches!(event, Event::Message { .. })).await;
    assert_eq!(ton.disk.fired(FaultKind::SyncError), 1);
    assert_eq!(ton.openings(), 2);
    assert_eq!(ton.bodies().await, ["before", "once"]);
    until_delivered(&mali, &mut at_mali, "once").await;
    for home in [mali, ton] {
        home.node.stop().await;
    }
    relay.stop().await;
}
