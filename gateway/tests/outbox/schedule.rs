//! The core of the worker in virtual time.

use std::collections::BTreeSet;
use std::time::Duration;

use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_gateway::outbox::limits::{
    BACKOFF_FIRST, BACKOFF_MAX, GIVE_UP_AFTER, NOTICES_MAX, SENDS_PER_TARGET_MAX,
};
use khlong_gateway::outbox::schedule::{Found, Heard, Key, Output, Policy, Schedule};
use khlong_store::journal::JournalSeq;

const REFUSED: Heard = Heard::Refused { pause: None };

/// A schedule and its time.
struct World {
    schedule: Schedule,
    now: Duration,
}

impl World {
    fn new(targets: &[&[&str]], seed: u8) -> Self {
        let topics = targets.iter().map(|topics| {
            let topics = topics.iter().map(|topic| (*topic).to_owned());
            topics.collect::<BTreeSet<_>>()
        });
        Self {
            schedule: Schedule::new(topics.collect(), Policy::default(), [seed; 32]),
            now: Duration::ZERO,
        }
    }

    fn now(&self) -> Now {
        Now {
            monotonic: Monotonic(self.now.as_micros().try_into().unwrap()),
            wall: UnixMillis(self.now.as_millis().try_into().unwrap()),
        }
    }

    fn found(&mut self, seq: u64, topic: Option<&str>) -> Key {
        let key = (JournalSeq(seq), 0);
        let (topic, left_at) = (topic.map(str::to_owned), self.now().wall);
        let now = self.now();
        self.schedule.found(
            now,
            Found {
                key,
                topic,
                left_at,
            },
        );
        key
    }

    fn drain(&mut self) -> Vec<Output> {
        let now = self.now();
        std::iter::from_fn(|| self.schedule.poll_output(now)).collect()
    }

    fn heard(&mut self, key: Key, target: usize, heard: Heard) {
        let now = self.now();
        self.schedule.heard(now, key, target, heard);
    }

    /// Until something is due.
    fn wait(&mut self) -> Duration {
        let at = self.schedule.next_deadline().unwrap();
        let at = Duration::from_micros(at.0);
        let waited = at.saturating_sub(self.now);
        self.now = self.now.max(at);
        waited
    }
}

fn send(key: Key, target: usize, attempt: u32) -> Output {
    Output::Send {
        key,
        target,
        attempt,
    }
}

fn report(key: Key, delivered: u16, failed: u16) -> Output {
    Output::Report {
        key,
        delivered,
        failed,
    }
}

#[test]
fn a_notice_goes_to_whoever_subscribes_and_is_over_when_all_have_it() {
    let mut world = World::new(&[&["a"], &["b"], &["b", "a"]], 1);
    let key = world.found(7, Some("a"));
    assert_eq!(world.drain(), [send(key, 0, 1), send(key, 2, 1)]);
    world.heard(key, 0, Heard::Taken);
    assert_eq!(world.drain(), []);
    world.heard(key, 2, Heard::Taken);
    assert_eq!(world.drain(), [report(key, 2, 0)]);
    world.schedule.reported(key);
    assert_eq!(world.schedule.next_deadline(), None);
    assert_eq!(world.schedule.room(), NOTICES_MAX);
}

#[test]
fn what_nobody_wants_is_over_at_once_and_what_nobody_can_read_is_no_success() {
    let mut world = World::new(&[&["a"]], 1);
    let (nobody, strange) = (world.found(1, Some("b")), world.found(2, None));
    assert_eq!(world.drain(), [report(nobody, 0, 0), report(strange, 0, 1)]);
    // Not taken, so it is given again.
    world.schedule.unreported(nobody);
    assert_eq!(world.drain(), [report(nobody, 0, 0)]);
}

/// Every pause, until it is given up.
fn pauses(seed: u8) -> Vec<Duration> {
    let mut world = World::new(&[&["a"]], seed);
    let key = world.found(1, Some("a"));
    let mut pauses = Vec::new();
    for attempt in 1.. {
        match world.drain()[..] {
            [output] if output == send(key, 0, attempt) => {}
            [output] => {
                assert_eq!(output, report(key, 0, 1));
                assert!(world.now <= GIVE_UP_AFTER);
                assert!(world.now + BACKOFF_MAX > GIVE_UP_AFTER, "not too early");
                break;
            }
            ref other => panic!("{other:?}"),
        }
        world.heard(key, 0, REFUSED);
        pauses.push(world.wait());
    }
    pauses.pop();
    pauses
}

#[test]
fn pauses_grow_to_a_limit_with_a_draw_and_end_after_three_days() {
    let drawn = pauses(1);
    assert!(drawn.len() > 18, "{drawn:?}");
    for (n, pause) in (0..).zip(&drawn) {
        let whole = BACKOFF_FIRST
            .saturating_mul(4_u32.saturating_pow(n))
            .min(BACKOFF_MAX);
        assert!(
            *pause <= whole && *pause >= whole / 2,
            "{n}: {pause:?} of {whole:?}"
        );
    }
    assert_eq!(pauses(1), drawn, "the same draw from the same seed");
    assert_ne!(pauses(2), drawn);
}

/// The gateway was down, or without a network, for longer than the time to give up.
#[test]
fn no_time_to_give_up_runs_before_the_first_attempt() {
    let mut world = World::new(&[&["a"]], 1);
    let key = world.found(1, Some("a"));
    world.now = 2 * GIVE_UP_AFTER;
    assert_eq!(world.drain(), [send(key, 0, 1)]);
    world.heard(key, 0, REFUSED);
    world.wait();
    assert_eq!(
        world.drain(),
        [send(key, 0, 2)],
        "the first failure ends nothing"
    );
    world.now += GIVE_UP_AFTER;
    world.heard(key, 0, REFUSED);
    assert_eq!(world.drain(), [report(key, 0, 1)]);
}

#[test]
fn a_target_that_asks_for_a_pause_gets_it_up_to_the_longest_one() {
    for (asked, least, most) in [(600, 600, 600), (10_000_000, 4 * 3_600, 4 * 3_600)] {
        let mut world = World::new(&[&["a"]], 1);
        let key = world.found(1, Some("a"));
        world.drain();
        let pause = Some(Duration::from_secs(asked));
        world.heard(key, 0, Heard::Refused { pause });
        let waited = world.wait().as_secs();
        assert!((least..=most).contains(&waited), "{waited}");
    }
}

#[test]
fn one_that_hangs_keeps_no_other_waiting_and_is_not_flooded() {
    let mut world = World::new(&[&["a"], &["a"]], 1);
    let keys: Vec<Key> = (1..=20).map(|seq| world.found(seq, Some("a"))).collect();
    let mut sent = [0; 2];
    let mut delivered = 0;
    loop {
        let outputs = world.drain();
        if outputs.is_empty() {
            break;
        }
        for output in outputs {
            let Output::Send { key, target, .. } = output else {
                panic!("{output:?}")
            };
            sent[target] += 1;
            // Target 0 never answers.
            if target == 1 {
                world.heard(key, 1, Heard::Taken);
                delivered += 1;
            }
        }
    }
    assert_eq!((sent[0], delivered), (SENDS_PER_TARGET_MAX, keys.len()));
    world.heard(keys[0], 0, Heard::Taken);
    assert_eq!(
        world.drain(),
        [report(keys[0], 2, 0), send(keys[2], 0, 1)],
        "the next one takes its place"
    );
}

#[test]
fn what_could_not_be_sent_is_no_attempt_and_what_is_gone_is_forgotten() {
    let mut world = World::new(&[&["a"]], 1);
    let key = world.found(1, Some("a"));
    assert_eq!(world.drain(), [send(key, 0, 1)]);
    let now = world.now();
    world.schedule.postponed(now, key, 0);
    assert_eq!(world.drain(), []);
    assert_eq!(world.wait(), Duration::from_secs(1));
    assert_eq!(world.drain(), [send(key, 0, 1)]);
    world.schedule.gone(key, 0);
    assert_eq!(world.schedule.next_deadline(), None);
    // It is behind us: the outbox is asked for what lies behind it.
    assert_eq!(world.schedule.behind(), Some(key));
    // Told late of one that is gone already: nothing.
    world.heard(key, 0, REFUSED);
    assert_eq!(world.drain(), []);
}

#[test]
fn the_number_of_notices_has_a_bound() {
    let mut world = World::new(&[&["a"]], 1);
    for seq in 1..=NOTICES_MAX as u64 {
        world.found(seq, Some("a"));
    }
    assert_eq!(world.schedule.room(), 0);
}
