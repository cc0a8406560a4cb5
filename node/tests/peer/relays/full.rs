//! A relay without room, which reads fine, is left: its refusal stands for its signature.

use khlong_node::api::{Request, Response};
use khlong_relay::hub::Policy;

use super::leaving::at_two_relays;
use super::moving::at_one_relay;
use super::world::{A, B, World};

impl World {
    /// Relays that were left without having stored the word of it.
    pub(super) fn untold(&mut self, name: &'static str) -> Vec<String> {
        let timeline = "canal".to_owned();
        match self.ask(name, Request::TimelineRelayLs { timeline }) {
            Response::Carriers { untold, .. } => untold,
            other => panic!("{other:?}"),
        }
    }

    /// The operator allows a timeline no more than it has.
    pub(super) fn fill_quota(&mut self, relay: usize) {
        self.set_quota(relay, 1);
    }

    /// The operator starts a relay anew that allows a timeline so much.
    pub(super) fn set_quota(&mut self, relay: usize, timeline_quota_bytes: u64) {
        self.kill_relay(relay);
        let policy = Policy {
            timeline_quota_bytes,
            ..Policy::default()
        };
        self.start_relay_with(relay, policy);
    }
}

#[test]
fn a_full_disk_is_left_once_it_was_read_to_its_end() {
    let mut world = at_two_relays(51);
    // It was stored before the disk was full, and arrives after the refusal.
    world.slow_micros.insert(("mali", A), 3_000_000);
    world.send("som", "on its way");
    world.run_ms(30);
    world.stop("som");
    world.set_free_bytes_at(A, Some(0));
    world.take_relay_away("mali", A, false);
    world.run_until_moved(&["mali"]);
    assert_eq!(world.untold("mali"), [world.address(A)]);
    world.assert_all_at_b("nok", &["on its way"]);
}

#[test]
fn a_full_timeline_moves_and_whoever_knows_the_new_relay_follows() {
    let mut world = at_one_relay(52, &["mali", "som", "ton", "nok"], &["som", "ton"]);
    world.send("ton", "before it was full");
    world.run_ms(1_000);
    // He is away, and hears of the new relay at the full one.
    world.stop("ton");
    world.add_relay("mali", B);
    world.run_ms(30_000);
    world.fill_quota(A);
    world.run_ms(30_000);
    // More than goes in one append: the word itself is not even offered.
    for n in 0..300 {
        world.send("mali", &n.to_string());
        if n % 100 == 99 {
            world.run_ms(1_000);
        }
    }
    world.take_relay_away("mali", A, false);
    world.run_until_moved(&["mali", "som"]);
    assert_eq!(world.untold("mali"), [world.address(A)]);
    assert!(
        world.untold("som").is_empty(),
        "it was not som who took it away"
    );

    // The new relay was named at the full one in time.
    world.start("ton");
    world.run_until_moved(&["ton"]);
    world.run_ms(10_000);
    world.assert_converged(&["mali", "som", "ton"]);
    world.assert_all_at_b("nok", &["before it was full", "0", "299"]);
}

#[test]
fn who_knows_only_the_full_relay_needs_a_new_link() {
    let mut world = at_one_relay(53, &["mali", "ton", "nok"], &["ton"]);
    world.stop("ton");
    world.fill_quota(A);
    world.add_relay("mali", B);
    world.run_ms(30_000);
    world.take_relay_away("mali", A, false);
    world.run_until_moved(&["mali"]);
    assert_eq!(world.untold("mali"), [world.address(A)]);
    world.start("ton");
    world.send("ton", "who hears me");
    world.run_ms(60_000);
    assert!(world.is_only_at("ton", A), "nobody could tell him");
    let link = world.link("mali");
    world.run_ms(1_000);
    world.join("ton", &link);
    world.run_until_moved(&["ton"]);
    world.run_ms(5_000);
    world.message("mali", "who hears me");
    world.assert_converged(&["mali", "ton"]);
}

#[test]
fn a_relay_that_has_room_again_hears_of_it_and_is_read_anew() {
    let mut world = at_two_relays(54);
    world.set_free_bytes_at(A, Some(0));
    world.take_relay_away("mali", A, false);
    // Refused, and the network fails before it is asked anew.
    for _ in 0..60_000 {
        world.run_ms(1);
        if !world.is_connected_to("mali", A) {
            break;
        }
    }
    world.cut("mali", A);
    world.run_ms(1_000);
    assert!(world.carriers("mali").iter().any(|it| it.leaving));
    world.set_free_bytes_at(A, None);
    world.send("som", "there was room again");
    world.run_ms(2_000);
    world.slow_micros.insert(("mali", A), 3_000_000);
    world.heal("mali", A);
    world.run_until_moved(&["mali"]);
    assert!(world.untold("mali").is_empty(), "it was told after all");
    world.heal("som", B);
    world.run_until_moved(&["som"]);
    world.assert_all_at_b("nok", &["there was room again"]);
}

#[test]
fn a_full_relay_that_is_not_read_to_its_end_stays() {
    let mut world = at_two_relays(55);
    world.fill_quota(A);
    world.run_ms(20_000);
    world.take_relay_away("mali", A, false);
    // What it shows never arrives.
    world.slow_micros.insert(("mali", A), 1_000_000_000);
    world.run_ms(60_000);
    let carriers = world.carriers("mali");
    assert!(carriers.iter().any(|it| it.leaving), "{carriers:?}");
    world.slow_micros.clear();
    world.kill_relay(A);
    world.run_ms(60_000);
    let carriers = world.carriers("mali");
    assert!(carriers.iter().any(|it| it.leaving), "{carriers:?}");
    world.take_relay_away("mali", A, true);
    assert!(world.is_only_at("mali", B));
}

#[test]
fn a_disk_that_is_full_for_a_moment_hears_of_it() {
    let mut world = at_two_relays(56);
    world.set_free_bytes_at(A, Some(0));
    world.take_relay_away("mali", A, false);
    world.run_ms(5_000);
    assert!(world.carriers("mali").iter().any(|it| it.leaving));
    world.set_free_bytes_at(A, None);
    world.run_until_moved(&["mali"]);
    assert!(world.untold("mali").is_empty());
    // Who knows that relay only reads there where the timeline is.
    world.heal("som", B);
    world.run_until_moved(&["som"]);
}

#[test]
fn a_relay_that_takes_the_word_after_it_was_read_is_read_once_more() {
    let mut world = at_two_relays(57);
    let early = "stored before it was full";
    world.slow_micros.insert(("mali", A), 40_000_000);
    world.send("som", early);
    world.run_ms(30);
    world.set_free_bytes_at(A, Some(0));
    world.take_relay_away("mali", A, false);
    let before = world.connections_made();
    while world.connections_made() == before {
        world.run_ms(10);
    }
    world.run_ms(39_900);
    while !world.bodies("mali").contains(&early.to_owned()) {
        world.run_ms(1);
    }
    // It is read to its end, and the other one goes away before it has what came by that.
    world.cut("mali", B);
    world.run_ms(1_000);
    world.cut("mali", A);
    world.set_free_bytes_at(A, None);
    world.send("som", "when there was room again");
    world.run_ms(2_000);
    world.stop("som");
    world.slow_micros.insert(("mali", A), 5_000_000);
    world.heal("mali", A);
    world.heal("mali", B);
    world.run_until_moved(&["mali"]);
    assert!(world.untold("mali").is_empty());
    world.assert_all_at_b("nok", &[early, "when there was room again"]);
}
