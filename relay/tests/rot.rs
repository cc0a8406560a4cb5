//! A rotten row of the index: what is refused for it leaves nothing behind, so a
//! retry is never told that half an envelope is a duplicate.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::class::Class;
use khlong_relay::hub::{ConnectionId, Policy};
use khlong_store::rows::Rows as _;
use khlong_store::table::Table;
use khlong_store::tables::timelines;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;
use support::virtual_world::World;
use support::{Author, open};

const INTERNAL: AppendOutcome = AppendOutcome::Refused {
    code: ErrorCode::Internal,
    retry_after_ms: None,
};

fn opened(world: &mut World, seed: u64) -> (ConnectionId, Author) {
    let conn = world.connect(None);
    let (timeline, admin, intro) = open(seed);
    world.prove(conn, &admin);
    let outcomes = world.append(conn, vec![timeline.genesis, intro]);
    assert!(outcomes.iter().all(AppendOutcome::is_kept), "{outcomes:?}");
    (conn, admin)
}

/// A row that the envelopes of an author build on.
type RowOf = dyn Fn(&Author) -> (Table, Vec<u8>);

/// Every row of every table that can be read, but that of the last commit.
fn rows(world: &World) -> Vec<(Table, Vec<u8>, Option<Vec<u8>>)> {
    let mut rows = Vec::new();
    for row in khlong_store::catalog::CATALOG {
        let all = khlong_store::key::KeyRange::all();
        let forward = khlong_store::engine::Direction::Forward;
        let mut each = |key: &[u8], payload: Result<&[u8], _>| {
            if (row.table, key) != (Table::Meta, b"committed".as_slice()) {
                rows.push((row.table, key.to_vec(), payload.ok().map(<[u8]>::to_vec)));
            }
            Ok(std::ops::ControlFlow::Continue(()))
        };
        let store = world.hub.store();
        store
            .scan_each(row.table, &all, forward, &mut each)
            .unwrap();
    }
    rows
}

#[test]
fn an_envelope_that_meets_a_rotten_row_leaves_nothing_and_its_retry_is_no_duplicate() {
    let timeline_head = |author: &Author| {
        let mut key = author.timeline.as_bytes().to_vec();
        key.push(Class::Text as u8);
        (Table::TimelineHead, key)
    };
    let author_head = |author: &Author| {
        let key = [*author.timeline.as_bytes(), *author.author().as_bytes()].concat();
        (Table::AuthorHead, key)
    };
    let quota = |author: &Author| {
        let key = [&[1][..], &author.timeline.as_bytes()[..]].concat();
        (Table::Quota, key)
    };
    let rows_of: [&RowOf; 3] = [&timeline_head, &author_head, &quota];
    for row_of in rows_of {
        let mut world = World::new(Policy::default());
        let (conn, mut admin) = opened(&mut world, 1);
        assert!(world.append(conn, vec![admin.write(b"whole")])[0].is_kept());
        let (table, key) = row_of(&admin);
        assert!(world.disk.rot(table, &key, 70), "no such row in {table:?}");

        let before = rows(&world);
        let lost = admin.write(b"meets the rotten row");
        assert_eq!(world.append(conn, vec![lost.clone()]), [INTERNAL]);
        assert!(rows(&world) == before, "half of it stayed: {table:?}");
        assert_eq!(
            world.append(conn, vec![lost.clone()]),
            [INTERNAL],
            "the relay acknowledges what it does not hold: {table:?}"
        );
        let ack = world.client(conn).ack_frames.last().unwrap();
        assert_eq!(ack.receipt, None, "and signs for it");
        assert!(
            timelines::get(world.hub.store(), &lost.id())
                .unwrap()
                .is_none()
        );
    }
}

#[test]
fn what_is_beside_a_rotten_row_in_one_append_is_stored_whole() {
    let mut world = World::new(Policy::default());
    let (conn, mut admin) = opened(&mut world, 1);
    let (other_conn, mut other) = opened(&mut world, 2);
    world.append(conn, vec![admin.write(b"whole")]);
    let mut key = admin.timeline.as_bytes().to_vec();
    key.push(Class::Text as u8);
    assert!(world.disk.rot(Table::TimelineHead, &key, 70));

    world.prove(conn, &other);
    let (fine, rotten, too) = (
        other.write(b"one"),
        admin.write(b"rotten"),
        other.write(b"two"),
    );
    let outcomes = world.append(conn, vec![fine.clone(), rotten, too.clone()]);
    assert!(
        outcomes[0].is_kept() && outcomes[2].is_kept(),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[1], INTERNAL);
    world.subscribe(other_conn, other.timeline, &Default::default());
    assert_eq!(
        world.client(other_conn).inbox.texts(),
        [fine.id(), too.id()]
    );
    let head = timelines::head(world.hub.store(), Class::Text).unwrap();
    assert_eq!(
        head.arrival.0, 3,
        "no arrival was given to what was refused"
    );
}
