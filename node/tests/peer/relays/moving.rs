//! A timeline goes from one relay to another, and its members follow.

use khlong_node::api::{CarrierView, Request, Response};

use super::world::{A, B, World};

impl World {
    pub(super) fn add_relay(&mut self, name: &'static str, relay: usize) -> Response {
        let (timeline, relay) = ("canal".to_owned(), self.address(relay));
        self.ask(name, Request::TimelineRelayAdd { timeline, relay })
    }

    pub(super) fn take_relay_away(
        &mut self,
        name: &'static str,
        relay: usize,
        force: bool,
    ) -> Response {
        let (timeline, relay) = ("canal".to_owned(), self.address(relay));
        let request = Request::TimelineRelayRm {
            timeline,
            relay,
            force,
        };
        self.ask(name, request)
    }

    pub(super) fn carriers(&mut self, name: &'static str) -> Vec<CarrierView> {
        let timeline = "canal".to_owned();
        match self.ask(name, Request::TimelineRelayLs { timeline }) {
            Response::Carriers { relays, .. } => relays,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn is_only_at(&mut self, name: &'static str, relay: usize) -> bool {
        let address = self.address(relay);
        let carriers = self.carriers(name);
        matches!(carriers.as_slice(), [one] if one.address == address && !one.leaving)
    }

    pub(super) fn join(&mut self, name: &'static str, link: &str) -> Response {
        let link = link.to_owned();
        self.ask(name, Request::TimelineJoin { link })
    }

    /// Runs until each has only B.
    pub(super) fn run_until_moved(&mut self, names: &[&'static str]) {
        for _ in 0..600 {
            if names.iter().all(|name| self.is_only_at(name, B)) {
                return;
            }
            self.run_ms(100);
        }
        let left: Vec<_> = names.iter().map(|name| self.carriers(name)).collect();
        panic!("it has not moved: {left:?}");
    }
}

/// A timeline at A, whose invites soon expire.
pub(super) fn at_one_relay(seed: u64, names: &[&'static str], members: &[&'static str]) -> World {
    let mut world = World::new(seed, names);
    world.know("mali", &[A]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    world.run_ms(1_000);
    for name in members {
        let link = world.link_for("mali", 60);
        world.run_ms(1_000);
        world.join(name, &link);
        world.run_ms(3_000);
    }
    world.run_ms(10_000);
    world
}

#[test]
fn a_timeline_moves_while_members_write_and_nothing_is_lost() {
    let mut world = at_one_relay(21, &["mali", "som", "ton", "nok"], &["som", "ton"]);
    world.send("ton", "before he went away");
    world.run_ms(1_000);
    // Whoever came by a link that has expired is let in at the new relay, too; and what one
    // wrote who is away is brought there by another.
    world.stop("ton");
    world.run_ms(120_000);
    let mut sent = vec!["before he went away".to_owned()];
    let mut write = |world: &mut World, by: &'static str| {
        let body = format!("{} of {by}", sent.len());
        world.send(by, &body);
        sent.push(body);
        world.run_ms(35);
    };
    for n in 0..60 {
        write(&mut world, "mali");
        write(&mut world, "som");
        match n {
            20 => drop(world.add_relay("mali", B)),
            40 => drop(world.take_relay_away("mali", A, false)),
            _ => {}
        }
    }
    world.run_until_moved(&["mali", "som"]);
    world.kill_relay(A);
    world.run_ms(5_000);
    world.assert_converged(&["mali", "som"]);

    // A newcomer finds all of it at the new relay.
    let link = world.link("mali");
    assert!(!link.contains("a.test"), "{link}");
    world.run_ms(1_000);
    world.join("nok", &link);
    world.run_ms(20_000);
    world.assert_converged(&["mali", "som", "nok"]);
    let mut bodies = world.bodies("nok");
    bodies.sort();
    sent.sort();
    assert_eq!(bodies, sent);

    // Who was away knows the dead one only: a new link tells, and is not used up.
    world.start("ton");
    world.send("ton", "is anybody there");
    world.run_ms(30_000);
    assert!(
        !world
            .bodies("mali")
            .contains(&"is anybody there".to_owned())
    );
    let link = world.link("mali");
    world.run_ms(1_000);
    let joined = world.join("ton", &link);
    assert!(matches!(joined, Response::Timeline { .. }), "{joined:?}");
    world.run_ms(60_000);
    world.run_until_moved(&["ton"]);
    world.message("mali", "is anybody there");
    world.assert_converged(&["mali", "som", "ton", "nok"]);
    let again = world.join("som", &link);
    assert!(
        matches!(again, Response::Refused { exit_code: 2, .. }),
        "{again:?}"
    );
}

#[test]
fn an_old_invite_leads_to_the_new_relay_as_long_as_the_old_one_stands() {
    let mut world = at_one_relay(22, &["mali", "som", "nok", "lek"], &["som"]);
    let old = [world.link("mali"), world.link("mali")];
    world.run_ms(1_000);
    world.add_relay("mali", B);
    world.run_ms(2_000);
    world.take_relay_away("mali", A, false);
    world.run_until_moved(&["mali", "som"]);
    world.send("mali", "at the new one");
    world.run_ms(1_000);

    world.join("nok", &old[0]);
    world.run_ms(30_000);
    world.run_until_moved(&["nok"]);
    world.send("nok", "found it");
    world.run_ms(5_000);
    world.message("som", "found it");
    world.assert_converged(&["mali", "som", "nok"]);

    // Then it leads nowhere, and waits.
    world.kill_relay(A);
    world.join("lek", &old[1]);
    world.run_ms(30_000);
    assert!(world.messages_or_none("lek").is_empty());
}

#[test]
fn who_was_away_finds_the_move_at_the_old_relay_and_brings_what_it_wrote() {
    let mut world = at_one_relay(23, &["mali", "som", "ton"], &["som", "ton"]);
    world.stop("ton");
    world.add_relay("mali", B);
    world.run_ms(2_000);
    world.take_relay_away("mali", A, false);
    world.run_until_moved(&["mali", "som"]);
    world.start("ton");
    world.send("ton", "written on the way");
    world.run_until_moved(&["ton"]);
    world.run_ms(5_000);
    world.message("som", "written on the way");
    world.assert_converged(&["mali", "som", "ton"]);
    // It has had nothing new since.
    let before = world.texts_at(A);
    world.send("som", "at the new one");
    world.run_ms(5_000);
    assert_eq!(world.texts_at(A), before);
    world.message("ton", "at the new one");
}

#[test]
fn a_relay_stays_until_another_has_everything_or_it_is_given_up() {
    let mut world = at_one_relay(24, &["mali", "som"], &["som"]);
    let alone = world.take_relay_away("mali", A, false);
    assert!(
        matches!(&alone, Response::Refused { exit_code: 2, .. }),
        "{alone:?}"
    );
    world.cut("mali", B);
    world.add_relay("mali", B);
    world.run_ms(1_000);
    world.take_relay_away("mali", A, false);
    world.run_ms(60_000);
    let [a, b] = <[_; 2]>::try_from(world.carriers("mali")).unwrap();
    assert!(a.leaving && b.lacking > 0, "{a:?} {b:?}");
    // Nobody was told: the others stay, too; and a restart forgets nothing.
    assert!(world.carriers("som").iter().all(|it| !it.leaving));
    world.stop("mali");
    world.start("mali");
    world.heal("mali", B);
    world.run_until_moved(&["mali", "som"]);

    // Back, and away again from a relay that is dead for good.
    world.add_relay("mali", A);
    world.run_ms(30_000);
    assert_eq!(world.carriers("som").len(), 2);
    world.kill_relay(A);
    world.take_relay_away("mali", A, false);
    world.run_ms(60_000);
    let leaving = world.carriers("mali").iter().any(|it| it.leaving);
    assert!(leaving, "it has not heard of it");
    world.take_relay_away("mali", A, true);
    assert!(world.is_only_at("mali", B));
    world.run_until_moved(&["som"]);
    world.send("som", "without it");
    world.run_ms(5_000);
    world.assert_converged(&["mali", "som"]);
}

#[test]
fn only_an_admin_moves_a_timeline() {
    let mut world = at_one_relay(25, &["mali", "som"], &["som"]);
    let refused = world.add_relay("som", B);
    assert!(
        matches!(&refused, Response::Refused { exit_code: 4, message } if message.contains("admin")),
        "{refused:?}"
    );
    let refused = world.take_relay_away("som", A, true);
    assert!(
        matches!(refused, Response::Refused { exit_code: 4, .. }),
        "{refused:?}"
    );
    assert!(world.is_only_at("som", A) && world.is_only_at("mali", A));
}

#[test]
fn a_relay_that_a_person_forgot_does_not_come_back_by_itself() {
    let mut world = at_one_relay(26, &["mali", "som"], &["som"]);
    world.add_relay("mali", B);
    world.run_ms(20_000);
    assert_eq!(world.carriers("som").len(), 2);
    let relay = world.address(B);
    let force = false;
    world.ask("som", Request::RelayRm { relay, force });
    world.stop("som");
    world.start("som");
    world.run_ms(20_000);
    assert!(world.is_only_at("som", A));
    assert_eq!(world.carriers("mali").len(), 2);
    world.know("som", &[B]);
    world.run_ms(20_000);
    assert_eq!(world.carriers("som").len(), 2, "he knows it again");
}
