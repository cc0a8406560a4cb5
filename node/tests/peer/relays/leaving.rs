//! A relay is left: what only it had is at the one that stays, however it came about.

use khlong_relay::hub::{Opening, Policy};

use super::moving::at_one_relay;
use super::world::{A, B, C, World};

impl World {
    /// A is gone for good; whoever comes now has only B, and finds these there.
    pub(super) fn assert_all_at_b(&mut self, newcomer: &'static str, bodies: &[&str]) {
        self.kill_relay(A);
        let link = self.link("mali");
        assert!(!link.contains("a.test"), "{link}");
        self.run_ms(1_000);
        self.join(newcomer, &link);
        self.run_ms(30_000);
        for body in bodies {
            self.message(newcomer, body);
        }
        self.assert_converged(&["mali", newcomer]);
    }

    /// Runs until A has the word that the timeline leaves it, and not a moment longer.
    fn run_until_said(&mut self) {
        let before = self.texts_at(A);
        for _ in 0..60_000 {
            if self.texts_at(A) > before {
                return;
            }
            self.run_ms(1);
        }
        panic!("it was never said");
    }
}

/// Mali at A and B, som at A only.
pub(super) fn at_two_relays(seed: u64) -> World {
    let mut world = at_one_relay(seed, &["mali", "som", "nok"], &["som"]);
    world.cut("som", B);
    world.add_relay("mali", B);
    world.run_ms(30_000);
    world
}

#[test]
fn what_a_relay_stored_before_it_knew_is_brought_though_it_comes_after_the_answer() {
    let mut world = at_two_relays(31);
    world.slow_micros.insert(("mali", A), 3_000_000);
    world.send("som", "on its way");
    world.run_ms(30);
    world.stop("som");
    world.take_relay_away("mali", A, false);
    world.run_until_moved(&["mali"]);
    world.assert_all_at_b("nok", &["on its way"]);
}

#[test]
fn who_takes_a_relay_away_may_be_interrupted_at_each_step() {
    for (seed, stage) in [(32, 0), (33, 1), (34, 2)] {
        let mut world = at_two_relays(seed);
        world.take_relay_away("mali", A, false);
        if stage > 0 {
            world.run_until_said();
        }
        if stage > 1 {
            // The answer comes, and it asks again.
            world.run_ms(30);
        }
        world.stop("mali");
        for n in 0..10 {
            world.send("som", &format!("while she was away {n}"));
        }
        world.run_ms(2_000);
        world.stop("som");
        world.start("mali");
        world.run_until_moved(&["mali"]);
        world.assert_all_at_b("nok", &["while she was away 0", "while she was away 9"]);
    }
}

#[test]
fn a_relay_that_was_away_for_long_hears_of_it_before_it_is_left() {
    let mut world = at_one_relay(35, &["mali", "som", "nok"], &["som"]);
    world.stop("som");
    world.add_relay("mali", B);
    world.run_ms(30_000);
    world.kill_relay(A);
    world.take_relay_away("mali", A, false);
    // Far more than the outbox keeps for a relay that is away.
    for n in 0..400 {
        world.send("mali", &n.to_string());
        if n % 100 == 99 {
            world.run_ms(1_000);
        }
    }
    world.run_ms(30_000);
    assert!(world.carriers("mali").iter().any(|it| it.leaving));
    world.start_relay(A);
    world.run_until_moved(&["mali"]);
    world.start("som");
    world.run_until_moved(&["som"]);
    world.run_ms(10_000);
    world.assert_converged(&["mali", "som"]);
    world.assert_all_at_b("nok", &["0", "399"]);
}

#[test]
fn no_relay_is_left_for_one_that_refuses() {
    let mut world = at_one_relay(36, &["mali", "som", "nok"], &["som"]);
    world.kill_relay(B);
    let token = Policy {
        opening: Opening::Token(b"for those who have it".to_vec()),
        ..Policy::default()
    };
    world.start_relay_with(B, token);
    world.add_relay("mali", B);
    world.run_ms(30_000);
    world.take_relay_away("mali", A, false);
    world.run_ms(200_000);
    for name in ["mali", "som"] {
        let [a, b] = <[_; 2]>::try_from(world.carriers(name)).unwrap();
        assert_eq!(a.leaving, name == "mali");
        assert!(a.refuses.is_none() && b.refuses.is_some(), "{a:?} {b:?}");
    }
    world.send("som", "still at the old one");
    world.run_ms(1_000);
    world.message("mali", "still at the old one");

    // Its operator lets them in: it goes on by itself.
    world.kill_relay(B);
    world.start_relay(B);
    world.run_ms(120_000);
    world.run_until_moved(&["mali", "som"]);
    world.assert_all_at_b("nok", &["still at the old one"]);
}

#[test]
fn who_joined_while_the_other_relay_was_away_is_let_in_there_before_the_first_is_left() {
    let mut world = World::new(37, &["mali", "som", "nok"]);
    world.know("mali", &[A, B]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(5_000);
    world.kill_relay(B);
    let link = world.link_for("mali", 60);
    world.run_ms(1_000);
    world.join("som", &link);
    world.run_ms(5_000);
    world.send("som", "at the first one");
    world.run_ms(120_000);
    // Whatever let him in there has expired by now.
    world.start_relay(B);
    world.run_ms(120_000);
    world.stop("som");
    world.take_relay_away("mali", A, false);
    world.run_until_moved(&["mali"]);
    world.start("som");
    world.run_until_moved(&["som"]);
    world.send("som", "at the second one");
    world.run_ms(2_000);
    world.assert_all_at_b("nok", &["at the first one", "at the second one"]);
}

#[test]
fn what_only_a_dead_relay_had_and_was_read_is_brought_by_whoever_gives_it_up() {
    let mut world = World::new(38, &["mali", "ton", "nok"]);
    world.know("mali", &[A, B]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(1_000);
    world.invite("mali", &["ton"]);
    world.run_ms(30_000);
    world.cut("ton", B);
    world.send("ton", "only at the first one");
    world.run_ms(2_000);
    world.message("mali", "only at the first one");
    world.stop("ton");
    world.kill_relay(A);
    world.take_relay_away("mali", A, true);
    world.run_ms(10_000);
    world.assert_all_at_b("nok", &["only at the first one"]);
}

#[test]
fn who_adds_a_relay_again_ends_its_leaving() {
    let mut world = at_two_relays(39);
    world.heal("som", B);
    world.run_ms(30_000);
    world.kill_relay(A);
    world.take_relay_away("mali", A, false);
    world.run_ms(30_000);
    assert!(world.carriers("mali").iter().any(|it| it.leaving));
    world.add_relay("mali", A);
    world.start_relay(A);
    world.run_ms(60_000);
    for name in ["mali", "som"] {
        let carriers = world.carriers(name);
        assert!(carriers.len() == 2 && carriers.iter().all(|it| !it.leaving && it.lacking == 0));
    }
}

#[test]
fn a_member_whom_the_staying_relay_refuses_keeps_the_one_that_shows_it_the_timeline() {
    let mut world = at_one_relay(40, &["mali", "som"], &["som"]);
    world.cut("som", C);
    world.kill_relay(B);
    let token = Policy {
        opening: Opening::Token(b"for those who have it".to_vec()),
        ..Policy::default()
    };
    world.start_relay_with(B, token);
    world.add_relay("mali", B);
    world.add_relay("mali", C);
    world.run_ms(30_000);
    world.take_relay_away("mali", A, false);
    world.run_ms(200_000);
    let has_a = |world: &mut World, name| {
        let a = world.address(A);
        world.carriers(name).iter().any(|it| it.address == a)
    };
    assert!(!has_a(&mut world, "mali"), "the third one has everything");
    assert!(has_a(&mut world, "som"), "{:?}", world.carriers("som"));
    assert!(world.carriers("som").iter().any(|it| it.leaving));
    world.heal("som", C);
    world.run_ms(60_000);
    assert!(!has_a(&mut world, "som"), "{:?}", world.carriers("som"));
    world.send("som", "by the third one");
    world.run_ms(2_000);
    world.message("mali", "by the third one");
}

#[test]
fn a_new_link_leads_back_to_a_relay_that_was_taken_away_once() {
    let mut world = at_one_relay(41, &["mali", "som"], &["som"]);
    world.add_relay("mali", B);
    world.run_ms(30_000);
    world.take_relay_away("mali", A, false);
    world.run_until_moved(&["mali", "som"]);
    world.cut("som", B);
    world.add_relay("mali", A);
    world.run_ms(30_000);
    world.kill_relay(B);
    world.take_relay_away("mali", B, true);
    let link = world.link("mali");
    world.run_ms(1_000);
    world.join("som", &link);
    world.run_ms(60_000);
    for name in ["mali", "som"] {
        assert!(world.is_only_at(name, A), "{:?}", world.carriers(name));
    }
    world.send("som", "back again");
    world.run_ms(2_000);
    world.message("mali", "back again");
    world.assert_converged(&["mali", "som"]);
}
