//! From one relay to the other.

use khlong_node::api::{Request, Response};

use super::world::{A, B, World};

fn at_a(seed: u64) -> World {
    let mut world = World::new(seed, &["mali", "som", "ton"]);
    world.know("mali", &[A]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(1_000);
    world.invite("mali", &["som", "ton"]);
    for name in ["mali", "som", "ton"] {
        world.send(name, &format!("written at the first one by {name}"));
        world.run_ms(1_000);
    }
    world.run_ms(10_000);
    world.assert_converged(&["mali", "som", "ton"]);
    world
}

fn is_only_at(world: &mut World, name: &'static str, relay: usize) {
    let relays = world.relays_of(name);
    let addresses: Vec<_> = relays.iter().map(|it| it.address.clone()).collect();
    assert_eq!(addresses, [world.address(relay)], "{name}: {relays:?}");
    assert!(!relays[0].arriving && !relays[0].leaving && relays[0].owed == 0);
}

#[test]
fn everybody_follows_and_nothing_is_missed() {
    let mut world = at_a(11);
    // Away while the others go.
    world.stop("ton");
    world.run_ms(1_000);
    world.move_to("mali", &[B]);
    world.send("som", "written while it moves");
    world.run_ms(60_000);
    for name in ["mali", "som"] {
        is_only_at(&mut world, name, B);
    }
    world.send("mali", "written at the second one");
    world.run_ms(2_000);
    world.start("ton");
    world.send("ton", "what a device wrote that was away");
    world.run_ms(60_000);
    is_only_at(&mut world, "ton", B);
    world.kill_relay(A);
    world.send("som", "and on");
    world.run_ms(30_000);
    world.assert_converged(&["mali", "som", "ton"]);
    assert_eq!(world.bodies("ton").len(), 7);
    let seen = world.message("mali", "what a device wrote that was away");
    assert_eq!(seen.served_by, Some(world.address(B)));
}

/// Everything is there afterwards, also what was written by members who are away.
#[test]
fn a_newcomer_finds_the_whole_history_at_the_new_relay() {
    let mut world = at_a(12);
    world.stop("som");
    world.stop("ton");
    world.move_to("mali", &[B]);
    world.run_ms(60_000);
    is_only_at(&mut world, "mali", B);
    world.kill_relay(A);
    let mut bodies = world.bodies("mali");
    let link = world.link("mali");
    world.run_ms(2_000);
    world.begin("late", 13);
    world.ask("late", Request::TimelineJoin { link });
    world.run_ms(30_000);
    let mut found = world.bodies("late");
    bodies.sort();
    found.sort();
    assert_eq!(found, bodies);
}

#[test]
fn a_move_that_was_interrupted_goes_on() {
    let mut world = at_a(14);
    world.cut("mali", B);
    world.move_to("mali", &[B]);
    world.run_ms(5_000);
    let relays = world.relays_of("mali");
    assert!(
        relays[0].leaving && relays[1].arriving && relays[1].owed > 3,
        "{relays:?}"
    );
    // The old one serves until the new one does.
    world.send("mali", "meanwhile");
    world.run_ms(500);
    assert_eq!(
        world.message("mali", "meanwhile").stored_at,
        [world.address(A)]
    );
    world.stop("mali");
    world.start("mali");
    world.run_ms(5_000);
    world.heal("mali", B);
    // Power goes in the middle of it.
    for _ in 0..4 {
        world.run_ms(70);
        world.stop("mali");
        world.start("mali");
    }
    world.run_ms(90_000);
    for name in ["mali", "som", "ton"] {
        is_only_at(&mut world, name, B);
    }
    world.assert_converged(&["mali", "som", "ton"]);
}

/// The former relay is kept until it has the word, so that others find it there.
#[test]
fn a_former_relay_that_is_away_is_told_when_it_comes_back() {
    let mut world = at_a(15);
    world.kill_relay(A);
    world.move_to("mali", &[B]);
    world.run_ms(30_000);
    let relays = world.relays_of("mali");
    assert!(relays[0].leaving && relays[0].owed > 0, "{relays:?}");
    assert!(!relays[1].arriving && relays[1].owed == 0, "{relays:?}");
    assert!(world.is_idle("mali"));
    world.start_relay(A);
    world.run_ms(90_000);
    for name in ["mali", "som", "ton"] {
        is_only_at(&mut world, name, B);
    }
    world.assert_converged(&["mali", "som", "ton"]);
}

/// A second relay beside the first is a move to both.
#[test]
fn a_second_relay_is_added_and_taken_away() {
    let mut world = at_a(16);
    world.move_to("mali", &[A, B]);
    world.run_ms(60_000);
    for name in ["mali", "som", "ton"] {
        let relays = world.relays_of(name);
        assert_eq!(relays.len(), 2, "{name}: {relays:?}");
        assert!(
            relays
                .iter()
                .all(|it| it.owed == 0 && !it.arriving && !it.leaving)
        );
    }
    world.kill_relay(A);
    world.send("ton", "through the second");
    world.run_ms(500);
    assert_eq!(
        world.message("som", "through the second").served_by,
        Some(world.address(B))
    );
}

#[test]
fn only_an_admin_moves_a_timeline() {
    let mut world = at_a(17);
    match world.move_to("ton", &[B]) {
        Response::Refused { exit_code, .. } => assert_eq!(exit_code, 4),
        other => panic!("{other:?}"),
    }
    world.run_ms(10_000);
    is_only_at(&mut world, "ton", A);
}

/// Whoever takes it out of the outbox moves without it.
#[test]
fn a_move_does_not_wait_for_what_was_dropped() {
    let mut world = at_a(18);
    world.cut("mali", B);
    world.move_to("mali", &[B]);
    world.run_ms(3_000);
    let before = world.relays_of("mali")[1].owed;
    let timeline = "canal".to_owned();
    world.ask("mali", Request::OutboxDrop { timeline });
    let after = world.relays_of("mali")[1].owed;
    assert!(after > 0 && after < before, "{before} and {after}");
    world.appended.clear();
    world.heal("mali", B);
    world.run_ms(60_000);
    is_only_at(&mut world, "mali", B);
    assert!(world.bodies("mali").len() == 3, "what is here stays");
}
