//! A peer on any store: what it needs is in its arguments, and nothing else counts.

use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_node::api::{Event, IMPORT_BATCH_MESSAGES_MAX, ImportedLine, Request, Response};
use khlong_node::error::NodeError;
use khlong_node::peer::{MasterKey, Peer, PeerOutput};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role;

use crate::WALL_START_MS;
use crate::disk::{NodeDisk, open_store};

pub(crate) fn at(micros: u64) -> Now {
    Now {
        monotonic: Monotonic(micros),
        wall: UnixMillis(WALL_START_MS + (micros / 1_000) as i64),
    }
}

fn ask(peer: &mut Peer, now: Now, request: Request) -> Response {
    let response = peer.request(now, request);
    peer.commit(now).unwrap();
    assert!(
        !matches!(response, Response::Refused { .. }),
        "{response:?}"
    );
    response
}

fn write_some(peer: &mut Peer) {
    let new = Request::TimelineNew {
        title: "canal".to_owned(),
        kind: "group".to_owned(),
        relays: Vec::new(),
    };
    ask(peer, at(1_000), new);
    for (n, body) in [(2, "สวัสดี"), (3, "น้ำขึ้น")] {
        let send = Request::Send {
            timeline: "canal".to_owned(),
            body: body.to_owned(),
            reply_to: None,
        };
        ask(peer, at(n * 1_000), send);
    }
}

fn bodies(peer: &mut Peer) -> Vec<String> {
    let log = Request::Log {
        timeline: "canal".to_owned(),
        from: None,
        limit: None,
    };
    let Response::Messages { messages, .. } = ask(peer, at(9_000), log) else {
        panic!("no messages")
    };
    messages.into_iter().map(|message| message.body).collect()
}

/// Every row as it lies on the disk.
fn rows(peer: &Peer) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    peer.store()
        .for_each_row(&mut |table, key, row| {
            rows.push((format!("{table:?}"), key.to_vec(), row.to_vec()));
            Ok(())
        })
        .unwrap();
    rows
}

#[test]
fn a_node_in_memory_outlives_its_process() {
    let mut node = NodeDisk::with_node("mali", 1);
    let mut peer = node.open(at(0)).unwrap();
    write_some(&mut peer);
    assert_eq!(peer.next_deadline(), None, "offline, nothing is ever due");
    drop(peer);
    node.disk.crash();
    let mut peer = node.open(at(0)).unwrap();
    assert_eq!(bodies(&mut peer), ["สวัสดี", "น้ำขึ้น"]);
}

#[test]
fn equal_entropy_and_inputs_leave_equal_bytes() {
    let run = |seed| {
        let mut node = NodeDisk::with_node("mali", seed);
        let mut peer = node.open(at(0)).unwrap();
        write_some(&mut peer);
        let mut outputs = Vec::new();
        while let Some(output) = peer.poll_output() {
            outputs.push(output);
        }
        (rows(&peer), outputs)
    };
    let (once, again, other) = (run(1), run(1), run(2));
    assert!(once.0.len() > 10 && !once.1.is_empty());
    assert_eq!(
        once, again,
        "keys, nonces, ids and events, all from the seed"
    );
    assert_ne!(once, other, "and only from it");
}

#[test]
fn what_is_no_node_of_this_key_is_refused() {
    let mut node = NodeDisk::with_node("mali", 1);
    drop(node.open(at(0)).unwrap());
    let open = |disk: &MemoryDisk, master: &MasterKey| {
        Peer::open_on(open_store(disk, Role::Node), master, [1; 32], at(0)).err()
    };
    let foreign = open(&node.disk, &MasterKey::from_bytes([9; 32]));
    assert!(matches!(foreign, Some(NodeError::Secret { .. })));
    let empty = open(&MemoryDisk::new(), &node.master());
    assert!(matches!(empty, Some(NodeError::Settings { .. })));
}

#[test]
fn a_refused_request_changes_nothing() {
    let mut node = NodeDisk::with_node("mali", 1);
    let mut peer = node.open(at(0)).unwrap();
    write_some(&mut peer);
    let before = rows(&peer);
    while peer.poll_output().is_some() {}
    let too_long = "ก".repeat(400);
    let requests = [
        Request::TimelineNew {
            title: too_long.clone(),
            kind: "group".to_owned(),
            relays: Vec::new(),
        },
        Request::TimelineRename {
            timeline: "canal".to_owned(),
            title: too_long.clone(),
        },
        Request::Nickname {
            nickname: too_long.clone(),
        },
        Request::TimelineInvite {
            timeline: "canal".to_owned(),
            to: None,
            read_only: false,
            expires_in_s: 0,
        },
        Request::Send {
            timeline: "canal".to_owned(),
            body: too_long.repeat(100),
            reply_to: None,
        },
    ];
    let create = Peer::create_on(
        &mut open_store(&MemoryDisk::new(), Role::Node),
        &node.master(),
        &too_long,
        [1; 32],
    );
    assert!(matches!(create, Err(NodeError::Usage(_))), "{create:?}");
    for request in requests {
        let asked: String = format!("{request:?}").chars().take(60).collect();
        let response = peer.request(at(10_000), request);
        peer.commit(at(10_000)).unwrap();
        assert!(matches!(response, Response::Refused { .. }), "{response:?}");
        assert!(rows(&peer) == before, "{asked}");
        assert!(peer.poll_output().is_none(), "{asked}");
    }
    assert_eq!(
        bodies(&mut peer).len(),
        2,
        "and memory is where the disk is"
    );
    drop(peer);
    let nickname = Request::Nickname {
        nickname: "มะลิ".to_owned(),
    };
    ask(&mut node.open(at(0)).unwrap(), at(20_000), nickname);
}

fn import(n: usize, body: impl Fn(usize) -> String) -> Request {
    let line = |i: usize| ImportedLine {
        network: "irc".to_owned(),
        sender: "som".to_owned(),
        sent_at_ms: WALL_START_MS,
        body: body(n * IMPORT_BATCH_MESSAGES_MAX + i),
        import_key: format!("{:032x}", n * IMPORT_BATCH_MESSAGES_MAX + i),
        reply_to: None,
    };
    Request::Import {
        timeline: "canal".to_owned(),
        messages: (0..IMPORT_BATCH_MESSAGES_MAX).map(line).collect(),
        dry_run: false,
    }
}

#[test]
fn of_too_many_events_the_newest_are_kept_and_the_others_counted() {
    const KEPT: usize = 4_096;
    let mut peer = NodeDisk::with_node("mali", 1).open(at(0)).unwrap();
    write_some(&mut peer);
    while peer.poll_output().is_some() {}
    let requests = KEPT / IMPORT_BATCH_MESSAGES_MAX + 1;
    for n in 0..requests {
        let told = peer.request(at(10_000), import(n, |_| "one of many".to_owned()));
        assert!(matches!(told, Response::Imported { .. }), "{told:?}");
    }
    peer.commit(at(10_000)).unwrap();
    let mut events = Vec::new();
    while let Some(output) = peer.poll_output() {
        events.extend(match output {
            PeerOutput::Event(event) => Some(event),
            _ => None,
        });
    }
    let count = (requests * IMPORT_BATCH_MESSAGES_MAX - KEPT) as u64;
    assert_eq!(events[0], Event::Missed { count });
    assert_eq!(events.len(), KEPT + 1);
    let log = Request::Log {
        timeline: "canal".to_owned(),
        from: None,
        limit: Some(1),
    };
    let Response::Messages { messages, .. } = ask(&mut peer, at(11_000), log) else {
        panic!("no messages")
    };
    let newest = Event::Message {
        timeline: messages_timeline(&mut peer),
        message: messages[0].id.clone(),
    };
    assert_eq!(events[KEPT], newest, "the newest is the last");
}

fn messages_timeline(peer: &mut Peer) -> String {
    match ask(peer, at(12_000), Request::TimelineLs) {
        Response::Timelines { timelines } => timelines[0].id.clone(),
        other => panic!("{other:?}"),
    }
}

/// Whoever heeds `has_room` never meets a full batch.
#[test]
fn a_batch_says_when_it_has_to_be_committed() {
    let mut peer = NodeDisk::with_node("mali", 1).open(at(0)).unwrap();
    write_some(&mut peer);
    let noise = |seed: usize| {
        let mut bytes = vec![0; 8 * 1_024];
        let mut reader = blake3::Hasher::new()
            .update(&seed.to_be_bytes())
            .finalize_xof();
        reader.fill(&mut bytes);
        data_encoding::BASE64.encode(&bytes)
    };
    let commits = |peer: &Peer| peer.store().last_commit().seq;
    let (before, mut early) = (commits(&peer), 0);
    for n in 0..5 {
        if !peer.has_room() {
            peer.commit(at(10_000)).unwrap();
            assert!(peer.has_room(), "a committed batch is empty");
            early += 1;
        }
        let told = peer.request(at(10_000), import(n, noise));
        assert!(matches!(told, Response::Imported { .. }), "{told:?}");
    }
    peer.commit(at(10_000)).unwrap();
    assert!(early > 0, "all of it fitted one batch");
    assert_eq!(commits(&peer), before + early + 1);
}
