//! Any course of events: writing, cuts, crashes and failing disks as a seed has
//! them. In the end everybody shows everything that was acknowledged, once.

use std::collections::{BTreeMap, BTreeSet};

use khlong_store::engine::faults::{Fault, FaultKind};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::net::Net;

const NAMES: [&str; 3] = ["mali", "som", "ton"];
/// The first is there from the start, the others are joined on the way.
const TITLES: [&str; 3] = ["canal", "market", "temple"];
const EVENTS: u64 = 40;

struct Course {
    net: Net,
    rng: ChaCha20Rng,
    written: BTreeMap<&'static str, BTreeSet<String>>,
    /// Commits that were told to fail.
    armed: BTreeMap<&'static str, u64>,
    fired: BTreeMap<&'static str, u64>,
}

impl Course {
    fn new(seed: u64) -> Self {
        let mut course = Self {
            net: Net::new(seed, &NAMES),
            rng: ChaCha20Rng::seed_from_u64(seed),
            written: BTreeMap::new(),
            armed: BTreeMap::new(),
            fired: BTreeMap::new(),
        };
        course.open(TITLES[0]);
        course.net.settle();
        course
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn anybody(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len() as u64) as usize]
    }

    /// Somebody opens a timeline; the others have the link from elsewhere, once
    /// a relay knows it, and join while the course goes on.
    fn open(&mut self, title: &'static str) {
        let opener = self.anybody();
        self.net.heal();
        self.net.settle();
        self.net.at(opener).open_timeline(title);
        let others = NAMES.into_iter().filter(|name| *name != opener);
        let links: Vec<_> = others
            .map(|name| (name, self.net.at(opener).invite(title, None)))
            .collect();
        self.net.settle();
        for (name, link) in links {
            self.net.at(name).join(&link);
        }
        self.written.insert(title, BTreeSet::new());
    }

    /// Whether no fault waits for anybody: an answer that fails is no course of its own here.
    fn all_are_well(&self) -> bool {
        NAMES.into_iter().all(|name| {
            let person = &self.net.people[name];
            let armed = self.armed.get(name).copied().unwrap_or_default();
            person.crash_at_frame.is_none() && person.node.disk.fired(FaultKind::SyncError) == armed
        })
    }

    fn write(&mut self, number: u64) {
        let name = self.anybody();
        let titles: Vec<_> = self.written.keys().copied().collect();
        let title = titles[self.below(titles.len() as u64) as usize];
        if !self.net.at(name).can_write(title) {
            return;
        }
        let body = format!("{name} {number}");
        let told = self.net.at(name).try_send(title, &body);
        // After a failed commit a person looks.
        if told.is_ok() || self.net.at(name).bodies(title).contains(&body) {
            self.written.get_mut(title).unwrap().insert(body);
        }
    }

    fn happen(&mut self, number: u64) {
        let name = self.anybody();
        let fault = match self.below(20) {
            0 => {
                self.net.cut(name);
                "cut"
            }
            1 => {
                self.net.hang_up(name, "for no reason");
                "hang up"
            }
            2..=4 => {
                self.net.heal();
                return;
            }
            5 => {
                self.net.crash(name);
                self.net.start(name);
                "crash"
            }
            6 => {
                let frames = self.below(6);
                self.net.people.get_mut(name).unwrap().crash_at_frame = Some(frames);
                return;
            }
            7 => {
                let persisted = self.below(2) == 0;
                let disk = &self.net.people[name].node.disk;
                disk.inject_after(number % 3, Fault::SyncError { persisted });
                *self.armed.entry(name).or_default() += 1;
                return;
            }
            8 => {
                self.net.crash_relay();
                let away = self.below(8_000);
                self.net.run_ms(away);
                self.net.start_relay();
                "relay crash"
            }
            9 => {
                self.net.shut_down_relay();
                self.net.run_ms(500);
                self.net.start_relay();
                "relay goodbye"
            }
            10 => {
                let kept_bytes = self.below(400) as usize;
                self.net.relay.disk.inject(Fault::TornCommit { kept_bytes });
                return;
            }
            11 => {
                self.net.silence(name);
                "silence"
            }
            12 => {
                let titles = self.written.len();
                if titles < TITLES.len() && self.all_are_well() {
                    self.open(TITLES[titles]);
                }
                return;
            }
            _ => return self.write(number),
        };
        *self.fired.entry(fault).or_default() += 1;
    }

    fn finish(mut self) -> BTreeMap<&'static str, u64> {
        self.net.heal();
        self.net.settle();
        for (title, written) in &self.written {
            self.net.assert_converged(title);
            for name in NAMES {
                let shown: BTreeSet<_> = self.net.at(name).bodies(title).into_iter().collect();
                assert_eq!(shown, *written, "{title} at {name}");
            }
        }
        for person in self.net.people.values() {
            let failed = person.node.disk.fired(FaultKind::SyncError);
            *self.fired.entry("failed commit").or_default() += failed;
        }
        let torn = self.net.relay.disk.fired(FaultKind::TornCommit);
        *self.fired.entry("torn commit").or_default() += torn;
        self.fired
    }
}

fn run(seed: u64) -> BTreeMap<&'static str, u64> {
    let mut course = Course::new(seed);
    for number in 0..EVENTS {
        course.happen(number);
        let pause = course.below(2_000);
        course.net.run_ms(pause);
    }
    course.finish()
}

#[test]
fn after_any_course_of_events_everybody_shows_the_same() {
    let mut fired: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds() {
        println!("seed {seed}");
        for (fault, times) in run(seed) {
            *fired.entry(fault).or_default() += times;
        }
    }
    let kinds = [
        "crash",
        "cut",
        "failed commit",
        "hang up",
        "relay crash",
        "relay goodbye",
        "silence",
        "torn commit",
    ];
    for kind in kinds {
        assert!(fired.get(kind).is_some_and(|times| *times > 0), "{fired:?}");
    }
}

/// `KHLONG_SEEDS=100..200` looks further.
fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("KHLONG_SEEDS").ok();
    let asked = asked.as_deref().and_then(|range| range.split_once(".."));
    asked.map_or(0..8, |(from, to)| {
        from.parse().unwrap()..to.parse().unwrap()
    })
}
