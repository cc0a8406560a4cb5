//! The whole relay on loopback: real QUIC, real RocksDB, a minimal client.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::net::SocketAddr;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::RelayKey;
use khlong_relay::server::{Server, ServerError, ServerOptions};
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::error::{Closed, ConnectError};
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{AppendOutcome, Frame, Lane};
use support::client::{Client, PATIENCE, closed};
use support::open;
use support::served::{Relay, options};
use support::virtual_world::open_store;

#[tokio::test]
async fn append_push_reconnect_by_cursor_restart() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(options(folder.path())).await;
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let (timeline, mut admin, intro) = open(1);

    let mut writer = Client::connect(&dialer, &relay.address).await;
    writer.prove(&admin).await;
    let opened = writer.append(vec![timeline.genesis, intro]).await;
    assert!(opened.iter().all(AppendOutcome::is_kept), "{opened:?}");
    let first = admin.write("แรก".as_bytes());
    writer.append(vec![first.clone()]).await;

    let mut reader = Client::connect(&dialer, &relay.address).await;
    reader.prove(&admin).await;
    reader.subscribe(admin.timeline, Vec::new()).await;
    assert_eq!(reader.texts(1).await, [first.id()], "backfill");
    // The class stream begins behind the backfill: a live push.
    let second = admin.write("live".as_bytes());
    writer.append(vec![second.clone()]).await;
    assert_eq!(reader.texts(1).await, [second.id()]);
    let stats = reader.link.stats();
    assert!(
        stats.udp_sent_bytes > 0 && stats.udp_received_bytes > second.bytes().len() as u64,
        "{stats:?}"
    );
    let cursors: Vec<_> = reader
        .cursors
        .iter()
        .map(|(class, cursor)| (*class, *cursor))
        .collect();
    drop(reader);

    let third = admin.write("while away".as_bytes());
    writer.append(vec![third.clone()]).await;
    let metrics = relay.get("/metrics").await;
    assert!(
        metrics.contains("khlong_envelopes_stored_total 5"),
        "{metrics}"
    );
    assert!(
        metrics.contains("khlong_commit_seconds_count 4"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("tl_") && !metrics.contains("127.0.0.1"),
        "a label names somebody: {metrics}"
    );
    assert!(relay.get("/readyz").await.starts_with("HTTP/1.1 200"));
    relay.stop().await;
    assert!(matches!(
        writer.closed().await,
        Closed::ByPeer {
            code: Some(ErrorCode::ShuttingDown),
            ..
        }
    ));

    let relay = Relay::start(options(folder.path())).await;
    let mut back = Client::connect(&dialer, &relay.address).await;
    back.prove(&admin).await;
    back.subscribe(admin.timeline, cursors).await;
    assert_eq!(
        back.texts(1).await,
        [third.id()],
        "exactly what was missed, after a restart"
    );
    relay.stop().await;
}

#[tokio::test]
async fn a_relay_with_another_key_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(options(folder.path())).await;
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let expected = RelayKey::from_bytes([1; 32]);
    let wrong = RelayAddress {
        key: expected,
        ..relay.address.clone()
    };
    let error = dialer.connect(&wrong).await.unwrap_err();
    let ConnectError::WrongKey {
        expected: named,
        found,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!((*named, *found), (expected, relay.address.key));
    relay.stop().await;
}

#[tokio::test]
async fn an_address_in_use_and_a_folder_in_use_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(options(folder.path())).await;
    let error = Server::start(options(folder.path())).await.unwrap_err();
    let ServerError::Store(store) = &error else {
        panic!("{error}")
    };
    assert!(
        store.to_string().contains(&std::process::id().to_string()),
        "{store}"
    );

    let other = tempfile::tempdir().unwrap();
    let quic = SocketAddr::from(([127, 0, 0, 1], relay.address.port));
    let error = Server::start(ServerOptions {
        quic,
        ..options(other.path())
    })
    .await
    .unwrap_err();
    let ServerError::Quic(setup) = &error else {
        panic!("{error}")
    };
    assert!(
        setup.is_address_in_use() && setup.to_string().contains(&quic.to_string()),
        "{setup}"
    );
    let error = Server::start(ServerOptions {
        admin: relay.admin,
        ..options(other.path())
    })
    .await
    .unwrap_err();
    assert!(
        error.to_string().contains(&relay.admin.to_string()),
        "{error}"
    );
    assert!(error.to_string().contains("another process"), "{error}");
    relay.stop().await;
}

#[tokio::test]
async fn whoever_breaks_the_protocol_is_told_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(options(folder.path())).await;
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let (timeline, admin, intro) = open(1);
    let mut honest = Client::connect(&dialer, &relay.address).await;
    honest.prove(&admin).await;

    // A frame before hello.
    let mut link = dialer.connect(&relay.address).await.unwrap();
    link.sender()
        .send(
            Lane::Control,
            Frame::Ping(khlong_sync::wire::frame::Ping { nonce: 1 }),
        )
        .await
        .unwrap();
    assert!(matches!(
        closed(&mut link).await,
        Closed::ByPeer {
            code: Some(ErrorCode::Protocol),
            ..
        }
    ));

    // An append for a timeline of which nothing is proven: refused, connection kept.
    let mut unproven = Client::connect(&dialer, &relay.address).await;
    let (other, _, _) = open(2);
    let append = khlong_sync::wire::frame::Append {
        request: 9,
        envelopes: vec![other.genesis],
    };
    let lane = Lane::Class(append.class());
    unproven
        .link
        .sender()
        .send(lane, Frame::Append(append))
        .await
        .unwrap();
    let answer = tokio::time::timeout(PATIENCE, unproven.link.recv())
        .await
        .unwrap();
    assert!(format!("{answer:?}").contains("Unproven"), "{answer:?}");

    let kept = honest.append(vec![timeline.genesis, intro]).await;
    assert!(
        kept.iter().all(AppendOutcome::is_kept),
        "the honest client was served meanwhile"
    );
    relay.stop().await;
}

#[tokio::test]
async fn after_a_failed_commit_nobody_gets_an_ack_and_the_relay_serves_again_from_disk() {
    let disk = MemoryDisk::new();
    let reopened = disk.clone();
    let open_again = Box::new(move || Ok(open_store(&reopened, Role::Relay)));
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::serve(
        Server::start_on(open_again, options(folder.path()))
            .await
            .unwrap(),
    );
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let (timeline, mut admin, intro) = open(1);
    let mut client = Client::connect(&dialer, &relay.address).await;
    client.prove(&admin).await;
    let kept = admin.write(b"acknowledged");
    client
        .append(vec![timeline.genesis, intro, kept.clone()])
        .await;

    disk.inject(Fault::SyncError { persisted: false });
    let lost = admin.write(b"never acknowledged");
    client.offer(vec![lost.clone()]).await;
    let (frames, ended) = client.rest().await;
    assert_eq!(
        disk.fired(FaultKind::SyncError),
        1,
        "the fault never happened"
    );
    assert!(
        frames.iter().all(|frame| !matches!(frame, Frame::Ack(_))),
        "an ack left: {frames:?}"
    );
    assert!(
        matches!(
            ended,
            Closed::ByPeer {
                code: Some(ErrorCode::Internal),
                ..
            }
        ),
        "{ended:?}"
    );

    // Whoever comes before the hub stands again is cut off and comes again.
    let again = async {
        loop {
            if let Some(client) = Client::try_connect(&dialer, &relay.address).await {
                return client;
            }
        }
    };
    let mut client = tokio::time::timeout(PATIENCE, again)
        .await
        .expect("it does not come back");
    client.prove(&admin).await;
    assert!(client.append(vec![lost.clone()]).await[0].is_kept());
    client.subscribe(admin.timeline, Vec::new()).await;
    assert_eq!(client.texts(2).await, [kept.id(), lost.id()]);
    assert!(
        relay
            .get("/metrics")
            .await
            .contains("khlong_hub_failures_total 1")
    );
    assert!(relay.get("/readyz").await.starts_with("HTTP/1.1 200"));
    relay.stop().await;
}

#[tokio::test]
async fn connections_over_the_limit_are_turned_away_and_a_seat_given_back_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let limits = QuicLimits {
        connections_per_address_max: 3,
        ..QuicLimits::default()
    };
    let relay = Relay::start(ServerOptions {
        limits,
        ..options(folder.path())
    })
    .await;
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let mut seated = Vec::new();
    for _ in 0..3 {
        seated.push(Client::connect(&dialer, &relay.address).await);
    }
    for _ in 0..20 {
        let error = dialer.connect(&relay.address).await.unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    }
    // Where all stands still for a second, a client sends its first packet twice.
    let metrics = relay.get("/metrics").await;
    let mut lines = metrics.lines();
    let away = lines.find_map(|line| line.strip_prefix("khlong_connections_turned_away_total "));
    assert!(away.unwrap().parse::<u32>().unwrap() >= 20, "{metrics}");
    seated.pop().unwrap().link.close(None, "").await;
    // The seat is free as soon as the relay has seen the close.
    let again = async {
        loop {
            if let Ok(link) = dialer.connect(&relay.address).await {
                return link;
            }
        }
    };
    tokio::time::timeout(PATIENCE, again)
        .await
        .expect("the seat stays taken");
    relay.stop().await;
}
