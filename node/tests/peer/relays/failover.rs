//! One of them is away, for a while; members reach one of them only.

use khlong_node::api::{Delivery, Request, Response};
use khlong_store::tables::outbox;

use super::world::{A, B, C, World};

/// Rows that may wait for a relay alone, and what is under way.
const OUTBOX_MAX: usize = 256 + 16;

fn trio(seed: u64) -> World {
    let mut world = World::new(seed, &["mali", "som", "ton"]);
    world.know("mali", &[A, B]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(1_000);
    world.invite("mali", &["som", "ton"]);
    world.run_ms(30_000);
    world.assert_converged(&["mali", "som", "ton"]);
    world
}

#[test]
fn a_dead_relay_holds_up_nothing_and_gets_all_that_it_missed() {
    let mut world = trio(1);
    world.kill_relay(A);
    world.send("mali", "through the other one");
    world.run_ms(200);
    let sent = world.message("mali", "through the other one");
    assert!(sent.delivery >= Delivery::Stored, "{sent:?}");
    world.message("ton", "through the other one");
    let [a, b] = <[_; 2]>::try_from(world.relays("mali")).unwrap();
    assert!(a.lacking > 0 && b.lacking == 0, "{a:?} {b:?}");
    assert!(b.last_stored_at > a.last_stored_at, "{a:?} {b:?}");
    let [a, b] = <[_; 2]>::try_from(world.relays("ton")).unwrap();
    assert!(b.last_pushed_at > a.last_pushed_at, "{a:?} {b:?}");

    // Far more than the outbox keeps for a relay that is away, and a restart in the middle.
    for n in 0..1_000 {
        world.send("mali", &n.to_string());
        if n % 100 == 99 {
            world.run_ms(1_000);
        }
        if n == 500 {
            world.stop("mali");
            world.start("mali");
        }
    }
    world.run_ms(10_000);
    assert_eq!(world.queued("mali"), 0, "the other one has them");
    let rows = outbox::list(world.store_of("mali")).unwrap().len();
    assert!(rows <= OUTBOX_MAX, "{rows} rows wait for a dead relay");
    let [a, b] = <[_; 2]>::try_from(world.relays("mali")).unwrap();
    assert!(a.lacking + a.reoffering >= 1_000, "{a:?}");
    assert!(b.lacking == 0 && b.caught_up, "{b:?}");

    world.appended.clear();
    world.start_relay(A);
    world.run_ms(180_000);
    assert_eq!(world.texts_at(A), world.texts_at(B));
    assert_eq!(outbox::list(world.store_of("mali")).unwrap().len(), 0);
    for name in ["mali", "som", "ton"] {
        for relay in world.relays(name) {
            assert_eq!(
                (relay.lacking, relay.reoffering),
                (0, 0),
                "{name}: {relay:?}"
            );
            assert!(relay.caught_up, "{name}: {relay:?}");
        }
    }
    // From where it was away, not from the beginning, and once.
    let offered = world.appended[&("mali", A)];
    assert!((1_000..1_100).contains(&offered), "{offered}");
    world.assert_converged(&["mali", "som", "ton"]);
    assert_eq!(world.bodies("som").len(), 1_001);
}

#[test]
fn two_dead_relays_of_three_take_no_place() {
    let mut world = World::new(4, &["mali"]);
    world.know("mali", &[A, B, C]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(5_000);
    world.kill_relay(A);
    world.kill_relay(C);
    for n in 0..700 {
        world.send("mali", &n.to_string());
        if n % 100 == 99 {
            world.run_ms(1_000);
        }
    }
    world.run_ms(10_000);
    assert_eq!(world.queued("mali"), 0, "the one that is left has them");
    let rows = outbox::list(world.store_of("mali")).unwrap().len();
    assert!(rows <= OUTBOX_MAX, "{rows} rows wait for dead relays");
    world.start_relay(A);
    world.start_relay(C);
    world.run_ms(60_000);
    assert_eq!(world.texts_at(A), world.texts_at(B));
    assert_eq!(world.texts_at(C), world.texts_at(B));
    assert_eq!(outbox::list(world.store_of("mali")).unwrap().len(), 0);
}

#[test]
fn what_a_relay_acknowledged_before_it_died_is_brought_to_the_other() {
    let mut world = trio(2);
    world.cut("mali", B);
    for name in ["som", "ton"] {
        world.cut(name, A);
    }
    world.send("mali", "acknowledged by one");
    world.run_ms(500);
    let sent = world.message("mali", "acknowledged by one");
    assert_eq!(sent.delivery, Delivery::Stored);
    world.kill_relay(A);
    // A restart forgets nothing of what is owed.
    world.stop("mali");
    world.start("mali");
    assert!(!world.bodies("ton").contains(&sent.body));
    world.heal("mali", B);
    // Connected is not in step: it lacks something that the other one has.
    let mut was_behind = false;
    for _ in 0..1_000 {
        world.run_ms(10);
        let [_, b] = <[_; 2]>::try_from(world.relays("mali")).unwrap();
        assert!(b.lacking == 0 || !b.caught_up, "{b:?}");
        was_behind |= b.state == "connected" && b.lacking > 0;
    }
    assert!(was_behind);
    world.run_ms(30_000);
    world.message("ton", &sent.body);
    world.assert_converged(&["mali", "som", "ton"]);
}

#[test]
fn a_fault_behind_every_greeting_is_met_with_patience() {
    let mut world = trio(5);
    let before = world.connections_made();
    for _ in 0..600 {
        world.run_ms(100);
        world.hang_up("som", A);
    }
    let made = world.connections_made() - before;
    assert!((5..20).contains(&made), "{made} in a minute");
    // A connection that stands, or brings something new, ends that.
    world.run_ms(30_000);
    let before = world.connections_made();
    world.hang_up("som", A);
    world.run_ms(500);
    assert_eq!(world.connections_made() - before, 1);
    for n in 0..20 {
        world.send("som", &n.to_string());
        world.run_ms(200);
        world.hang_up("som", A);
        world.run_ms(400);
    }
    let made = world.connections_made() - before;
    assert!(made >= 20, "{made} where each brought something");
}

#[test]
fn a_timeline_has_at_most_as_many_relays_as_an_invite_names() {
    let mut world = World::new(3, &["mali"]);
    let (a, b) = (world.address(A), world.address(B));
    let relays = vec![a.clone(), b.clone(), a.clone(), b, a];
    let request = Request::TimelineNew {
        title: "canal".to_owned(),
        kind: "group".to_owned(),
        relays,
    };
    let told = world.ask("mali", request);
    assert!(
        matches!(&told, Response::Refused { exit_code: 2, message } if message.contains("at most 4")),
        "{told:?}"
    );
    world.know("mali", &[A, B]);
    world.open_timeline("mali");
    let link = world.link("mali");
    assert!(link.contains("also="), "{link}");
}
