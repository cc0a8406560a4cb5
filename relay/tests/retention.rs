//! Retention in virtual time: what goes, when, and what stays.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;

use khlong_crdt::class::Class;
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{ArrivalSeq, EnvelopeId};
use khlong_relay::hub::{
    ConnectionId, HubFailure, KeepFor, Policy, ROUND_EVERY_MS, Retention, TURN_ENVELOPES_MAX,
    TURN_TIMELINES_MAX,
};
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::table::Table;
use khlong_store::tables::{quotas, timelines};
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;
use support::virtual_world::World;
use support::{Author, open};

const HOUR: u64 = ROUND_EVERY_MS * 1_000;
const DAY: u64 = 24 * HOUR;
const MILLISECOND: u64 = 1_000;
/// When the first round begins: a minute after the hub's first deadline, at second 1.
const FIRST_ROUND: u64 = 61_000_000;

/// A world at the start of a round, with one open timeline whose admin is connected.
fn opened(policy: Policy) -> (World, ConnectionId, Author) {
    let mut world = World::new(policy);
    let (admin, conn) = open_in(&mut world, 1);
    world.run_hub_to(FIRST_ROUND);
    assert_eq!(world.hub.stats().retention_rounds, 1);
    let conn = back(&mut world, conn, &admin);
    (world, conn, admin)
}

fn open_in(world: &mut World, seed: u64) -> (Author, ConnectionId) {
    let conn = world.connect(None);
    let (timeline, admin, intro) = open(seed);
    world.prove(conn, &admin);
    let outcomes = world.append(conn, vec![timeline.genesis, intro]);
    assert!(outcomes.iter().all(AppendOutcome::is_kept), "{outcomes:?}");
    (admin, conn)
}

/// Connects again: nobody keeps connections alive while virtual days pass.
fn back(world: &mut World, old: ConnectionId, author: &Author) -> ConnectionId {
    world.disconnect(old);
    let conn = world.connect(None);
    world.prove(conn, author);
    conn
}

fn store<'e>(
    world: &mut World,
    author: &Author,
    envelopes: impl IntoIterator<Item = &'e VerifiedEnvelope>,
) {
    let conn = world.connect(None);
    world.prove(conn, author);
    let envelopes: Vec<_> = envelopes.into_iter().cloned().collect();
    for envelopes in envelopes.chunks(200) {
        let outcomes = world.append(conn, envelopes.to_vec());
        assert!(outcomes.iter().all(AppendOutcome::is_kept), "{outcomes:?}");
    }
    world.disconnect(conn);
}

fn has_body(world: &World, envelope: &VerifiedEnvelope) -> bool {
    let stored = timelines::get(world.hub.store(), &envelope.id()).unwrap();
    let stored = stored.unwrap().envelope;
    assert_eq!(stored.header_bytes(), envelope.header_bytes());
    stored.body().is_some()
}

fn bodies(world: &World, envelopes: &[&VerifiedEnvelope]) -> Vec<bool> {
    let has_body = |envelope: &&VerifiedEnvelope| has_body(world, envelope);
    envelopes.iter().map(has_body).collect()
}

fn quota_bytes(world: &World, author: &Author) -> u64 {
    let id = author.timeline.as_bytes();
    let stored = quotas::get(world.hub.store(), quotas::Scope::Timeline, id).unwrap();
    stored.bytes
}

/// The start of the round after `micros`.
fn round_after(micros: u64) -> u64 {
    FIRST_ROUND + (micros - FIRST_ROUND).div_ceil(HOUR) * HOUR
}

/// Rounds are at whole hours after the first, so what came with a round expires with one.
#[test]
fn each_class_expires_to_the_millisecond() {
    for (expiry, days) in [
        (Expiry::Day, 1),
        (Expiry::Week, 7),
        (Expiry::Month, 30),
        (Expiry::Quarter, 90),
        (Expiry::Year, 365),
    ] {
        for kind in [Kind::Change, Kind::Receipt, Kind::Fragment] {
            let (mut world, _, mut early) = opened(Policy::default());
            let (mut late, _) = open_in(&mut world, 2);
            let began = world.micros;
            let on_time = early.write_for(expiry, kind, b"on time");
            store(&mut world, &early, [&on_time]);
            world.micros += MILLISECOND;
            let later = late.write_for(expiry, kind, b"a millisecond later");
            store(&mut world, &late, [&later]);

            let due = began + days * DAY;
            assert_eq!(due, round_after(due), "a round begins when it is due");
            world.run_hub_to(due - 1);
            assert_eq!(bodies(&world, &[&on_time, &later]), [true, true]);
            world.run_hub_to(due);
            assert_eq!(
                bodies(&world, &[&on_time, &later]),
                [false, true],
                "{expiry:?} {kind:?}"
            );
            world.run_hub_to(due + HOUR);
            assert_eq!(bodies(&world, &[&on_time, &later]), [false, false]);
        }
    }
}

#[test]
fn what_asks_to_be_kept_is_kept() {
    let (mut world, _, mut admin) = opened(Policy::default());
    let kept = [
        admin.write_for(Expiry::Keep, Kind::Change, b"a change"),
        admin.write_for(Expiry::Keep, Kind::Receipt, b"a receipt"),
        admin.write_for(Expiry::Keep, Kind::Fragment, b"a fragment"),
    ];
    store(&mut world, &admin, &kept);
    world.run_hub_to(FIRST_ROUND + 400 * DAY);
    assert!(kept.iter().all(|envelope| has_body(&world, envelope)));
    assert_eq!(world.hub.stats().bodies_pruned, 0);
}

#[test]
fn changes_wait_for_the_youngest_and_receipts_go_alone() {
    let (mut world, _, mut admin) = opened(Policy::default());
    let change = admin.write_for(Expiry::Day, Kind::Change, b"one day");
    let receipt = admin.write_for(Expiry::Day, Kind::Receipt, b"one day");
    let fragment = admin.write_for(Expiry::Week, Kind::Fragment, b"seven days");
    store(&mut world, &admin, [&change, &receipt, &fragment]);
    world.run_hub_to(FIRST_ROUND + 2 * DAY);
    let young = admin.write_for(Expiry::Week, Kind::Change, b"seven days from now");
    store(&mut world, &admin, [&young]);
    let all = [&change, &receipt, &fragment, &young];
    world.run_hub_to(FIRST_ROUND + 9 * DAY - MILLISECOND);
    assert_eq!(bodies(&world, &all), [true, false, true, true]);
    world.run_hub_to(FIRST_ROUND + 9 * DAY);
    assert_eq!(bodies(&world, &all), [false; 4]);

    // What comes afterwards has a life of its own.
    let next = admin.write_for(Expiry::Day, Kind::Change, b"again");
    store(&mut world, &admin, [&next]);
    world.run_hub_to(FIRST_ROUND + 10 * DAY - MILLISECOND);
    assert!(has_body(&world, &next));
    world.run_hub_to(FIRST_ROUND + 10 * DAY);
    assert!(!has_body(&world, &next));
}

#[test]
fn one_change_that_is_kept_keeps_the_changes_of_its_timeline_and_of_no_other() {
    let (mut world, _, mut admin) = opened(Policy::default());
    let (mut other, _) = open_in(&mut world, 2);
    let short = admin.write_for(Expiry::Day, Kind::Change, b"one day");
    let kept = admin.write_for(Expiry::Keep, Kind::Change, b"for good");
    let elsewhere = other.write_for(Expiry::Day, Kind::Change, b"one day");
    store(&mut world, &admin, [&short, &kept]);
    store(&mut world, &other, [&elsewhere]);
    world.run_hub_to(FIRST_ROUND + 400 * DAY);
    assert_eq!(
        bodies(&world, &[&short, &kept, &elsewhere]),
        [true, true, false]
    );
}

#[test]
fn keys_and_permissions_never_expire() {
    let (mut world, conn, mut admin) = opened(Policy {
        retention: Retention {
            default: KeepFor::Days(1),
            maximum: KeepFor::Days(1),
        },
        ..Policy::default()
    });
    let (mut mali, grant) = admin.admit(7);
    let key_op = admin.write_for(Expiry::Day, Kind::KeyOp, b"a key");
    let notice = admin.write_for(Expiry::Day, Kind::Notice, b"a notice");
    let control = [grant, key_op, notice];
    world.append(conn, control.to_vec());
    world.run_hub_to(FIRST_ROUND + 30 * DAY);
    assert!(control.iter().all(|envelope| has_body(&world, envelope)));
    // Admission replays after a restart: the grant still lets her in.
    world.rebuild();
    let (intro, hello) = (mali.introduce(), mali.write(b"hello"));
    store(&mut world, &mali, [&intro, &hello]);
}

#[test]
fn an_operator_says_what_keep_means_and_caps_everything() {
    let keeps = |default, maximum| Policy {
        retention: Retention { default, maximum },
        ..Policy::default()
    };
    for (policy, expiry, days) in [
        (
            keeps(KeepFor::Days(10), KeepFor::Ever),
            Expiry::Keep,
            Some(10),
        ),
        (
            keeps(KeepFor::Days(10), KeepFor::Ever),
            Expiry::Month,
            Some(30),
        ),
        (
            keeps(KeepFor::Ever, KeepFor::Days(5)),
            Expiry::Month,
            Some(5),
        ),
        (
            keeps(KeepFor::Ever, KeepFor::Days(5)),
            Expiry::Keep,
            Some(5),
        ),
        (keeps(KeepFor::Ever, KeepFor::Days(5)), Expiry::Day, Some(1)),
        (
            keeps(KeepFor::Days(9), KeepFor::Days(5)),
            Expiry::Keep,
            Some(5),
        ),
        (keeps(KeepFor::Ever, KeepFor::Days(500)), Expiry::Keep, None),
    ] {
        let (mut world, _, mut admin) = opened(policy);
        let change = admin.write_for(expiry, Kind::Change, b"a change");
        let receipt = admin.write_for(expiry, Kind::Receipt, b"a receipt");
        store(&mut world, &admin, [&change, &receipt]);
        let Some(days) = days else {
            world.run_hub_to(FIRST_ROUND + 499 * DAY);
            assert_eq!(bodies(&world, &[&change, &receipt]), [true; 2]);
            continue;
        };
        world.run_hub_to(FIRST_ROUND + days * DAY - MILLISECOND);
        assert_eq!(bodies(&world, &[&change, &receipt]), [true; 2]);
        world.run_hub_to(FIRST_ROUND + days * DAY);
        assert_eq!(bodies(&world, &[&change, &receipt]), [false; 2]);
    }
}

#[test]
fn another_policy_holds_for_what_is_there_already() {
    let (mut world, _, mut admin) = opened(Policy::default());
    let change = admin.write_for(Expiry::Keep, Kind::Change, b"kept so far");
    let receipt = admin.write_for(Expiry::Keep, Kind::Receipt, b"kept so far");
    store(&mut world, &admin, [&change, &receipt]);
    world.run_hub_to(FIRST_ROUND + 20 * DAY);
    assert_eq!(bodies(&world, &[&change, &receipt]), [true; 2]);
    world.restart_with(Policy {
        retention: Retention {
            default: KeepFor::Days(10),
            maximum: KeepFor::Ever,
        },
        ..Policy::default()
    });
    world.run_hub_to(FIRST_ROUND + 20 * DAY + HOUR);
    assert_eq!(bodies(&world, &[&change, &receipt]), [false; 2]);

    // What is gone has no say any more when the operator thinks again.
    world.restart_with(Policy::default());
    world.run_hub_to(FIRST_ROUND + 21 * DAY);
    let short = admin.write_for(Expiry::Day, Kind::Change, b"one day");
    store(&mut world, &admin, [&short]);
    world.run_hub_to(FIRST_ROUND + 22 * DAY + HOUR);
    assert!(!has_body(&world, &short));
}

#[test]
fn a_subscriber_from_the_beginning_gets_every_entry_in_order_and_headers_that_verify() {
    let (mut world, _, mut admin) = opened(Policy::default());
    let old: Vec<_> = (0..5_u8)
        .map(|n| admin.write_for(Expiry::Day, Kind::Change, &[n; 50]))
        .collect();
    store(&mut world, &admin, &old);
    let reader = world.connect(None);
    world.prove(reader, &admin);
    world.subscribe(reader, admin.timeline, &BTreeMap::new());
    let left = world.disconnect(reader);
    let head = timelines::head(world.hub.store(), Class::Text).unwrap();
    let totals = |world: &World| {
        timelines::totals(
            world.hub.store(),
            &admin.timeline,
            Class::Text,
            ArrivalSeq(0),
        )
        .unwrap()
    };
    let before = totals(&world);
    world.run_hub_to(FIRST_ROUND + DAY);
    assert_eq!(
        timelines::head(world.hub.store(), Class::Text).unwrap(),
        head,
        "arrival and running hash stay"
    );
    assert_eq!(totals(&world), before);
    let new = admin.write_for(Expiry::Day, Kind::Change, b"new");
    store(&mut world, &admin, [&new]);

    let reader = world.connect(None);
    world.prove(reader, &admin);
    world.subscribe(reader, admin.timeline, &BTreeMap::new());
    let client = world.client(reader);
    let all: Vec<EnvelopeId> = old.iter().chain([&new]).map(VerifiedEnvelope::id).collect();
    assert_eq!(client.inbox.texts(), all);
    assert!(!client.inbox.order_broken);
    for envelope in &old {
        let got = &client.inbox.envelopes[&envelope.id()];
        assert_eq!(*got, envelope.pruned());
        VerifiedEnvelope::verify(got.bytes()).unwrap();
    }
    assert_eq!(client.inbox.envelopes[&new.id()], new);

    // An old cursor still leads to what is new, and to nothing else.
    let again = world.connect(None);
    world.prove(again, &admin);
    world.subscribe(again, admin.timeline, &left.cursors);
    assert_eq!(world.client(again).inbox.texts(), [new.id()]);
}

#[test]
fn a_full_timeline_can_write_again_and_a_pruned_body_does_not_come_back() {
    let (mut world, conn, mut admin) = opened(Policy {
        timeline_quota_bytes: 5_000,
        ..Policy::default()
    });
    let opening = quota_bytes(&world, &admin);
    let filling = admin.write_for(Expiry::Day, Kind::Change, &[7; 3_500]);
    assert!(world.append(conn, vec![filling.clone()])[0].is_kept());
    let more = admin.write_for(Expiry::Day, Kind::Change, &[8; 3_000]);
    let refused = AppendOutcome::Refused {
        code: ErrorCode::QuotaExceeded,
        retry_after_ms: None,
    };
    assert_eq!(world.append(conn, vec![more.clone()]), [refused]);
    world.run_hub_to(FIRST_ROUND + DAY);
    let header = filling.pruned().bytes().len() as u64;
    assert_eq!(quota_bytes(&world, &admin), opening + header);
    let stats = world.hub.stats();
    assert_eq!((stats.bodies_pruned, stats.body_bytes_pruned), (1, 3_500));

    let conn = back(&mut world, conn, &admin);
    assert!(world.append(conn, vec![more])[0].is_kept());
    let outcomes = world.append(conn, vec![filling.clone()]);
    let arrival = ArrivalSeq(1);
    assert_eq!(outcomes, [AppendOutcome::Duplicate { arrival }]);
    assert!(!has_body(&world, &filling), "it was taken back");
}

#[test]
fn a_turn_is_bounded_and_the_sweep_goes_on_after_a_restart() {
    let (mut world, _, mut admin) = opened(Policy::default());
    let many = 2 * TURN_ENVELOPES_MAX + 100;
    let all: Vec<_> = (0..many)
        .map(|n| {
            let kind = if n % 5 == 0 {
                Kind::Receipt
            } else {
                Kind::Change
            };
            admin.write_for(Expiry::Day, kind, b"one of many")
        })
        .collect();
    store(&mut world, &admin, &all);
    // Noting takes turns too, but is done long before anything expires.
    let gone = |world: &World| all.iter().filter(|e| !has_body(world, e)).count();
    world.run_hub_to(FIRST_ROUND + DAY - MILLISECOND);
    assert_eq!(gone(&world), 0);

    let mut turns = 0;
    let mut before = 0;
    while gone(&world) < many {
        turns += 1;
        assert!(turns < 20, "{} of {many} after {turns} turns", gone(&world));
        let due = world.hub.next_deadline().unwrap().0;
        world.micros = world.micros.max(due);
        world.wake_hub().unwrap();
        let now = gone(&world);
        assert!(now - before <= TURN_ENVELOPES_MAX, "too much in one turn");
        before = now;
        if turns == 2 {
            assert!(before > 0 && before < many, "{before}");
            // Something new in the middle does not save the rest, and is not lost with it.
            let young = admin.write_for(Expiry::Year, Kind::Change, b"young");
            store(&mut world, &admin, [&young]);
            world.disk.crash();
            world.rebuild();
            assert_eq!(gone(&world), before, "what a turn committed stays");
            assert!(has_body(&world, &young));
        }
    }
    assert!(turns >= 3);
    let opening: u64 = quota_bytes(&world, &admin);
    world.run_hub_to(FIRST_ROUND + 3 * DAY);
    assert_eq!(quota_bytes(&world, &admin), opening, "given back once");
}

#[test]
fn many_timelines_are_judged_in_turns() {
    let (mut world, _, mut admin) = opened(Policy::default());
    let mut last = Vec::new();
    for seed in 0..(TURN_TIMELINES_MAX as u64 + 40) {
        let (mut author, conn) = open_in(&mut world, 1_000 + seed);
        let change = author.write_for(Expiry::Day, Kind::Change, b"one day");
        store(&mut world, &author, [&change]);
        world.disconnect(conn);
        last.push(change);
    }
    let kept = admin.write(b"kept");
    store(&mut world, &admin, [&kept]);
    world.run_hub_to(FIRST_ROUND + DAY - MILLISECOND);
    assert_eq!(world.hub.stats().bodies_pruned, 0);
    world.run_hub_to(FIRST_ROUND + DAY);
    let after_one_turn = world.hub.stats().bodies_pruned;
    assert!(
        after_one_turn <= TURN_TIMELINES_MAX as u64,
        "{after_one_turn}"
    );
    world.run_hub_to(FIRST_ROUND + DAY + HOUR / 2);
    assert_eq!(world.hub.stats().bodies_pruned, last.len() as u64);
    assert!(has_body(&world, &kept));
}

#[test]
fn a_round_that_finds_nothing_writes_nothing() {
    let (mut world, _, mut admin) = opened(Policy::default());
    let kept = admin.write(b"kept");
    store(&mut world, &admin, [&kept]);
    world.run_hub_to(FIRST_ROUND + HOUR);
    let commits = world.hub.store().stats().commits;
    let rounds = world.hub.stats().retention_rounds;
    world.run_hub_to(FIRST_ROUND + 10 * HOUR);
    assert_eq!(world.hub.store().stats().commits, commits);
    assert_eq!(
        world.hub.stats().retention_rounds,
        rounds + 9,
        "one an hour"
    );
}

#[test]
fn a_refused_turn_counts_nothing_and_comes_again_and_a_failed_one_ends_the_core() {
    let (mut world, _, mut admin) = opened(Policy::default());
    let change = admin.write_for(Expiry::Day, Kind::Change, b"one day");
    store(&mut world, &admin, [&change]);
    world.run_hub_to(FIRST_ROUND + DAY - MILLISECOND);
    world.disk.inject(Fault::Stall);
    world.run_hub_to(FIRST_ROUND + DAY);
    assert_eq!(world.disk.fired(FaultKind::Stall), 1);
    assert_eq!(world.hub.stats().bodies_pruned, 0);
    assert!(has_body(&world, &change));

    world.disk.inject(Fault::SyncError { persisted: false });
    let due = world.hub.next_deadline().unwrap().0;
    assert!(due < FIRST_ROUND + DAY + HOUR / 2, "before the next round");
    world.micros = due;
    let failure = world.wake_hub().unwrap_err();
    assert!(matches!(failure, HubFailure::Commit(_)), "{failure}");
    world.rebuild();
    assert!(
        has_body(&world, &change),
        "it went although nothing was synced"
    );
    world.run_hub_to(FIRST_ROUND + DAY + HOUR);
    assert!(!has_body(&world, &change));
}

/// A turn of the sweep and an append share a commit; neither is acknowledged before it.
#[test]
fn an_append_beside_a_turn_is_acknowledged_after_their_commit() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let old = admin.write_for(Expiry::Day, Kind::Change, b"one day");
    store(&mut world, &admin, [&old]);
    world.run_hub_to(FIRST_ROUND + DAY - MILLISECOND);
    let conn = back(&mut world, conn, &admin);
    world.micros = FIRST_ROUND + DAY;
    let syncs = world.hub.store().stats().wal_syncs;
    let handle = |world: &mut World| {
        world
            .hub
            .handle(world.now(), khlong_relay::hub::HubInput::Timeout)
            .unwrap();
    };
    handle(&mut world);
    let new = admin.write(b"beside it");
    let request = world.offer(conn, vec![new.clone()]);
    world.deliver_to_hub().unwrap();
    world.deliver_to_clients();
    assert!(!world.client(conn).acks.contains_key(&request));
    assert_eq!(bodies(&world, &[&old]), [true], "before the commit");
    assert_eq!(world.hub.stats().bodies_pruned, 0, "counted too early");
    world.settle();
    assert!(world.client(conn).acks[&request].0[0].is_kept());
    assert_eq!(bodies(&world, &[&old, &new]), [false, true]);
    assert_eq!(world.hub.store().stats().wal_syncs, syncs + 1);
}

#[test]
fn damaged_rows_are_counted_and_passed_over() {
    let (mut world, _, mut admin) = opened(Policy::default());
    let (mut other, _) = open_in(&mut world, 2);
    let write = |author: &mut Author, kind| author.write_for(Expiry::Day, kind, b"one day");
    let lost_receipt = write(&mut admin, Kind::Receipt);
    let receipt = write(&mut admin, Kind::Receipt);
    let unreadable = write(&mut admin, Kind::Change);
    let beside = write(&mut admin, Kind::Change);
    let elsewhere = write(&mut other, Kind::Change);
    let rot = |world: &World, id: EnvelopeId| {
        assert!(world.disk.rot(Table::Envelope, id.as_bytes(), 900));
    };
    store(
        &mut world,
        &admin,
        [&lost_receipt, &receipt, &unreadable, &beside],
    );
    store(&mut world, &other, [&elsewhere]);
    // One before it is noted, one after.
    rot(&world, unreadable.id());
    world.run_hub_to(FIRST_ROUND + HOUR);
    assert_eq!(world.hub.stats().retention_rows_damaged, 1);
    rot(&world, lost_receipt.id());
    world.run_hub_to(FIRST_ROUND + DAY);
    assert_eq!(world.hub.stats().retention_rows_damaged, 2);
    assert_eq!(
        bodies(&world, &[&receipt, &beside, &elsewhere]),
        [false, true, false],
        "changes stay where one could not be read"
    );
    world.run_hub_to(FIRST_ROUND + 3 * DAY);
    assert_eq!(world.hub.stats().retention_rows_damaged, 2, "met once");
}

#[test]
fn a_clock_that_leaps_drops_nothing_before_it_has_stood_for_three_days() {
    const THREE_DAYS_MS: i64 = 3 * 24 * 60 * 60 * 1_000;
    let (mut world, _, mut admin) = opened(Policy::default());
    let change = admin.write_for(Expiry::Week, Kind::Change, b"seven days");
    store(&mut world, &admin, [&change]);
    // Forward and back: as if nothing had been.
    world.run_hub_to(FIRST_ROUND + 4 * DAY);
    world.wall_error_ms = THREE_DAYS_MS;
    world.run_hub_to(FIRST_ROUND + 6 * DAY);
    assert!(has_body(&world, &change), "dropped by a clock that leapt");
    world.wall_error_ms = 0;
    world.run_hub_to(FIRST_ROUND + 7 * DAY - MILLISECOND);
    assert!(has_body(&world, &change));
    world.run_hub_to(FIRST_ROUND + 7 * DAY);
    assert!(!has_body(&world, &change));

    // A leap that stays is believed in the end; a clock that goes back delays.
    for (error_ms, goes_after_days) in [(THREE_DAYS_MS * 100, 4), (-THREE_DAYS_MS, 10)] {
        let (mut world, _, mut admin) = opened(Policy::default());
        let change = admin.write_for(Expiry::Week, Kind::Change, b"seven days");
        store(&mut world, &admin, [&change]);
        world.run_hub_to(FIRST_ROUND + DAY);
        world.wall_error_ms = error_ms;
        world.run_hub_to(FIRST_ROUND + goes_after_days * DAY - MILLISECOND);
        assert!(has_body(&world, &change), "{error_ms}");
        world.run_hub_to(FIRST_ROUND + goes_after_days * DAY + HOUR);
        assert!(!has_body(&world, &change), "{error_ms}");
    }
}
