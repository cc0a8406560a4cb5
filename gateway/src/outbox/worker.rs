//! The task that sends: looks into the outbox, claims it, asks targets, reports.
//!
//! It reads and writes through the driver's queue, as everybody does. A gateway that was deposed
//! answers no read and takes no claim, so its worker sends nothing.

use std::sync::Arc;
use std::time::Duration;

use khlong_crdt::time::{Now, UnixMillis};
use khlong_store::journal::{JournalId, JournalSeq};
use tokio::task::JoinSet;

use super::limits::{FOLLOWER_DRAW, FOLLOWER_WAITS, LEASE, LEASE_LEFT_MIN, LOOK_NOTICES_MAX};
use super::message::{Letter, delivery_id, payload};
use super::schedule::{Found, Heard, Key, Output, Policy, Schedule};
use super::{Options, Target};
use crate::app::limits::drawn;
use crate::app::{AskError, Committed, DriverClock, Handle};
use crate::kernel::{
    Command, Holder, Housekeeping, KERNEL_DOMAIN, KernelError, Notice, Outcome, leader, left_at,
    waiting, waiting_behind,
};
use crate::metrics::Delivery;

/// Who asks where the worker does. No key of the configuration can have this name.
const WORKER_CALLER: &[u8] = b"\0outbox";

/// What one turn of the loop ends with.
enum Turn {
    Next,
    /// The driver is gone.
    Last,
}

/// What the outbox showed.
struct Looked {
    holder: Holder,
    leader: Option<(Holder, UnixMillis)>,
    /// See [`Committed::follows`].
    follows: bool,
    /// The time of the last entry.
    last: UnixMillis,
    found: Vec<Found>,
}

pub(crate) struct Worker {
    handle: Handle,
    targets: Arc<[Target]>,
    policy: Policy,
    schedule: Schedule,
    clock: DriverClock,
    /// Of the system's entropy, for keys of claims.
    seed: [u8; 32],
    /// How old the last entry is before one that follows claims, in milliseconds.
    follower_waits: i64,
    claims: u64,
    sends: JoinSet<(Key, usize, Heard)>,
}

impl Worker {
    pub(crate) fn new(
        handle: Handle,
        options: Options,
        clock: DriverClock,
        seed: [u8; 32],
    ) -> Self {
        let topics = options.targets.iter().map(|it| it.topics.clone()).collect();
        Self {
            handle,
            targets: options.targets.into(),
            policy: options.policy,
            schedule: Schedule::new(topics, options.policy, seed),
            clock,
            seed,
            follower_waits: millis(FOLLOWER_WAITS + drawn(&seed, "follower", FOLLOWER_DRAW)),
            claims: 0,
            sends: JoinSet::new(),
        }
    }

    /// Until the driver ends.
    pub(crate) async fn run(mut self) {
        while let Turn::Next = self.turn().await {
            let wait = self.wait();
            tokio::select! {
                Some(done) = self.sends.join_next() => {
                    // One that panicked is as good as one that timed out, but for its key: it is
                    // told again after a restart.
                    if let Ok((key, target, heard)) = done {
                        let delivery = match heard {
                            Heard::Taken => Delivery::Sent,
                            Heard::Refused { .. } => Delivery::Failed,
                        };
                        self.handle.metrics().count_deliveries(delivery, 1);
                        let now = self.now();
                        self.schedule.heard(now, key, target, heard);
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn now(&self) -> Now {
        (self.clock)()
    }

    /// Not longer than until the next look: rows may have come.
    fn wait(&self) -> Duration {
        let now = self.now().monotonic;
        let due = self.schedule.next_deadline();
        let until = due.map_or(self.policy.look_every, |at| {
            Duration::from_micros(at.0.saturating_sub(now.0))
        });
        // What is due and could not be done now is tried at the next look.
        if until.is_zero() {
            return self.policy.look_every;
        }
        until.min(self.policy.look_every)
    }

    async fn turn(&mut self) -> Turn {
        match self.look_and_act().await {
            Err(AskError::Stopped) => Turn::Last,
            // It starts, or has much to do: the next look.
            Ok(()) | Err(_) => Turn::Next,
        }
    }

    async fn look_and_act(&mut self) -> Result<(), AskError> {
        let (behind, room) = (self.schedule.behind(), self.schedule.room());
        let max = room.min(LOOK_NOTICES_MAX);
        let looked = self
            .handle
            .read(move |committed| look(committed, behind, max))
            .await?
            .map_err(unreadable)?;
        let now = self.now();
        let holder = looked.holder;
        for found in &looked.found {
            self.schedule.found(now, found.clone());
        }
        if !self.schedule.has_output(now) || !self.leads(&looked).await? {
            return Ok(());
        }
        while let Some(output) = self.schedule.poll_output(self.now()) {
            match output {
                Output::Send {
                    key,
                    target,
                    attempt,
                } => self.send(holder, key, target, attempt).await?,
                Output::Report {
                    key,
                    delivered,
                    failed,
                } => self.report(key, delivered, failed).await?,
            }
        }
        Ok(())
    }

    /// Whether this gateway may send now; claims it, if nobody else does. One that follows
    /// appends nothing beside the one that serves: two that append at once stop one of them.
    async fn leads(&mut self, looked: &Looked) -> Result<bool, AskError> {
        let now = (self.clock)().wall;
        if looked.follows && now.0.saturating_sub(looked.last.0) < self.follower_waits {
            return Ok(false);
        }
        let (holder, leader) = (looked.holder, looked.leader);
        let is_long = |until: UnixMillis| until.0.saturating_sub(now.0) > millis(LEASE_LEFT_MIN);
        match leader {
            Some((other, until)) if other != holder && until > now => return Ok(false),
            Some((own, until)) if own == holder && is_long(until) => return Ok(true),
            Some(_) | None => {}
        }
        self.claims += 1;
        let mut hasher = blake3::Hasher::new_keyed(&self.seed);
        hasher.update(&self.claims.to_be_bytes());
        let body = Housekeeping::Lead {
            holder,
            lease_ms: u32::try_from(LEASE.as_millis()).unwrap_or(u32::MAX),
        };
        let key = hasher.finalize().as_bytes().to_vec();
        let decided = self.handle.write(command(b"lead", key, body)).await?;
        Ok(matches!(decided.outcome(), Some(Outcome::Done(answer)) if answer.first() == Some(&1)))
    }

    async fn send(
        &mut self,
        holder: Holder,
        key: Key,
        target: usize,
        attempt: u32,
    ) -> Result<(), AskError> {
        let (now, within) = (self.now(), self.policy.send_within);
        let ends = UnixMillis(now.wall.0.saturating_add(millis(within)));
        let read = self
            .handle
            .read(move |committed| letter(committed, holder, key, ends))
            .await;
        let letter = match read.and_then(|read| read.map_err(unreadable)) {
            Err(error) => {
                self.schedule.postponed(now, key, target);
                return Err(error);
            }
            Ok(Letters::Deposed) => {
                self.schedule.postponed(now, key, target);
                return Ok(());
            }
            Ok(Letters::Gone) => {
                self.schedule.gone(key, target);
                return Ok(());
            }
            Ok(Letters::Here(letter)) => letter,
        };
        let targets = Arc::clone(&self.targets);
        let seconds = now.wall.0.div_euclid(1_000);
        self.sends.spawn(async move {
            let heard = match targets.get(target) {
                Some(target) => letter.deliver(target, attempt, seconds, within).await,
                None => Heard::Refused { pause: None },
            };
            (key, target, heard)
        });
        Ok(())
    }

    async fn report(&mut self, key: Key, delivered: u16, failed: u16) -> Result<(), AskError> {
        let body = Housekeeping::Report {
            seq: key.0,
            n: key.1,
            delivered,
            failed,
        };
        let mut name = key.0.0.to_be_bytes().to_vec();
        name.extend_from_slice(&key.1.to_be_bytes());
        if failed > 0 {
            // Whoever ends between the commit and its answer finds the notice gone, and says no more.
            tracing::warn!(entry = key.0.0, failed, "a notice is given up");
        }
        match self.handle.write(command(b"outcome", name, body)).await {
            Ok(_) => {
                if failed > 0 {
                    tracing::error!(
                        entry = key.0.0,
                        failed,
                        "a notice was given up; targets do not have it"
                    );
                }
                let metrics = self.handle.metrics();
                metrics.count_deliveries(Delivery::GivenUp, failed.into());
                self.schedule.reported(key);
                Ok(())
            }
            // Another outcome stands in the journal: another gateway gave it, or this one before a
            // restart. Whoever gave it has counted it.
            Err(AskError::KeyReused { .. }) => {
                self.schedule.reported(key);
                Ok(())
            }
            Err(error) => {
                self.schedule.unreported(key);
                Err(error)
            }
        }
    }
}

fn command(scope: &[u8], key: Vec<u8>, body: Housekeeping) -> Command {
    Command {
        caller: WORKER_CALLER.to_vec(),
        scope: scope.to_vec(),
        key,
        // The driver says when.
        admitted_at: UnixMillis(0),
        domain: KERNEL_DOMAIN,
        body: body.encode(),
    }
}

fn look(committed: &Committed<'_>, behind: Option<Key>, max: usize) -> Result<Looked, KernelError> {
    let rows = committed.store;
    let mut found = Vec::new();
    for effect in waiting_behind(rows, behind, max)? {
        let (left_at, _) = left_at(rows, effect.seq)?;
        found.push(Found {
            key: (effect.seq, effect.n),
            topic: Notice::decode(&effect.message).map(|notice| notice.topic),
            left_at,
        });
    }
    Ok(Looked {
        holder: Holder::of(rows.identity()),
        leader: leader(rows)?,
        follows: committed.follows,
        last: committed.time,
        found,
    })
}

/// What is there to send.
enum Letters {
    Here(Letter),
    /// Its outcome is known.
    Gone,
    /// Somebody else may send, or nobody.
    Deposed,
}

/// Read together: who may send until `ends`, when the last answer is in, and what.
fn letter(
    committed: &Committed<'_>,
    holder: Holder,
    key: Key,
    ends: UnixMillis,
) -> Result<Letters, KernelError> {
    let rows = committed.store;
    let leads = leader(rows)?.is_some_and(|(leader, until)| leader == holder && until > ends);
    if !leads {
        return Ok(Letters::Deposed);
    }
    let (seq, n): (JournalSeq, u32) = key;
    let effect = waiting(rows, seq, n)?;
    let Some(notice) = effect.and_then(|effect| Notice::decode(&effect.message)) else {
        return Ok(Letters::Gone);
    };
    let (left_at, hash) = left_at(rows, seq)?;
    let journal: JournalId = committed.head.id;
    Ok(Letters::Here(Letter {
        id: delivery_id(journal, &hash, key),
        body: payload(&notice, left_at),
        topic: notice.topic,
    }))
}

/// What is damaged is told by whoever checks the folder; here it waits.
fn unreadable(error: KernelError) -> AskError {
    tracing::error!(%error, "the outbox cannot be read");
    AskError::ReadFailed
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
