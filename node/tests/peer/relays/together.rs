//! What several do at once, one of several relays that is dead, and who is away in the middle.
//!
//! A second admin is another device of the same user: the program gives nobody else that right.

use std::collections::BTreeSet;

use super::leaving::at_two_relays;
use super::moving::at_one_relay;
use super::world::{A, B, C, D, World};

impl World {
    fn addresses_of(&mut self, name: &'static str) -> BTreeSet<String> {
        let carriers = self.carriers(name).into_iter();
        carriers.map(|it| it.address).collect()
    }

    fn addresses(&self, relays: &[usize]) -> BTreeSet<String> {
        relays.iter().map(|relay| self.address(*relay)).collect()
    }

    /// Runs until each has these relays, and leaves none of them.
    fn run_until_at(&mut self, names: &[&'static str], relays: &[usize]) {
        let wanted = self.addresses(relays);
        for _ in 0..600 {
            let is_there = |world: &mut Self, name: &'static str| {
                let mut carriers = world.carriers(name).into_iter();
                world.addresses_of(name) == wanted && carriers.all(|it| !it.leaving)
            };
            if names.iter().all(|name| is_there(self, name)) {
                return;
            }
            self.run_ms(100);
        }
        let left: Vec<_> = names.iter().map(|name| self.carriers(name)).collect();
        panic!("they are elsewhere: {left:#?}");
    }

    /// A newcomer who has only this relay finds these there.
    fn assert_all_at(&mut self, relay: usize, newcomer: &'static str, bodies: &[String]) {
        let link = self.link("mali");
        self.run_ms(2_000);
        for other in [A, B, C, D].into_iter().filter(|it| *it != relay) {
            self.cut(newcomer, other);
        }
        self.join(newcomer, &link);
        self.run_ms(30_000);
        for body in bodies {
            self.message(newcomer, body);
        }
    }
}

/// As [`at_one_relay`], and the admin has a second device.
fn with_two_admins(seed: u64) -> World {
    let mut world = at_one_relay(seed, &["mali", "som", "ton", "nok", "lek"], &["som", "ton"]);
    world.restore("mali", "mali's other");
    world.run_ms(20_000);
    world
}

#[test]
fn two_admins_move_a_timeline_to_different_relays_at_once() {
    let mut world = with_two_admins(61);
    let all = ["mali", "mali's other", "som", "ton"];
    let mut sent = Vec::new();
    for n in 0..25 {
        for by in all {
            let body = format!("{n} of {by}");
            world.send(by, &body);
            sent.push(body);
        }
        world.run_ms(35);
        match n {
            6 => {
                world.add_relay("mali", B);
                world.add_relay("mali's other", C);
            }
            16 => {
                world.take_relay_away("mali", A, false);
                world.take_relay_away("mali's other", A, false);
            }
            _ => {}
        }
    }
    world.run_until_at(&all, &[B, C]);
    world.kill_relay(A);
    world.run_ms(20_000);
    world.assert_converged(&all);
    world.assert_all_at(B, "nok", &sent);
    world.assert_all_at(C, "lek", &sent);
}

/// One has heard of the other's word before it could say its own.
#[test]
fn an_admin_does_not_take_away_the_relay_that_another_one_leaves() {
    each_takes_another_away(62, false);
}

/// Neither has heard of the other's word when it says its own.
#[test]
fn two_admins_who_each_take_another_relay_away_leave_one() {
    each_takes_another_away(67, true);
}

fn each_takes_another_away(seed: u64, is_ready: bool) {
    let mut world = with_two_admins(seed);
    let all = ["mali", "mali's other", "som", "ton"];
    world.add_relay("mali", B);
    world.run_ms(30_000);
    if is_ready {
        // It has brought everything to the one that is to stay.
        world.add_relay("mali's other", A);
        world.run_ms(30_000);
    }
    world.run_until_at(&all, &[A, B]);
    world.send("ton", "before");
    world.take_relay_away("mali", A, false);
    world.take_relay_away("mali's other", B, false);
    world.send("som", "meanwhile");
    world.run_ms(60_000);
    let stays = world.addresses_of("mali");
    assert_eq!(stays.len(), 1, "{stays:?}");
    let stays = if stays == world.addresses(&[A]) { A } else { B };
    world.run_until_at(&all, &[stays]);
    world.kill_relay(A + B - stays);
    world.send("ton", "after");
    world.run_ms(5_000);
    world.assert_converged(&all);
    let sent = ["before", "meanwhile", "after"].map(str::to_owned);
    world.assert_all_at(stays, "nok", &sent);
}

#[test]
fn of_four_relays_one_is_left_while_another_is_dead() {
    let mut world = World::new(63, &["mali", "som", "nok", "lek"]);
    world.know("mali", &[A, B, C, D]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(1_000);
    world.invite("mali", &["som"]);
    world.run_ms(30_000);
    // He reaches the one that is to go, and no other.
    for relay in [B, C, D] {
        world.cut("som", relay);
    }
    world.kill_relay(B);
    world.send("som", "only at the first one");
    world.run_ms(30);
    world.stop("som");
    world.take_relay_away("mali", A, false);
    world.run_until_at(&["mali"], &[B, C, D]);
    let dead = &world.carriers("mali")[0];
    assert!(dead.lacking > 0, "{dead:?}");

    // It comes back, and has all that it missed; who was away finds the move at the first.
    world.start_relay(B);
    // She finds out that her connection is dead by an answer that does not come.
    world.run_ms(120_000);
    let back = &world.carriers("mali")[0];
    assert_eq!(back.lacking, 0, "{back:?} {:#?}", world.relays("mali"));
    world.start("som");
    for relay in [B, C, D] {
        world.heal("som", relay);
    }
    world.run_until_at(&["som"], &[B, C, D]);
    world.kill_relay(A);
    world.run_ms(20_000);
    world.assert_converged(&["mali", "som"]);
    let sent = ["only at the first one".to_owned()];
    world.assert_all_at(B, "nok", &sent);
    world.assert_all_at(D, "lek", &sent);
}

#[test]
fn what_others_wrote_is_brought_on_from_where_a_restart_met_it() {
    let mut world = at_one_relay(64, &["mali", "som"], &["som"]);
    for n in 0..600 {
        world.send("som", &n.to_string());
        if n % 100 == 99 {
            world.run_ms(1_000);
        }
    }
    world.run_ms(5_000);
    world.stop("som");
    let all = world.texts_at(A);
    world.add_relay("mali", B);
    let begun = world.appended.get(&("mali", B)).copied().unwrap_or(0);
    // She has the answer to one portion, the next one is on its way, and there are more.
    while world.texts_or_none_at(B) < 200 {
        world.run_ms(1);
    }
    world.run_ms(25);
    let there = world.texts_at(B);
    assert!(there < all - 256, "{there} of {all} at once");
    world.stop("mali");
    world.start("mali");
    world.take_relay_away("mali", A, false);
    world.run_until_at(&["mali"], &[B]);
    let offered = world.appended[&("mali", B)] - begun;
    // What was under way is offered twice, and keys and permissions once more.
    assert!(offered < all + 256 + 128, "{offered} offered for {all}");
    world.start("som");
    world.run_until_at(&["som"], &[B]);
    world.kill_relay(A);
    world.run_ms(5_000);
    world.assert_converged(&["mali", "som"]);
    assert!(world.texts_at(B) >= all);
}

/// The honest limit of `DOCUMENT.md` §5: each member leaves with its own, and what a member
/// wrote who is away for good is brought by whoever takes the relay away, when it is back.
#[test]
fn what_only_the_old_relay_has_comes_when_who_takes_it_away_is_back() {
    let mut world = at_one_relay(65, &["mali", "som", "ton", "nok", "lek"], &["som", "ton"]);
    world.add_relay("mali", B);
    world.run_ms(30_000);
    world.cut("ton", B);
    world.restore("mali", "mali's other");
    world.run_ms(20_000);
    // She says it, and is away before she has read the relay to its end.
    let before = world.texts_at(A);
    world.take_relay_away("mali", A, false);
    while world.texts_at(A) == before {
        world.run_ms(1);
    }
    world.stop("mali");
    world.send("ton", "only at the old one");
    world.run_ms(30);
    world.stop("ton");
    world.run_until_at(&["som", "mali's other"], &[B]);
    // No member has lost it, and no newcomer sees it.
    for name in ["som", "mali's other"] {
        world.message(name, "only at the old one");
    }
    let link = world.link("mali's other");
    world.run_ms(2_000);
    world.join("nok", &link);
    world.run_ms(30_000);
    let seen = world.bodies("nok");
    assert!(
        !seen.contains(&"only at the old one".to_owned()),
        "{seen:?}"
    );

    world.start("mali");
    world.run_until_at(&["mali"], &[B]);
    world.kill_relay(A);
    world.run_ms(20_000);
    world.message("nok", "only at the old one");
    world.assert_converged(&["mali", "mali's other", "som", "nok"]);
}

#[test]
fn the_first_request_after_a_start_knows_which_relays_are_to_be_left() {
    let mut world = at_two_relays(66);
    // He reads at the old one that it goes, and does not reach the one that stays.
    world.take_relay_away("mali", A, false);
    world.run_until_at(&["mali"], &[B]);
    world.run_ms(10_000);
    world.stop("som");
    world.start("som");
    let carriers = world.carriers("som");
    let a = world.address(A);
    let old = carriers.iter().find(|it| it.address == a).unwrap();
    let new = carriers.iter().find(|it| it.address != a).unwrap();
    assert!(old.leaving && !old.named, "{carriers:?}");
    assert!(!new.leaving && new.named, "{carriers:?}");
}
