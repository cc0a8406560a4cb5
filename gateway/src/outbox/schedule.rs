//! Which notice is due when: the sans-IO core of the worker.
//!
//! It keeps keys and times, no messages. Drain [`Schedule::poll_output`] after every input; only
//! then read [`Schedule::next_deadline`]. What it holds is told by the outbox again after a
//! restart, but for what was delivered to some targets of a notice and not yet to all: they get it
//! once more, under the same key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_store::journal::JournalSeq;

use super::limits::{
    BACKOFF_FACTOR, BACKOFF_FIRST, BACKOFF_MAX, GIVE_UP_AFTER, LOOK_EVERY, NOTICES_MAX,
    SEND_WITHIN, SENDS_PER_TARGET_MAX,
};

/// A notice: the command that left it, and which of its side effects it is.
pub type Key = (JournalSeq, u32);

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The first pause after a failure.
    pub backoff_first: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// From the command to giving up, or from the first attempt since the start if that was later.
    pub give_up_after: Duration,
    /// A target's whole answer.
    pub send_within: Duration,
    /// How often the outbox is looked at.
    pub look_every: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            backoff_first: BACKOFF_FIRST,
            backoff_max: BACKOFF_MAX,
            give_up_after: GIVE_UP_AFTER,
            send_within: SEND_WITHIN,
            look_every: LOOK_EVERY,
        }
    }
}

/// A notice that was found in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its key.
    pub key: Key,
    /// What it is about; `None` if this release cannot read it.
    pub topic: Option<String>,
    /// When its command was admitted.
    pub left_at: UnixMillis,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Send it, and tell [`Schedule::heard`].
    Send {
        /// What.
        key: Key,
        /// Where: the place of the target in the configuration.
        target: usize,
        /// Which attempt it is, from 1.
        attempt: u32,
    },
    /// Give the outcome as a command, and tell [`Schedule::reported`].
    Report {
        /// Of what.
        key: Key,
        /// Targets that took it.
        delivered: u16,
        /// Targets that were given up; one for a notice that cannot be read.
        failed: u16,
    },
}

/// What a target said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It has it.
    Taken,
    /// Not now, or nothing at all; perhaps with the pause that it asks for.
    Refused {
        /// `Retry-After`.
        pause: Option<Duration>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Due,
    UnderWay,
    Taken,
    GivenUp,
}

/// A notice on its way to one target.
#[derive(Debug)]
struct Leg {
    target: usize,
    attempts: u32,
    /// When the first of them was. While nobody could try, no time to give up runs.
    first: Option<UnixMillis>,
    stage: Stage,
}

#[derive(Debug)]
struct Notice {
    left_at: UnixMillis,
    is_readable: bool,
    legs: Vec<Leg>,
}

/// What is due when.
#[derive(Debug)]
pub struct Schedule {
    topics: Vec<BTreeSet<String>>,
    policy: Policy,
    /// So that gateways and notices do not all come back at once.
    seed: [u8; 32],
    notices: BTreeMap<Key, Notice>,
    due: BTreeSet<(Monotonic, Key, usize)>,
    reports: BTreeSet<Key>,
    under_way: Vec<usize>,
    behind: Option<Key>,
}

impl Schedule {
    /// For targets with these topics.
    #[must_use]
    pub fn new(topics: Vec<BTreeSet<String>>, policy: Policy, seed: [u8; 32]) -> Self {
        Self {
            under_way: vec![0; topics.len()],
            topics,
            policy,
            seed,
            notices: BTreeMap::new(),
            due: BTreeSet::new(),
            reports: BTreeSet::new(),
            behind: None,
        }
    }

    /// How many more notices it takes: at most [`NOTICES_MAX`] in all.
    #[must_use]
    pub fn room(&self) -> usize {
        NOTICES_MAX.saturating_sub(self.notices.len())
    }

    /// The last one that it was told of; the next lie behind it.
    #[must_use]
    pub fn behind(&self) -> Option<Key> {
        self.behind
    }

    /// A notice waits. One that is known already changes nothing.
    pub fn found(&mut self, now: Now, found: Found) {
        let Found {
            key,
            topic,
            left_at,
        } = found;
        self.behind = self.behind.max(Some(key));
        if self.notices.contains_key(&key) {
            return;
        }
        let wanted =
            |topics: &BTreeSet<String>| topic.as_ref().is_some_and(|topic| topics.contains(topic));
        let legs: Vec<Leg> = (0..)
            .zip(&self.topics)
            .filter(|(_, topics)| wanted(topics))
            .map(|(target, _)| Leg {
                target,
                attempts: 0,
                first: None,
                stage: Stage::Due,
            })
            .collect();
        for leg in &legs {
            self.due.insert((now.monotonic, key, leg.target));
        }
        if legs.is_empty() {
            self.reports.insert(key);
        }
        let notice = Notice {
            left_at,
            is_readable: topic.is_some(),
            legs,
        };
        self.notices.insert(key, notice);
    }

    /// The next thing to do, if there is one.
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        if let Some(key) = self.reports.pop_first() {
            return self.report(key);
        }
        let (at, key, target) = self.next_due().filter(|(at, ..)| *at <= now.monotonic)?;
        self.due.remove(&(at, key, target));
        let leg = self.leg(key, target)?;
        leg.stage = Stage::UnderWay;
        leg.attempts = leg.attempts.saturating_add(1);
        leg.first.get_or_insert(now.wall);
        let attempt = leg.attempts;
        *self.under_way.get_mut(target)? += 1;
        Some(Output::Send {
            key,
            target,
            attempt,
        })
    }

    /// Whether [`Self::poll_output`] has something.
    #[must_use]
    pub fn has_output(&self, now: Now) -> bool {
        self.next_deadline().is_some_and(|at| at <= now.monotonic)
    }

    /// When [`Self::poll_output`] has something next; a target that is busy waits for
    /// [`Self::heard`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        if !self.reports.is_empty() {
            return Some(Monotonic(0));
        }
        self.next_due().map(|(at, ..)| at)
    }

    /// What came of sending.
    pub fn heard(&mut self, now: Now, key: Key, target: usize, heard: Heard) {
        self.free(target);
        let (policy, seed) = (self.policy, self.seed);
        let Some(notice) = self.notices.get_mut(&key) else {
            return;
        };
        let left_at = notice.left_at;
        let leg = notice.legs.iter_mut().find(|leg| leg.target == target);
        let Some(leg) = leg.filter(|leg| leg.stage == Stage::UnderWay) else {
            return;
        };
        match heard {
            Heard::Taken => leg.stage = Stage::Taken,
            Heard::Refused { pause } => {
                let asked = pause.unwrap_or_default().min(policy.backoff_max);
                let pause = backoff(&policy, &seed, key, target, leg.attempts).max(asked);
                let since = leg.first.map_or(left_at, |first| first.max(left_at));
                if after(now.wall, pause) > after(since, policy.give_up_after) {
                    leg.stage = Stage::GivenUp;
                } else {
                    leg.stage = Stage::Due;
                    self.due.insert((later(now.monotonic, pause), key, target));
                }
            }
        }
        let is_over = |leg: &Leg| matches!(leg.stage, Stage::Taken | Stage::GivenUp);
        if notice.legs.iter().all(is_over) {
            self.reports.insert(key);
        }
    }

    /// What was to be sent was not, and is due again at the next look.
    pub fn postponed(&mut self, now: Now, key: Key, target: usize) {
        self.free(target);
        let at = later(now.monotonic, self.policy.look_every);
        if let Some(leg) = self.leg(key, target) {
            leg.stage = Stage::Due;
            leg.attempts = leg.attempts.saturating_sub(1);
            self.due.insert((at, key, target));
        }
    }

    /// What was to be sent is no longer in the outbox.
    pub fn gone(&mut self, key: Key, target: usize) {
        self.free(target);
        self.forget(key);
    }

    /// The outcome stands in the journal.
    pub fn reported(&mut self, key: Key) {
        self.forget(key);
    }

    /// The outcome was not taken; it is to be given again.
    pub fn unreported(&mut self, key: Key) {
        if self.notices.contains_key(&key) {
            self.reports.insert(key);
        }
    }

    fn report(&self, key: Key) -> Option<Output> {
        let notice = self.notices.get(&key)?;
        let count = |stage| {
            let legs = notice.legs.iter().filter(|leg| leg.stage == stage);
            u16::try_from(legs.count()).unwrap_or(u16::MAX)
        };
        Some(Output::Report {
            key,
            delivered: count(Stage::Taken),
            failed: if notice.is_readable {
                count(Stage::GivenUp)
            } else {
                1
            },
        })
    }

    /// The first that is due and whose target is not busy.
    fn next_due(&self) -> Option<(Monotonic, Key, usize)> {
        let is_free = |target: usize| {
            self.under_way
                .get(target)
                .is_some_and(|sends| *sends < SENDS_PER_TARGET_MAX)
        };
        self.due
            .iter()
            .find(|(.., target)| is_free(*target))
            .copied()
    }

    fn leg(&mut self, key: Key, target: usize) -> Option<&mut Leg> {
        let notice = self.notices.get_mut(&key)?;
        notice.legs.iter_mut().find(|leg| leg.target == target)
    }

    fn free(&mut self, target: usize) {
        if let Some(sends) = self.under_way.get_mut(target) {
            *sends = sends.saturating_sub(1);
        }
    }

    fn forget(&mut self, key: Key) {
        self.notices.remove(&key);
        self.reports.remove(&key);
        self.due.retain(|(_, due, _)| *due != key);
    }
}

/// The pause after the `attempts`th failure: `backoff_first`, four times as long after each, at
/// most `backoff_max`; of that between a half and the whole.
fn backoff(policy: &Policy, seed: &[u8; 32], key: Key, target: usize, attempts: u32) -> Duration {
    let factor = BACKOFF_FACTOR.saturating_pow(attempts.saturating_sub(1));
    let whole = policy
        .backoff_first
        .saturating_mul(factor)
        .min(policy.backoff_max);
    let whole = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
    let mut hasher = blake3::Hasher::new_keyed(seed);
    hasher
        .update(&key.0.0.to_be_bytes())
        .update(&key.1.to_be_bytes())
        .update(&(target as u64).to_be_bytes())
        .update(&attempts.to_be_bytes());
    let mut drawn = [0; 8];
    hasher.finalize_xof().fill(&mut drawn);
    let half = whole / 2;
    Duration::from_micros(half + u64::from_be_bytes(drawn) % (whole - half + 1))
}

fn later(at: Monotonic, pause: Duration) -> Monotonic {
    let pause = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
    Monotonic(at.0.saturating_add(pause))
}

fn after(at: UnixMillis, pause: Duration) -> UnixMillis {
    let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    UnixMillis(at.0.saturating_add(pause))
}
