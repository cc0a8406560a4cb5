//! A relay that was away when somebody was let in, or put out.

use khlong_node::api::Request;
use khlong_store::tables::outbox;

use super::world::{A, B, World};

#[test]
fn what_an_admin_brought_to_one_relay_only_a_member_brings_to_the_other() {
    let mut world = World::new(12, &["mali", "som", "ton"]);
    world.know("mali", &[A, B]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(1_000);
    world.invite("mali", &["som"]);
    world.run_ms(30_000);

    // Nobody whom the relay lets in already has anything to write.
    world.cut("mali", B);
    world.cut("ton", A);
    let link = world.link("mali");
    world.run_ms(1_000);
    world.ask("ton", Request::TimelineJoin { link });
    world.run_ms(60_000);
    world.send("som", "he is here");
    world.run_ms(2_000);
    world.message("ton", "he is here");
    world.send("ton", "through the other one");
    world.run_ms(2_000);
    world.message("som", "through the other one");
}

#[test]
fn what_was_granted_while_a_relay_was_away_a_member_brings_over_a_restart() {
    let mut world = World::new(13, &["mali", "som", "ton"]);
    world.know("mali", &[A, B]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(1_000);
    world.invite("mali", &["som"]);
    world.run_ms(30_000);

    world.kill_relay(B);
    world.run_ms(30_000);
    let link = world.link("mali");
    world.run_ms(15_000);
    world.stop("mali");
    world.stop("som");
    world.start("som");
    world.cut("ton", A);
    world.start_relay(B);
    world.appended.clear();
    world.ask("ton", Request::TimelineJoin { link });
    world.run_ms(60_000);
    world.send("som", "he is here");
    world.run_ms(2_000);
    world.message("ton", "he is here");
    // Only what was missed: not the history.
    let offered = world.appended[&("som", B)];
    assert!(offered < 20, "{offered}");
}

#[test]
fn what_waits_to_be_shown_by_a_relay_that_goes_away_is_brought_all_the_same() {
    let mut world = World::new(14, &["mali", "som", "ton"]);
    world.know("mali", &[A, B]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(1_000);
    world.invite("mali", &["som"]);
    world.run_ms(30_000);

    // One grant while it is there, another one while it is away.
    world.cut("mali", B);
    let link = world.link("mali");
    world.run_ms(1_000);
    world.cut("som", B);
    world.link("mali");
    world.run_ms(15_000);
    world.stop("mali");
    world.heal("som", B);
    world.cut("ton", A);
    world.run_ms(20_000);
    world.ask("ton", Request::TimelineJoin { link });
    world.run_ms(60_000);
    world.send("som", "he is here");
    world.run_ms(2_000);
    world.message("ton", "he is here");
}

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
