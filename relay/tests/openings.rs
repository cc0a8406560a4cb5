//! What a stranger may take where everybody may open timelines.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::net::IpAddr;

use khlong_relay::hub::{ConnectionId, HubInput, Opening, OpeningRate, Policy};
use khlong_store::table::Table;
use khlong_store::tables::quotas;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;
use support::virtual_world::World;
use support::{Author, open};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn policy(per_connection: u32, per_network_a_day: u32) -> Policy {
    Policy {
        opening_rate: OpeningRate {
            per_connection,
            per_network_a_day,
        },
        ..Policy::default()
    }
}

fn from(world: &mut World, network: &str) -> ConnectionId {
    let connection = world.connect(None);
    let network: IpAddr = network.parse().unwrap();
    let input = HubInput::From {
        connection,
        network,
    };
    world.hub.handle(world.now(), input).unwrap();
    connection
}

/// What the relay says to the genesis of timeline number `seed`.
fn open_one(world: &mut World, conn: ConnectionId, seed: u64) -> AppendOutcome {
    let (timeline, admin, _) = open(seed);
    world.prove(conn, &admin);
    world.append(conn, vec![timeline.genesis])[0]
}

fn over_quota(outcome: AppendOutcome) -> Option<Option<u32>> {
    match outcome {
        AppendOutcome::Refused {
            code: ErrorCode::QuotaExceeded,
            retry_after_ms,
        } => Some(retry_after_ms),
        AppendOutcome::Refused { .. }
        | AppendOutcome::Stored { .. }
        | AppendOutcome::Duplicate { .. } => None,
    }
}

#[test]
fn a_connection_opens_so_many_timelines() {
    let mut world = World::new(policy(3, 100));
    let conn = world.connect(None);
    for seed in 0..3 {
        assert!(open_one(&mut world, conn, seed).is_kept());
    }
    assert_eq!(over_quota(open_one(&mut world, conn, 3)), Some(None));
    // What is here already is no opening; and what is open may be written.
    assert!(open_one(&mut world, conn, 1).is_kept());
    let (_, _, intro) = open(2);
    assert!(world.append(conn, vec![intro])[0].is_kept());
    let other = world.connect(None);
    assert!(open_one(&mut world, other, 3).is_kept());
    assert_eq!(world.hub.stats().timelines_opened, 4);
}

#[test]
fn a_network_opens_so_many_a_day_on_however_many_connections() {
    let mut world = World::new(policy(100, 4));
    for seed in 0..4 {
        let conn = from(&mut world, "203.0.113.9");
        assert!(open_one(&mut world, conn, seed).is_kept());
    }
    let conn = from(&mut world, "203.0.113.9");
    let wait_ms = over_quota(open_one(&mut world, conn, 4)).unwrap().unwrap();
    assert!(u64::from(wait_ms) <= DAY_MS / 4, "{wait_ms}");
    assert!(u64::from(wait_ms) > DAY_MS / 5, "{wait_ms}");
    let elsewhere = from(&mut world, "203.0.113.10");
    assert!(open_one(&mut world, elsewhere, 5).is_kept());
    // As announced, to the millisecond.
    world.pass_ms(u64::from(wait_ms));
    let conn = from(&mut world, "203.0.113.9");
    assert!(open_one(&mut world, conn, 4).is_kept());
    assert!(over_quota(open_one(&mut world, conn, 6)).is_some());
}

/// Writes until the relay refuses, in smaller and smaller pieces.
fn fill(world: &mut World, conn: ConnectionId, author: &mut Author) {
    for bytes in [10_000, 1_000, 10] {
        let changes = (0..100).map(|n| author.write(&vec![n; bytes])).collect();
        let outcomes = world.append(conn, changes);
        assert!(over_quota(outcomes[99]).is_some(), "{outcomes:?}");
    }
}

#[test]
fn where_everybody_may_open_timelines_all_of_them_together_have_a_quota() {
    let mut world = World::new(Policy {
        open_quota_bytes: 100_000,
        ..Policy::default()
    });
    let conn = world.connect(None);
    let mut authors = Vec::new();
    for seed in 0..3 {
        let (timeline, admin, intro) = open(seed);
        world.prove(conn, &admin);
        let outcomes = world.append(conn, vec![timeline.genesis, intro]);
        assert!(outcomes.iter().all(AppendOutcome::is_kept));
        authors.push(admin);
    }
    fill(&mut world, conn, &mut authors[0]);
    // The others have stored nothing, and find no room.
    let change = authors[1].write(b"nothing fits");
    assert!(over_quota(world.append(conn, vec![change])[0]).is_some());
    // No new timeline; but whoever is here can still remove a member.
    assert_eq!(over_quota(open_one(&mut world, conn, 9)), Some(None));
    let grant = authors[0].admit(7).1;
    assert!(world.append(conn, vec![grant])[0].is_kept());
    let everybody = quotas::of_everybody(world.hub.store()).unwrap();
    assert!(
        (90_000..110_000).contains(&everybody.bytes),
        "{everybody:?}"
    );

    // It survives a start, and damage: it is the sum of what the timelines have.
    let key = [&[3][..], &[0; 32]].concat();
    assert!(world.disk.rot(Table::Quota, &key, 70));
    world.rebuild();
    let again = quotas::of_everybody(world.hub.store()).unwrap();
    assert_eq!(again, everybody);
    let conn = world.connect(None);
    assert_eq!(over_quota(open_one(&mut world, conn, 9)), Some(None));

    // An operator who gives tokens out answers for those who have them.
    world.restart_with(Policy {
        opening: Opening::Token(b"from the operator".to_vec()),
        open_quota_bytes: 100_000,
        ..Policy::default()
    });
    let conn = world.connect(Some(b"from the operator"));
    assert!(open_one(&mut world, conn, 9).is_kept());
}
