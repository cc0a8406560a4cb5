//! What a full relay refused is remembered in the folder: a command goes on where the one before was.

use khlong_node::api::{Request, Response};
use khlong_store::tables::named::{self, Named};
use khlong_store::tables::quotas::{self, Scope};
use khlong_store::tables::timelines;
use serde_json::Value;

use super::leaving::at_two_relays;
use super::world::{A, B, World};
use crate::WALL_START_MS;

impl World {
    /// What row `book` has of the relay that mali takes away from its timeline.
    fn parting(&self) -> Value {
        let book = named::get(self.store_of("mali"), Named::NodeState, b"book");
        let book: Value = serde_json::from_slice(&book.unwrap().unwrap()).unwrap();
        let timelines = book["timelines"].as_object().unwrap();
        let parting = timelines.values().next().unwrap()["parting"].as_object();
        parting.unwrap().values().next().unwrap().clone()
    }

    fn drop_outbox(&mut self, name: &'static str) {
        let timeline = "canal".to_owned();
        let dropped = self.ask(name, Request::OutboxDrop { timeline });
        assert!(matches!(dropped, Response::Outbox { .. }), "{dropped:?}");
    }

    fn is_leaving(&mut self) -> bool {
        self.carriers("mali").iter().any(|it| it.leaving)
    }

    /// Bytes that count for the quota of the one timeline that a relay carries.
    fn bytes_at(&self, relay: usize) -> u64 {
        let store = self.store_at(relay);
        let all = timelines::timelines(store).unwrap();
        let used = quotas::get(store, Scope::Timeline, all[0].as_bytes());
        used.unwrap().bytes
    }

    fn run_until_texts_at_a(&mut self, texts: u64) {
        for _ in 0..60_000 {
            if self.texts_at(A) >= texts {
                return;
            }
            self.run_ms(1);
        }
        panic!("{} of {texts} are there", self.texts_at(A));
    }
}

/// Mali takes a full relay away and is refused once, then is off for so long.
fn refused_once_and_off(seed: u64, off_ms: u64) -> World {
    let mut world = at_two_relays(seed);
    world.fill_quota(A);
    world.run_ms(120_000);
    world.take_relay_away("mali", A, false);
    world.run_ms(500);
    assert!(world.is_leaving());
    world.stop("mali");
    world.run_ms(off_ms);
    world.start("mali");
    world
}

#[test]
fn two_commands_that_are_refused_are_as_one_that_waits() {
    let mut world = refused_once_and_off(61, 10_000);
    let before = world.now().wall.0;
    let known = world.parting();
    let since = known["no_room"]["since_ms"].as_i64().unwrap();
    let last = known["no_room"]["last_ms"].as_i64().unwrap();
    assert!(WALL_START_MS < since && since <= last, "{known}");
    assert!((10_000..11_000).contains(&(before - last)), "{known}");
    assert_eq!(known["is_full"], false);
    // Said again: the word is written, and goes on its way as it is.
    world.take_relay_away("mali", A, false);
    assert_eq!(world.parting(), known);
    let texts = world.texts_at(B);
    world.run_ms(3_000);
    assert!(world.is_only_at("mali", B), "{:?}", world.carriers("mali"));
    assert_eq!(world.untold("mali"), [world.address(A)]);
    assert_eq!(world.texts_at(B), texts, "it was said once");
}

#[test]
fn refusals_that_are_hours_apart_say_nothing_together() {
    let mut world = refused_once_and_off(62, 2 * 60 * 60 * 1_000);
    let since = |world: &World| world.parting()["no_room"]["since_ms"].as_i64().unwrap();
    let first = since(&world);
    world.take_relay_away("mali", A, false);
    world.run_ms(3_000);
    assert!(world.is_leaving(), "one refusal is none");
    assert!(since(&world) >= first + 2 * 60 * 60 * 1_000);
    // It is asked on, and then it is full.
    world.run_until_moved(&["mali"]);
    assert_eq!(world.untold("mali"), [world.address(A)]);
}

#[test]
fn a_clock_that_was_set_back_begins_anew() {
    let mut world = refused_once_and_off(63, 10_000);
    world.set_clocks_back(60_000);
    world.run_ms(3_000);
    assert!(world.is_leaving(), "nobody knows how long that was");
    world.run_until_moved(&["mali"]);
}

#[test]
fn a_relay_that_took_something_meanwhile_was_not_full() {
    let mut world = at_two_relays(64);
    world.stop("som");
    let before = world.bytes_at(A);
    world.send("mali", "message 0");
    world.run_ms(2_000);
    let (used, texts) = (world.bytes_at(A), world.texts_at(A));
    let one = used - before;
    world.cut("mali", A);
    for n in 1..=4 {
        world.send("mali", &format!("message {n}"));
    }
    world.take_relay_away("mali", A, false);
    world.run_ms(5_000);
    // There is room for one more, and later for another one.
    for more in [1, 2] {
        world.set_quota(A, used + more * one + one / 2);
        world.heal("mali", A);
        world.run_until_texts_at_a(texts + more);
        world.run_ms(1_500);
        assert!(world.is_leaving(), "after {more}");
        if more == 1 {
            world.cut("mali", A);
            world.run_ms(6_000);
        }
    }
    world.run_until_moved(&["mali"]);
    assert_eq!(world.untold("mali"), [world.address(A)]);
}

#[test]
fn who_takes_the_word_out_of_the_outbox_begins_anew() {
    let mut world = refused_once_and_off(65, 10_000);
    let first = world.parting()["removal"].clone();
    world.drop_outbox("mali");
    world.take_relay_away("mali", A, false);
    world.run_ms(3_000);
    assert_ne!(world.parting()["removal"], first, "there is a word again");
    world.run_until_moved(&["mali"]);
}
