//! A relay that was away when somebody was let in, or put out.

use khlong_store::tables::outbox;

use super::world::{A, B, World};

#[test]
fn who_joined_while_a_relay_was_away_brings_it_what_lets_him_in() {
    let mut world = World::new(11, &["mali", "som"]);
    world.know("mali", &[A, B]);
    world.kill_relay(A);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(1_000);
    world.invite("mali", &["som"]);
    world.run_ms(30_000);
    world.send("som", "through the other one");
    world.run_ms(1_000);
    world.message("mali", "through the other one");

    // Som is there first: the relay knows nothing of the timeline.
    world.cut("mali", A);
    world.start_relay(A);
    world.run_ms(60_000);
    assert_eq!(outbox::list(world.store_of("som")).unwrap().len(), 0);
    world.heal("mali", A);
    world.run_ms(60_000);
    assert_eq!(outbox::list(world.store_of("mali")).unwrap().len(), 0);
    assert_eq!(world.texts_at(A), world.texts_at(B));

    world.kill_relay(B);
    world.send("som", "through the first one");
    world.run_ms(1_000);
    world.message("mali", "through the first one");
    world.assert_converged(&["mali", "som"]);
}
