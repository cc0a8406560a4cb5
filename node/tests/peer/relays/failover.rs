//! One of them is away, for a while or for ever; members reach one of them only.

use khlong_node::api::{Delivery, Request, Response};

use super::world::{A, B, World};

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

fn owed(world: &mut World, name: &'static str) -> Vec<(bool, u64)> {
    match world.ask(name, Request::RelayLs) {
        Response::Relays { relays } => {
            let relays = relays.into_iter();
            relays.map(|it| (it.covered, it.owed)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dead_relay_holds_up_nothing_and_gets_all_that_it_missed() {
    let mut world = trio(1);
    world.kill_relay(A);
    world.send("mali", "through the other one");
    world.run_ms(200);
    let sent = world.message("mali", "through the other one");
    let b = world.address(B);
    assert!(sent.delivery >= Delivery::Stored, "{sent:?}");
    assert_eq!(sent.stored_at, std::slice::from_ref(&b));
    let seen = world.message("ton", "through the other one");
    assert_eq!((seen.served_by, seen.stored_at), (Some(b.clone()), vec![]));
    // Whoever waits until nothing moves does not wait for the dead one.
    assert!(!world.is_idle("mali"), "it may still answer");
    world.run_ms(3_000);
    assert!(world.is_idle("mali"));
    let standing = owed(&mut world, "mali");
    assert!(standing.iter().any(|(covered, owed)| *covered && *owed > 0));
    assert!(standing.contains(&(false, 0)), "{standing:?}");

    world.dialled.clear();
    world.run_ms(120_000);
    assert!(
        world.is_idle("mali"),
        "attempts in vain are nothing to wait for"
    );
    let tried = world.dialled[&("mali", A)];
    assert!(
        (5..30).contains(&tried),
        "tried {tried} times in two minutes"
    );
    world.send("ton", "still away");

    world.start_relay(A);
    world.run_ms(60_000);
    for name in ["mali", "som", "ton"] {
        let standing = owed(&mut world, name);
        assert_eq!(standing, [(false, 0), (false, 0)], "{name}");
    }
    let sent = world.message("mali", "through the other one");
    assert_eq!(sent.stored_at.len(), 2, "{sent:?}");
    world.assert_converged(&["mali", "som", "ton"]);
    assert_eq!(world.bodies("som").len(), 2);
}

#[test]
fn what_a_relay_acknowledged_before_it_died_for_ever_is_brought_to_the_other() {
    let mut world = trio(2);
    world.cut("mali", B);
    for name in ["som", "ton"] {
        world.cut(name, A);
    }
    world.send("mali", "acknowledged by one");
    world.run_ms(500);
    let sent = world.message("mali", "acknowledged by one");
    assert_eq!(sent.stored_at, [world.address(A)]);
    world.kill_relay(A);
    // A restart forgets nothing of what is owed.
    world.stop("mali");
    world.start("mali");
    assert!(!world.bodies("ton").contains(&sent.body));
    world.heal("mali", B);
    world.run_ms(30_000);
    assert_eq!(
        world.message("ton", &sent.body).served_by,
        Some(world.address(B))
    );
    world.assert_converged(&["mali", "som", "ton"]);
}

/// Mali reaches the one, ton the other, and som both.
#[test]
fn members_pass_on_what_one_relay_has_and_the_other_lacks() {
    let mut world = trio(3);
    world.cut("mali", B);
    world.cut("ton", A);
    world.appended.clear();
    for n in 0..5 {
        world.send("mali", &format!("{n} by mali"));
        world.send("ton", &format!("{n} by ton"));
        world.run_ms(1_000);
    }
    world.run_ms(60_000);
    world.assert_converged(&["mali", "som", "ton"]);
    assert_eq!(world.bodies("mali").len(), 10);
    let brought: u64 = [A, B].map(|to| world.appended[&("som", to)]).iter().sum();
    // Ten messages, the receipts of two members for them, and its own at two relays.
    assert!((20..=60).contains(&brought), "{brought}");
    // And then there is silence: nothing goes to and fro.
    world.appended.clear();
    world.run_ms(120_000);
    assert!(world.appended.is_empty(), "{:?}", world.appended);
}

/// Ton was let in while the one was away, and never reaches it.
#[test]
fn who_joined_at_one_relay_is_let_in_at_the_other() {
    let mut world = World::new(6, &["mali", "som", "ton"]);
    world.know("mali", &[A, B]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(1_000);
    world.invite("mali", &["som"]);
    world.cut("ton", B);
    world.kill_relay(B);
    world.invite("mali", &["ton"]);
    world.start_relay(B);
    world.run_ms(90_000);
    world.cut("mali", A);
    world.send("ton", "by who is unknown there");
    world.run_ms(30_000);
    let seen = world.message("mali", "by who is unknown there");
    assert_eq!(seen.served_by, Some(world.address(B)));
    world.send("mali", "an answer");
    world.run_ms(30_000);
    world.assert_converged(&["mali", "som", "ton"]);
}

/// Where the writers reach both relays, nobody else brings anything.
#[test]
fn nothing_is_passed_on_that_its_writer_brought() {
    let mut world = trio(4);
    world.appended.clear();
    for n in 0..10 {
        world.send("mali", &n.to_string());
        world.run_ms(500);
    }
    world.run_ms(60_000);
    let mine = world.appended[&("mali", A)];
    assert_eq!(mine, world.appended[&("mali", B)]);
    // Receipts only: one for each pause, to each relay.
    for name in ["som", "ton"] {
        let own = world.appended[&(name, A)];
        assert!(own <= 10, "{name} brought {own}");
        assert_eq!(own, world.appended[&(name, B)], "{name}");
    }
}

#[test]
fn forgetting_a_relay_ends_what_waits_for_it() {
    let mut world = trio(5);
    world.kill_relay(A);
    world.send("mali", "for both");
    world.run_ms(3_000);
    let relay = world.address(A);
    let force = false;
    world.ask("mali", Request::RelayRm { relay, force });
    assert_eq!(owed(&mut world, "mali"), [(false, 0)]);
    assert!(world.is_idle("mali"));
    world.dialled.clear();
    world.run_ms(60_000);
    assert!(!world.dialled.contains_key(&("mali", A)));
    assert_eq!(world.bodies("ton"), ["for both"]);
}
