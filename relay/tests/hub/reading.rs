//! What subscribers get: everything once, in the order of its class, as fast as they read.

use std::collections::BTreeMap;

use khlong_crdt::class::Class;
use khlong_relay::hub::Policy;
use khlong_sync::limits::{ENTRIES_IN_FLIGHT_MAX, PUSH_ENTRIES_MAX};

use super::{ids, opened};

#[test]
fn subscribing_among_appends_leaves_no_gap_and_brings_nothing_twice() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let mut written = Vec::new();
    for n in 0..40_u8 {
        let envelope = admin.write(&[n]);
        written.push(envelope.id());
        world.offer(conn, vec![envelope]);
        if n % 5 == 3 {
            // A subscription that comes between a decision and its commit.
            world.deliver_to_hub().unwrap();
            let reader = world.connect(None);
            world.prove(reader, &admin);
            world.subscribe(reader, admin.timeline, &BTreeMap::new());
        }
    }
    world.settle();
    assert_eq!(world.clients.len(), 9);
    for (id, reader) in &world.clients {
        if *id != conn {
            assert_eq!(reader.inbox.texts(), written);
            assert!(!reader.inbox.order_broken);
        }
    }
}

#[test]
fn a_cursor_brings_exactly_what_was_missed() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let reader = world.connect(None);
    world.prove(reader, &admin);
    world.subscribe(reader, admin.timeline, &BTreeMap::new());
    let before = admin.write(b"seen");
    world.append(conn, vec![before.clone()]);
    let left = world.disconnect(reader);
    assert_eq!(left.inbox.texts(), [before.id()]);

    let missed = [admin.write(b"missed one"), admin.write(b"missed two")];
    world.append(conn, missed.to_vec());
    let back = world.connect(None);
    world.prove(back, &admin);
    world.subscribe(back, admin.timeline, &left.cursors);
    assert_eq!(world.client(back).inbox.texts(), ids(&missed));
}

#[test]
fn a_slow_subscriber_gets_behind_and_then_catches_up() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let slow = world.connect(None);
    world.prove(slow, &admin);
    world.subscribe(slow, admin.timeline, &BTreeMap::new());
    world.clients.get_mut(&slow).unwrap().pulls = false;
    let mut written = Vec::new();
    for _ in 0..12 {
        let batch: Vec<_> = (0..200_u8).map(|n| admin.write(&[n])).collect();
        written.extend(ids(&batch));
        world.append(conn, batch);
    }
    let client = world.client(slow);
    assert_eq!(client.inbox.behind, 1, "told once");
    let pushed = client.inbox.texts().len();
    let window = ENTRIES_IN_FLIGHT_MAX + PUSH_ENTRIES_MAX;
    assert!(pushed < window, "{pushed} entries without a pull");
    assert_eq!(client.closed, None);

    while world.client(slow).inbox.texts().len() < written.len() {
        assert!(
            !world.client(slow).unpulled.is_empty(),
            "pulling brought nothing"
        );
        world.pull(slow);
    }
    assert_eq!(world.client(slow).inbox.texts(), written);
}

#[test]
fn classes_have_their_own_order() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let text = admin.write(b"text");
    let (_, grant) = admin.admit(9);
    world.append(conn, vec![text, grant]);
    let reader = world.connect(None);
    world.prove(reader, &admin);
    world.subscribe(reader, admin.timeline, &BTreeMap::new());
    let per_class = |class| {
        world
            .client(reader)
            .inbox
            .ids
            .keys()
            .filter(|(c, _)| *c == class)
            .count()
    };
    assert_eq!((per_class(Class::Control), per_class(Class::Text)), (3, 1));
}
