//! Connections break, machines lose power, relays go: nothing that was
//! acknowledged is lost, and nothing is there twice. Every fault proves that it fired.

use khlong_crdt::class::Class;
use khlong_node::api::{Delivery, Event, Request};
use khlong_store::engine::faults::{Fault as DiskFault, FaultKind};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::tables::cursors;
use khlong_sync::wire::frame::Frame;

use crate::conversation::pair;
use crate::net::{Fate, Net, is_ack, is_append, is_push};

/// The envelopes of each append that `name` sent since `from`, as bytes.
fn appended(net: &Net, name: &'static str, from: usize) -> Vec<(Fate, Vec<Vec<u8>>)> {
    let sent = net.post.sent(name, is_append).split_off(from);
    sent.into_iter()
        .map(|carried| {
            let Frame::Append(append) = &carried.frame else {
                unreachable!()
            };
            let bytes = append.envelopes.iter();
            let bytes = bytes.map(|envelope| envelope.bytes().to_vec()).collect();
            (carried.fate, bytes)
        })
        .collect()
}

#[test]
fn an_append_that_was_lost_is_sent_again_with_the_same_bytes() {
    let mut net = Net::new(21, &["mali", "ton"]);
    pair(&mut net);
    let before = net.post.sent("mali", is_append).len();
    net.at("mali").send("canal", "once");
    net.hang_up("mali", "lost before it arrived");
    net.settle();
    let appends = appended(&net, "mali", before);
    assert_eq!(appends[0].0, Fate::Lost, "the fault fired");
    assert_eq!(appends[0].1, appends[1].1, "sealed once, sent again");
    let hub = net.relay.hub.as_ref().unwrap();
    assert_eq!(hub.stats().envelopes_duplicate, 0, "the relay saw it once");
    assert_eq!(net.at("ton").bodies("canal"), ["once"]);
    net.assert_converged("canal");
}

#[test]
fn an_append_whose_ack_was_lost_is_a_duplicate_and_nothing_is_there_twice() {
    let mut net = Net::new(22, &["mali", "ton"]);
    pair(&mut net);
    let before = net.post.sent("mali", is_append).len();
    let acks = net.post.sent("mali", is_ack).len();
    net.at("mali").send("canal", "once");
    net.run_until("the relay acknowledges", |net| {
        net.post.sent("mali", is_ack).len() > acks
    });
    assert_eq!(net.at("mali").delivery("canal", "once"), Delivery::Queued);
    net.hang_up("mali", "lost on the way back");
    assert_eq!(
        net.post.sent("mali", is_ack)[acks].fate,
        Fate::Lost,
        "the fault fired"
    );
    net.settle();
    let appends = appended(&net, "mali", before);
    assert_eq!(appends[0].1, appends[1].1, "sealed once, sent again");
    let hub = net.relay.hub.as_ref().unwrap();
    assert_eq!(
        hub.stats().envelopes_duplicate,
        appends[0].1.len() as u64,
        "the relay recognised all of it"
    );
    assert_eq!(net.at("ton").bodies("canal"), ["once"]);
    net.assert_converged("canal");
}

#[test]
fn a_relay_that_vanishes_without_a_word_is_left_and_found_again() {
    let mut net = Net::new(23, &["mali", "ton"]);
    pair(&mut net);
    net.silence("mali");
    let connections = net.people["mali"].connected_at.len();
    net.at("mali").send("canal", "into the void");
    // Three keep-alive intervals of 30 s.
    net.run_ms(91_000);
    assert!(
        net.people["mali"].connected_at.len() > connections,
        "it gave up and tried again"
    );
    assert_eq!(
        net.at("mali").delivery("canal", "into the void"),
        Delivery::Queued
    );
    net.heal();
    net.settle();
    net.assert_converged("canal");
    assert_eq!(net.at("ton").bodies("canal"), ["into the void"]);
}

#[test]
fn a_relay_that_says_goodbye_is_called_again() {
    let mut net = Net::new(24, &["mali", "ton"]);
    pair(&mut net);
    net.shut_down_relay();
    net.run_ms(5_000);
    let goodbyes = net
        .post
        .sent("mali", |frame| matches!(frame, Frame::Goodbye(_)));
    assert_eq!(goodbyes.len(), 1, "it was told");
    net.at("mali").send("canal", "while it is away");
    net.start_relay();
    net.settle();
    net.assert_converged("canal");
    assert_eq!(net.at("ton").bodies("canal"), ["while it is away"]);
}

#[test]
fn a_relay_that_crashes_before_its_commit_has_promised_nothing() {
    let mut net = Net::new(25, &["mali", "ton"]);
    pair(&mut net);
    let acks = net.post.sent("mali", is_ack).len();
    // Power goes in the middle of the write: its first bytes are on the disk.
    net.relay
        .disk
        .inject(DiskFault::TornCommit { kept_bytes: 100 });
    net.at("mali").send("canal", "torn");
    net.run_until("the commit is torn", |net| net.relay.failures == 1);
    assert_eq!(net.relay.disk.fired(FaultKind::TornRecordDropped), 1);
    assert_eq!(
        net.post.sent("mali", is_ack).len(),
        acks,
        "nobody heard of it"
    );
    assert_eq!(net.at("mali").delivery("canal", "torn"), Delivery::Queued);
    net.settle();
    assert_eq!(net.at("ton").bodies("canal"), ["torn"]);
    net.assert_converged("canal");
}

#[test]
fn a_relay_whose_power_goes_keeps_what_it_acknowledged() {
    let mut net = Net::new(26, &["mali", "ton"]);
    pair(&mut net);
    net.cut("ton");
    net.at("mali").send("canal", "acknowledged");
    net.settle();
    assert_eq!(
        net.at("mali").delivery("canal", "acknowledged"),
        Delivery::Stored
    );
    net.crash_relay();
    net.at("mali").send("canal", "written meanwhile");
    net.run_ms(30_000);
    assert!(net.people["mali"].failed_at.len() > 3, "it is really away");
    net.start_relay();
    net.heal();
    net.settle();
    assert_eq!(
        net.at("ton").bodies("canal"),
        ["acknowledged", "written meanwhile"]
    );
    net.assert_converged("canal");
}

/// Whatever a node was doing when its power went: the frame that it had just
/// handled comes again, and the world checks every cursor after every commit.
#[test]
fn a_node_may_crash_between_any_frame_and_its_commit() {
    let frames_without_crash = run_with_crash_at(None);
    assert!(frames_without_crash > 20, "{frames_without_crash}");
    for frame in 0..frames_without_crash {
        run_with_crash_at(Some(frame));
    }
}

/// Joining and a conversation; ton's power goes at its nth frame. Frames that ton got.
fn run_with_crash_at(frame: Option<u64>) -> u64 {
    let mut net = Net::new(27, &["mali", "ton"]);
    net.at("mali").open_timeline("canal");
    net.at("mali").send("canal", "one");
    let link = net.at("mali").invite("canal", None);
    net.settle();
    net.people.get_mut("ton").unwrap().crash_at_frame = frame;
    let before = net.post.carried.len();
    net.at("ton").join(&link);
    net.settle();
    net.at("mali").send("canal", "two");
    net.settle();
    net.at("ton").send("canal", "three");
    net.settle();
    let crashes = net.people["ton"].crashes;
    assert_eq!(crashes, u64::from(frame.is_some()), "at frame {frame:?}");
    net.assert_converged("canal");
    assert_eq!(net.at("ton").bodies("canal"), ["one", "two", "three"]);
    let to_ton = net.post.carried[before..].iter();
    to_ton
        .filter(|carried| carried.name == "ton" && carried.is_delivered_to_node())
        .count() as u64
}

#[test]
fn a_crash_between_a_push_and_its_commit_moves_no_cursor() {
    let mut net = Net::new(28, &["mali", "ton"]);
    pair(&mut net);
    let position = |net: &Net| {
        let store = net.people["ton"].peer.as_ref().unwrap().store();
        cursors::get(store, &net.relay.key(), Class::Text)
            .unwrap()
            .unwrap()
    };
    let before = position(&net);
    let pushes = net.post.sent("ton", is_push).len();
    net.people.get_mut("ton").unwrap().crash_at_frame = Some(0);
    net.at("mali").send("canal", "once");
    net.run_until("ton loses power", |net| net.people["ton"].crashes == 1);
    let seen = net.post.sent("ton", is_push);
    assert_eq!(seen.len(), pushes + 1);
    assert!(
        matches!(seen[pushes].fate, Fate::Delivered { .. }),
        "it arrived"
    );
    assert_eq!(position(&net), before, "and is as if it had not");
    assert!(net.at("ton").bodies("canal").is_empty());
    assert!(
        !net.people["ton"]
            .events
            .iter()
            .any(|event| matches!(event, Event::Message { .. })),
        "nobody was told"
    );
    net.settle();
    assert_eq!(net.at("ton").bodies("canal"), ["once"]);
    assert!(position(&net).seq > before.seq);
    net.assert_converged("canal");
}

#[test]
fn a_relay_that_lost_its_disk_gets_everything_back() {
    let mut net = Net::new(31, &["mali", "ton"]);
    pair(&mut net);
    net.at("mali").send("canal", "before");
    net.at("ton").send("canal", "me too");
    net.settle();
    net.crash_relay();
    net.relay.disk = MemoryDisk::new();
    net.start_relay();
    net.settle();
    let hub = net.relay.hub.as_ref().unwrap();
    let timelines = khlong_store::tables::timelines::timelines(hub.store()).unwrap();
    assert_eq!(timelines.len(), 1, "it carries the timeline again");
    net.at("ton").send("canal", "after");
    net.settle();
    assert_eq!(
        net.at("mali").bodies("canal"),
        ["before", "me too", "after"]
    );
    for (who, body) in [("mali", "before"), ("ton", "me too"), ("ton", "after")] {
        assert_ne!(net.at(who).delivery("canal", body), Delivery::Queued);
    }
    net.assert_converged("canal");
}

/// What its user took back from the outbox is not brought to the relay behind their back.
#[test]
fn what_was_dropped_is_not_offered_to_a_relay_that_lost_its_disk() {
    let mut net = Net::new(34, &["mali", "ton"]);
    pair(&mut net);
    net.cut("mali");
    net.at("mali").send("canal", "thought better of it");
    let drop = Request::OutboxDrop {
        timeline: "canal".to_owned(),
    };
    net.at("mali").ask(drop);
    net.heal();
    net.at("mali").send("canal", "this instead");
    net.settle();
    net.crash_relay();
    net.relay.disk = MemoryDisk::new();
    net.start_relay();
    net.settle();
    let delivery = net.at("mali").delivery("canal", "thought better of it");
    assert_eq!(delivery, Delivery::Dropped);
    assert!(
        !net.at("ton")
            .bodies("canal")
            .contains(&"thought better of it".to_owned())
    );
}
