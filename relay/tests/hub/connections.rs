//! Words in passing, goodbyes, silence and noise.

use std::collections::BTreeMap;

use khlong_relay::hub::{HubInput, Policy};
use khlong_sync::wire::code::ErrorCode;

use super::opened;

#[test]
fn what_is_said_in_passing_reaches_watchers_and_is_stored_nowhere() {
    let (mut world, conn, admin) = opened(Policy::default());
    let watcher = world.connect(None);
    world.prove(watcher, &admin);
    world.subscribe(watcher, admin.timeline, &BTreeMap::new());
    let commits = world.hub.store().stats().commits;
    world.say(conn, admin.timeline, b"typing");
    assert_eq!(world.client(watcher).ephemerals, [b"typing".to_vec()]);
    assert!(
        world.client(conn).ephemerals.is_empty(),
        "it came back to its sender"
    );
    assert_eq!(world.hub.store().stats().commits, commits);
}

#[test]
fn shutting_down_acknowledges_what_was_decided_and_says_goodbye() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let last = admin.write(b"just in time");
    let request = world.offer(conn, vec![last]);
    world.deliver_to_hub().unwrap();
    world.hub.handle(world.now(), HubInput::ShutDown).unwrap();
    world.deliver_to_clients();
    let client = world.client(conn);
    assert!(client.acks[&request].0[0].is_kept());
    assert_eq!(client.closed, Some(Some(ErrorCode::ShuttingDown)));
    assert_eq!(world.hub.stats().connections, 0);
    assert_eq!(world.hub.next_deadline(), None);
}

#[test]
fn a_silent_connection_is_closed_in_its_time_and_leaves_nothing_behind() {
    let (mut world, conn, admin) = opened(Policy::default());
    world.subscribe(conn, admin.timeline, &BTreeMap::new());
    assert_eq!(world.hub.stats().timelines_watched, 1);
    for _ in 0..10 {
        let Some(deadline) = world.hub.next_deadline() else {
            break;
        };
        world.micros = world.micros.max(deadline.0);
        world.hub.handle(world.now(), HubInput::Timeout).unwrap();
    }
    let stats = world.hub.stats();
    assert_eq!((stats.connections, stats.timelines_watched), (0, 0));
}

#[test]
fn bytes_that_are_no_frame_end_their_connection_with_a_word_and_no_other() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let broken = world.connect(None);
    let error = khlong_sync::wire::decode(&[0xff; 9]).unwrap_err();
    let undecodable = HubInput::Undecodable {
        connection: broken,
        error,
    };
    world.hub.handle(world.now(), undecodable).unwrap();
    world.settle();
    assert_eq!(
        world.client(broken).closed,
        Some(Some(ErrorCode::Malformed))
    );
    assert_eq!(world.hub.stats().frames_undecodable, 1);
    let envelope = admin.write(b"meanwhile");
    assert!(world.append(conn, vec![envelope])[0].is_kept());
}
