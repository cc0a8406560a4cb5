//! A history for a relay that lost it: in portions, over restarts and further losses.

use std::collections::BTreeMap;

use khlong_crdt::class::Class;
use khlong_crdt::id::EnvelopeId;
use khlong_node::api::{Delivery, IMPORT_BATCH_MESSAGES_MAX, ImportedLine, RelayView};
use khlong_node::api::{Request, Response};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::limits::BATCH_BYTES_MAX;
use khlong_store::tables::named::{self, Named};
use khlong_store::tables::{outbox, timelines};
use khlong_sync::limits::APPEND_ENVELOPES_MAX;
use khlong_sync::wire::frame::Frame;

use crate::conversation::pair;
use crate::net::{Net, is_append};

/// Six portions.
const MESSAGES: usize = 1_400;

fn in_outbox(net: &Net, name: &'static str) -> usize {
    let peer = net.people[name].peer.as_ref().unwrap();
    outbox::list(peer.store()).unwrap().len()
}

/// Names of the rows that say how far a relay was offered again what it had of a timeline.
pub(crate) fn cursors(net: &Net, name: &'static str) -> usize {
    let peer = net.people[name].peer.as_ref().unwrap();
    let rows = named::list(peer.store(), Named::NodeState, b"reoffer/").unwrap();
    let of_timeline = |name: &[u8]| name.len() == 8 + 32 + 32;
    rows.iter().filter(|(name, _)| of_timeline(name)).count()
}

/// Envelopes of a class that the relay has, of the one timeline that it carries.
pub(crate) fn at_relay(net: &Net, class: Class) -> u64 {
    let Some(hub) = &net.relay.hub else { return 0 };
    let all = timelines::timelines(hub.store()).unwrap();
    all.first().map_or(0, |timeline| {
        let head = timelines::timeline_head(hub.store(), timeline, class);
        head.unwrap().envelopes
    })
}

pub(crate) fn lose_relay(net: &mut Net) {
    net.crash_relay();
    net.relay.lose_disk();
    net.start_relay();
}

/// What an operator does who copies an old folder over the relay's: the log keeps its name.
fn roll_back_relay(net: &mut Net) {
    net.crash_relay();
    net.relay.disk = MemoryDisk::new();
    net.start_relay();
}

pub(crate) fn relay_at(net: &mut Net, name: &'static str) -> RelayView {
    match net.at(name).ask(Request::RelayLs) {
        Response::Relays { relays } => relays.into_iter().next().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// How often each envelope was offered by `name` since frame `since`.
fn offers(net: &Net, name: &'static str, since: usize) -> BTreeMap<EnvelopeId, usize> {
    let mut offers = BTreeMap::new();
    for carried in net.post.carried.iter().skip(since) {
        if carried.name == name
            && let Frame::Append(append) = &carried.frame
        {
            assert!(append.envelopes.len() <= APPEND_ENVELOPES_MAX);
            for envelope in &append.envelopes {
                *offers.entry(envelope.id()).or_default() += 1;
            }
        }
    }
    offers
}

/// Mali has written so much, and ton has it.
pub(crate) fn written(net: &mut Net, messages: usize) {
    pair(net);
    write(net, messages);
}

pub(crate) fn write(net: &mut Net, messages: usize) {
    for n in 0..messages {
        net.at("mali").send("canal", &n.to_string());
        if n % 200 == 0 {
            net.settle();
        }
    }
    net.settle();
}

#[test]
fn a_long_history_comes_back_in_portions_and_over_a_restart() {
    let mut net = Net::new(311, &["mali", "ton"]);
    pair(&mut net);
    net.cut("ton");
    write(&mut net, MESSAGES);
    let before = at_relay(&net, Class::Text);
    assert!(before >= MESSAGES as u64);
    lose_relay(&mut net);
    let since = net.post.carried.len();
    net.run_until("a part is there again", |net| {
        assert!(in_outbox(net, "mali") < 8, "the history is in the outbox");
        at_relay(net, Class::Text) >= 400
    });
    assert!(at_relay(&net, Class::Text) < before, "it is only a part");
    // Nobody is told that all is well, and what is not there again is not called stored.
    let told = relay_at(&mut net, "mali");
    assert!(told.reoffering > 500 && !told.caught_up, "{told:?}");
    let last = (MESSAGES - 1).to_string();
    assert_eq!(net.at("mali").delivery("canal", "0"), Delivery::Stored);
    assert_eq!(net.at("mali").delivery("canal", &last), Delivery::Queued);

    net.crash("mali");
    net.start("mali");
    let told = relay_at(&mut net, "mali");
    assert!(told.reoffering > 0, "a restart remembers: {told:?}");
    net.at("mali").send("canal", "meanwhile");
    net.run_until("the new one is stored", |net| {
        net.at("mali").delivery("canal", "meanwhile") == Delivery::Stored
    });
    assert!(
        at_relay(&net, Class::Text) < before,
        "it waited for the old ones"
    );
    net.heal();
    net.settle();
    assert!(at_relay(&net, Class::Text) > before);
    let told = relay_at(&mut net, "mali");
    assert!(told.caught_up && told.reoffering == 0, "{told:?}");
    assert_eq!(cursors(&net, "mali"), 0);
    let offers = offers(&net, "mali", since);
    let repeated = offers.values().filter(|times| **times > 1).count();
    assert!(
        repeated <= APPEND_ENVELOPES_MAX,
        "{repeated} were offered again after the restart"
    );
    net.assert_converged("canal");
}

#[test]
fn a_second_loss_in_the_middle_begins_again() {
    let mut net = Net::new(312, &["mali", "ton"]);
    written(&mut net, 900);
    let before = at_relay(&net, Class::Text);
    for (part, lose) in [(300, lose_relay as fn(&mut Net)), (500, roll_back_relay)] {
        lose(&mut net);
        net.run_until("a part is there again", |net| {
            at_relay(net, Class::Text) >= part
        });
        assert!(at_relay(&net, Class::Text) < before);
    }
    lose_relay(&mut net);
    net.settle();
    assert_eq!(at_relay(&net, Class::Text), before);
    roll_back_relay(&mut net);
    net.settle();
    assert_eq!(at_relay(&net, Class::Text), before);
    assert_eq!((cursors(&net, "mali"), cursors(&net, "ton")), (0, 0));
    net.at("ton").send("canal", "after");
    net.settle();
    net.assert_converged("canal");
}

/// One's own handover lies before the genesis in the folder of who joined, and rests on it.
#[test]
fn who_joined_brings_the_keys_and_permissions_of_all() {
    for (alone, away) in [("ton", "mali"), ("mali", "ton")] {
        let mut net = Net::new(313, &["mali", "ton"]);
        pair(&mut net);
        net.at(alone).send("canal", "before");
        net.settle();
        let control = at_relay(&net, Class::Control);
        net.cut(away);
        lose_relay(&mut net);
        net.at(alone).send("canal", "alone");
        net.settle();
        assert_eq!(at_relay(&net, Class::Control), control, "{alone}");
        for body in ["before", "alone"] {
            let delivery = net.at(alone).delivery("canal", body);
            assert!(
                (Delivery::Stored..=Delivery::Read).contains(&delivery),
                "{alone}: {body}: {delivery:?}"
            );
        }
        net.heal();
        net.at(away).send("canal", "back");
        net.settle();
        net.assert_converged("canal");
    }
}

/// A crash between any two frames costs nothing.
#[test]
fn a_node_that_crashes_at_any_frame_of_it_goes_on() {
    for frame in 0..10 {
        let mut net = Net::new(320 + frame, &["mali", "ton"]);
        written(&mut net, 300);
        let before = at_relay(&net, Class::Text);
        net.cut("ton");
        lose_relay(&mut net);
        net.people.get_mut("mali").unwrap().crash_at_frame = Some(frame);
        net.run_ms(20_000);
        net.settle();
        assert_eq!(cursors(&net, "mali"), 0);
        net.heal();
        net.settle();
        assert_eq!(at_relay(&net, Class::Text), before, "{frame}");
        net.assert_converged("canal");
    }
}

#[test]
fn of_a_timeline_that_was_left_nothing_is_offered_again() {
    let mut net = Net::new(314, &["mali", "ton"]);
    written(&mut net, 900);
    let before = at_relay(&net, Class::Text);
    lose_relay(&mut net);
    net.run_until("a part is there again", |net| {
        at_relay(net, Class::Text) >= 200
    });
    net.at("mali").leave("canal");
    net.settle();
    assert_eq!(cursors(&net, "mali"), 0);
    assert!(at_relay(&net, Class::Text) < before);
    let left = net.at("ton").members("canal");
    assert_eq!(left, ["ton"], "the goodbye has arrived");
}

/// Timelines take turns: a short one does not wait for a long one.
#[test]
fn a_short_timeline_does_not_wait_for_a_long_one() {
    let mut net = Net::new(315, &["mali", "ton"]);
    written(&mut net, 900);
    let titles = ["brook", "ditch", "creek"];
    for title in titles {
        net.at("mali").open_timeline(title);
        net.at("mali").send(title, "short");
    }
    net.settle();
    net.cut("ton");
    lose_relay(&mut net);
    net.run_until("the loss is noticed", |net| {
        relay_at(net, "mali").reoffering > 0
    });
    assert_eq!(net.at("mali").delivery("brook", "short"), Delivery::Queued);
    net.run_until("the short ones are there again", |net| {
        let stored = |title| net.at("mali").delivery(title, "short") == Delivery::Stored;
        titles.into_iter().all(stored)
    });
    assert!(relay_at(&mut net, "mali").reoffering > 256);
    net.settle();
    assert_eq!(relay_at(&mut net, "mali").reoffering, 0);
}

/// One timeline without room holds up no other, and goes on when there is room.
#[test]
fn a_relay_without_room_is_told_of_and_asked_now_and_then() {
    let mut net = Net::new(317, &["mali", "ton"]);
    pair(&mut net);
    net.cut("ton");
    write(&mut net, 300);
    net.at("mali").open_timeline("brook");
    net.at("mali").send("brook", "short");
    net.settle();
    net.crash_relay();
    net.relay.lose_disk();
    let room = net.relay.policy.timeline_quota_bytes;
    net.relay.policy.timeline_quota_bytes = 32 * 1_024;
    net.start_relay();
    let since = net.post.carried.len();
    net.run_ms(120_000);
    let told = relay_at(&mut net, "mali");
    assert!(told.reoffer_refused.is_some(), "{told:?}");
    assert!(told.reoffering > 0 && !told.caught_up, "{told:?}");
    assert_eq!(net.at("mali").delivery("brook", "short"), Delivery::Stored);
    assert_eq!(net.at("mali").delivery("canal", "299"), Delivery::Queued);
    let sent = net.post.carried.iter().skip(since);
    let appends = sent.filter(|it| it.name == "mali" && is_append(&it.frame));
    let appends = appends.count();
    assert!(appends < 30, "{appends} appends in two minutes");

    net.crash_relay();
    net.relay.policy.timeline_quota_bytes = room;
    net.start_relay();
    net.settle();
    let told = relay_at(&mut net, "mali");
    assert!(
        told.reoffering == 0 && told.reoffer_refused.is_none(),
        "{told:?}"
    );
    assert_eq!(net.at("mali").delivery("canal", "299"), Delivery::Stored);
    net.heal();
    net.settle();
    net.assert_converged("canal");
}

/// More than a batch takes, at the limits that everybody has.
#[test]
fn a_history_of_more_than_a_batch_comes_back() {
    let mut net = Net::new(316, &["mali", "ton"]);
    pair(&mut net);
    net.cut("ton");
    // Text that does not become shorter.
    let line = |n: usize| {
        let mut bytes = vec![0; 12 * 1_024];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&n.to_be_bytes());
        hasher.finalize_xof().fill(&mut bytes);
        ImportedLine {
            network: "irc".to_owned(),
            sender: "som".to_owned(),
            sent_at_ms: 0,
            body: data_encoding::BASE64.encode(&bytes),
            import_key: format!("{n:032x}"),
            reply_to: None,
        }
    };
    for part in 0..6 {
        let first = part * IMPORT_BATCH_MESSAGES_MAX;
        let lines = first..first + IMPORT_BATCH_MESSAGES_MAX;
        net.at("mali").ask(Request::Import {
            timeline: "canal".to_owned(),
            messages: lines.map(line).collect(),
            dry_run: false,
        });
        net.settle();
    }
    let peer = net.people["mali"].peer.as_ref().unwrap();
    let timeline = timelines::timelines(peer.store()).unwrap()[0];
    let bytes: u64 = Class::ALL
        .into_iter()
        .map(|class| {
            timelines::timeline_head(peer.store(), &timeline, class)
                .unwrap()
                .bytes
        })
        .sum();
    assert!(bytes > BATCH_BYTES_MAX as u64, "{bytes} bytes are no test");
    let before = at_relay(&net, Class::Text);
    lose_relay(&mut net);
    net.settle();
    assert_eq!(relay_at(&mut net, "mali").reoffering, 0);
    net.heal();
    net.settle();
    assert!(at_relay(&net, Class::Text) >= before);
    net.assert_converged("canal");
    assert_eq!(net.people["mali"].failures, Vec::<String>::new());
    assert!(net.post.sent("mali", is_append).len() > 16);
}
