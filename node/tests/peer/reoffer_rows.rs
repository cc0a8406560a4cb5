//! Rows that say how far a relay was offered its history again, and cannot be read.

use khlong_crdt::class::Class;
use khlong_store::engine::Durability;
use khlong_store::identity::Role;
use khlong_store::tables::named::{self, Named};

use crate::disk::open_store;
use crate::net::Net;
use crate::reoffer::{at_relay, cursors, lose_relay, relay_at, written};

const ROWS: &[u8] = b"reoffer/";
/// Bytes of the name of a cursor; that of a log has no timeline.
const CURSOR_NAME_BYTES: usize = 8 + 32 + 32;
/// Where a cursor's row has its stage, and then its rounds, which in stage 2 is a class.
const STAGE: usize = 1 + 4 * 8;

/// What became of the bytes of a row.
type Damage = fn(&mut Vec<u8>);

/// Every `reoffer/` row of a kind is another one from now on.
fn damage(net: &mut Net, is_cursor: bool, damage: Damage) {
    net.crash("mali");
    let mut store = open_store(&net.people["mali"].node.disk, Role::Node);
    let mut batch = store.batch();
    let mut rows = named::list(&batch, Named::NodeState, ROWS).unwrap();
    rows.retain(|(name, _)| (name.len() == CURSOR_NAME_BYTES) == is_cursor);
    assert!(!rows.is_empty());
    for (name, mut row) in rows {
        damage(&mut row);
        named::put(&mut batch, Named::NodeState, &name, row).unwrap();
    }
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    drop(store);
    net.start("mali");
}

/// The relay has lost its log, and mali is about to offer everything again.
fn in_the_middle(seed: u64) -> (Net, u64) {
    let mut net = Net::new(seed, &["mali", "ton"]);
    written(&mut net, 300);
    let before = at_relay(&net, Class::Text);
    net.cut("ton");
    lose_relay(&mut net);
    net.run_until("the loss is noticed", |net| cursors(net, "mali") > 0);
    (net, before)
}

/// Nothing is forgotten: the relay has all again.
fn assert_goes_on(mut net: Net, before: u64) {
    net.heal();
    net.settle();
    assert!(at_relay(&net, Class::Text) >= before);
    let told = relay_at(&mut net, "mali");
    assert!(told.caught_up && told.reoffering == 0, "{told:?}");
    assert_eq!(cursors(&net, "mali"), 0);
    net.assert_converged("canal");
}

#[test]
fn a_cursor_that_cannot_be_read_begins_its_timeline_anew() {
    let damages: [(&str, Damage); 6] = [
        ("another version", |row| row[0] = 2),
        ("nothing", Vec::clear),
        ("too short", |row| row.truncate(row.len() - 1)),
        ("too long", |row| row.push(0)),
        ("no such stage", |row| row[STAGE] = 3),
        ("no such class", |row| {
            row[STAGE] = 2;
            row[STAGE + 1] = u8::MAX;
        }),
    ];
    for (seed, (name, spoil)) in (331..).zip(damages) {
        let (mut net, before) = in_the_middle(seed);
        damage(&mut net, true, spoil);
        let told = relay_at(&mut net, "mali");
        assert!(told.reoffering > 300, "{name}: {told:?}");
        assert_goes_on(net, before);
    }
}

#[test]
fn a_log_that_cannot_be_read_is_learnt_from_the_relay() {
    let damages: [Damage; 2] = [|row| row[0] = 2, |row| row.truncate(20)];
    for (seed, spoil) in (341..).zip(damages) {
        let (mut net, before) = in_the_middle(seed);
        damage(&mut net, false, spoil);
        assert_goes_on(net, before);
    }
}
