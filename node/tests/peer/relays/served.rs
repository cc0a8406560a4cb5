//! Which relay served a timeline, and when.

use jiff::Timestamp;
use khlong_node::api::{Request, Response};

use super::world::{A, B, World};

/// There and back.
const ROUND_TRIP_MS: i64 = 40;

/// When each of A and B last stored something of a timeline, and last sent something of it.
type Times = [(Option<String>, Option<String>); 2];

const UNKNOWN: (Option<String>, Option<String>) = (None, None);

impl World {
    fn served(&mut self, name: &'static str, timeline: &str) -> Times {
        let timeline = timeline.to_owned();
        let asked = self.ask(name, Request::TimelineRelayLs { timeline });
        let Response::Carriers { relays, .. } = asked else {
            panic!("{asked:?}");
        };
        [A, B].map(|relay| {
            let address = self.address(relay);
            let mut carriers = relays.iter().filter(|view| view.address == address);
            let carrier = carriers.next().unwrap();
            let times = (&carrier.last_stored_at, &carrier.last_pushed_at);
            (times.0.clone(), times.1.clone())
        })
    }

    fn say(&mut self, name: &'static str, timeline: &str, body: &str) {
        let request = Request::Send {
            timeline: timeline.to_owned(),
            body: body.to_owned(),
            reply_to: None,
        };
        let written = self.ask(name, request);
        assert!(matches!(written, Response::Written { .. }), "{written:?}");
    }

    fn in_ms(&self, ms: i64) -> Option<String> {
        let at = Timestamp::from_millisecond(self.now().wall.0 + ms).unwrap();
        Some(at.to_string())
    }
}

#[test]
fn a_relay_tells_of_each_timeline_when_it_last_served_it() {
    let mut world = World::new(51, &["mali", "ton"]);
    world.know("mali", &[A, B]);
    world.run_ms(1_000);
    world.open_timeline("mali");
    let request = Request::TimelineNew {
        title: "market".to_owned(),
        kind: "group".to_owned(),
        relays: Vec::new(),
    };
    world.ask("mali", request);
    world.run_ms(1_000);
    world.invite("mali", &["ton"]);
    world.run_ms(30_000);
    let [a, b] = world.served("mali", "canal");
    assert!(a.0.is_some() && a.1.is_some() && b.0.is_some() && b.1.is_some());

    // What went before a start is not known.
    for name in ["mali", "ton"] {
        world.stop(name);
        world.start(name);
    }
    world.run_ms(10_000);
    for timeline in ["canal", "market"] {
        assert_eq!(world.served("mali", timeline), [UNKNOWN, UNKNOWN]);
    }

    world.kill_relay(A);
    let arrives = world.in_ms(ROUND_TRIP_MS);
    world.say("mali", "canal", "by way of the other one");
    world.run_ms(45);
    let [a, b] = world.served("mali", "canal");
    assert_eq!((a, b.0), (UNKNOWN, arrives.clone()));
    assert_eq!(world.served("ton", "canal"), [UNKNOWN, (None, arrives)]);
    // Ton's receipt comes the same way, and the other timeline has nothing to do with it.
    world.run_ms(10_000);
    let [a, canal] = world.served("mali", "canal");
    assert!(a == UNKNOWN && canal.1 > canal.0, "{canal:?}");
    assert_eq!(world.served("mali", "market"), [UNKNOWN, UNKNOWN]);

    let arrives = world.in_ms(ROUND_TRIP_MS);
    world.say("mali", "market", "nobody else is here");
    world.run_ms(1_000);
    let [a, market] = world.served("mali", "market");
    assert_eq!((a, market.0), (UNKNOWN, arrives.clone()));
    assert_eq!(world.served("mali", "canal"), [UNKNOWN, canal.clone()]);
    // Of the relay as a whole the newest counts.
    let [_, whole] = <[_; 2]>::try_from(world.relays("mali")).unwrap();
    assert_eq!(whole.last_stored_at, arrives);

    // It is brought what it missed of both; what the other one did stays as it was.
    world.start_relay(A);
    world.run_ms(60_000);
    for (timeline, at_b) in [("canal", canal.0), ("market", arrives)] {
        let [a, b] = world.served("mali", timeline);
        assert!(a.0 > at_b && b.0 == at_b, "{timeline}: {a:?} {b:?}");
    }
}
