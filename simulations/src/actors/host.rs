//! A machine that runs one core: its name, its disk, its clock, its lives, its inputs.
//!
//! A device and a relay differ in the core that they run and in nothing else, as
//! the binaries do: open the store, build the core, then again and again take
//! inputs, commit once, let the outputs go.

use std::collections::VecDeque;

use khlong_crdt::id::LogId;
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_node::api::Response;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::error::StoreError;
use khlong_store::identity::Role;
use khlong_store::store::{OpenOptions, Store};

use crate::kernel::seeds::Seeds;

/// 2026-11-26T00:00:00Z: the date on which every run begins.
const EPOCH_MS: i64 = 1_795_651_200_000;

/// A machine's idea of the date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineClock {
    /// How far its wall clock is ahead, in milliseconds.
    pub skew_ms: i64,
}

impl MachineClock {
    /// Both clocks at a moment of the run.
    #[must_use]
    pub fn now(self, at: Monotonic) -> Now {
        let since = i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX);
        Now {
            monotonic: at,
            wall: UnixMillis(EPOCH_MS.saturating_add(since).saturating_add(self.skew_ms)),
        }
    }
}

/// What a turn gave, to leave when its commit has taken its time.
#[derive(Debug)]
pub struct Turn<O> {
    /// Frames, connections, events.
    pub outputs: Vec<O>,
    /// Answers, by the number of the request; a relay is asked nothing.
    pub answers: Vec<(u32, Response)>,
    /// Whether somebody waits for a commit, which takes the disk's time.
    pub committed: bool,
    /// The core failed and must be built again.
    pub failed: Option<String>,
}

impl<O> Turn<O> {
    const fn empty() -> Self {
        Self {
            outputs: Vec::new(),
            answers: Vec::new(),
            committed: false,
            failed: None,
        }
    }

    /// Whether something leaves the machine.
    #[must_use]
    pub const fn has_releases(&self) -> bool {
        !self.outputs.is_empty() || !self.answers.is_empty()
    }
}

/// What a machine keeps while its core comes and goes.
#[derive(Clone, Debug)]
pub struct Body {
    /// Unique; names its randomness.
    pub name: String,
    /// The run's.
    pub seeds: Seeds,
    /// What survives a crash.
    pub disk: MemoryDisk,
    /// Its idea of the date.
    pub clock: MachineClock,
    /// Lives so far: connections of an earlier one are dead.
    pub life: u32,
}

impl Body {
    /// A machine that was never on.
    #[must_use]
    pub fn new(name: &str, seeds: Seeds, disk: MemoryDisk, clock: MachineClock) -> Self {
        Self {
            name: name.to_owned(),
            seeds,
            disk,
            clock,
            life: 0,
        }
    }

    /// Opens the store on its disk. The machine's own randomness comes from `purpose` and its name.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn store(&self, role: Role, purpose: &str) -> Result<Store, StoreError> {
        let mut log = [0; 16];
        log.copy_from_slice(&self.seeds.bytes(purpose, &self.name)[..16]);
        let options = OpenOptions {
            role,
            fresh_log_id: LogId::from_bytes(log),
            accept_loss: false,
            sizes: RocksOptions {
                // A full disk is a fault to inject, not a reserve to keep.
                reserve_bytes: 0,
                ..RocksOptions::default()
            },
        };
        Store::in_memory(&self.disk, &options)
    }
}

/// A sans-IO core that a host can run.
pub trait Core: Sized {
    /// What it is given.
    type Input;
    /// What leaves it.
    type Output;
    /// What it is built with, beside its disk.
    type Settings;

    /// Builds the core from what is on the disk.
    ///
    /// # Errors
    /// What the disk refused, in words.
    fn open(body: &Body, settings: &Self::Settings, now: Now) -> Result<Self, String>;

    /// When it wants a turn by itself.
    fn deadline(&self) -> Option<Monotonic>;

    /// What the binary's driver does: a timeout that is due, inputs, one commit, outputs.
    ///
    /// # Errors
    /// The failure that destroys the core, in words.
    fn turn(
        &mut self,
        now: Now,
        inbox: &mut VecDeque<Self::Input>,
        turn: &mut Turn<Self::Output>,
    ) -> Result<(), String>;
}

/// A machine with its core.
pub struct Host<C: Core> {
    pub(super) body: Body,
    pub(super) settings: C::Settings,
    pub(super) core: Option<C>,
    inbox: VecDeque<C::Input>,
}

impl<C: Core> Host<C> {
    /// A machine that is off.
    #[must_use]
    pub const fn new(body: Body, settings: C::Settings) -> Self {
        Self {
            body,
            settings,
            core: None,
            inbox: VecDeque::new(),
        }
    }

    /// Switches it on.
    ///
    /// # Errors
    /// What the disk refused; it stays off.
    pub fn start(&mut self, at: Monotonic) -> Result<(), String> {
        self.body.life += 1;
        self.core = Some(C::open(&self.body, &self.settings, self.now(at))?);
        Ok(())
    }

    /// Cuts its power: whatever was not synced, and every input, is gone.
    /// Of the bytes that were not synced the first `kept_bytes` are on the disk.
    pub fn crash(&mut self, kept_bytes: usize) {
        // The engine first: it has the disk open.
        self.core = None;
        self.body.disk.crash_torn(kept_bytes);
        self.inbox.clear();
    }

    /// Whether it runs.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.core.is_some()
    }

    /// Which life this is.
    #[must_use]
    pub const fn life(&self) -> u32 {
        self.body.life
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.body.name
    }

    /// Its disk, to torment and to look at.
    #[must_use]
    pub const fn disk(&self) -> &MemoryDisk {
        &self.body.disk
    }

    /// Moves its wall clock by so many milliseconds.
    pub fn jump_clock(&mut self, by_ms: i64) {
        self.body.clock.skew_ms = self.body.clock.skew_ms.saturating_add(by_ms);
    }

    /// Gives it an input; off, it hears nothing.
    pub fn give(&mut self, input: C::Input) {
        if self.is_on() {
            self.inbox.push_back(input);
        }
    }

    /// Whether inputs wait.
    #[must_use]
    pub fn has_inputs(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// When its core wants a turn by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.core.as_ref().and_then(Core::deadline)
    }

    /// One turn of its core, if it is on.
    pub fn turn(&mut self, at: Monotonic) -> Turn<C::Output> {
        let now = self.now(at);
        let mut turn = Turn::empty();
        let Some(core) = self.core.as_mut() else {
            return turn;
        };
        if let Err(reason) = core.turn(now, &mut self.inbox, &mut turn) {
            self.core = None;
            self.inbox.clear();
            turn = Turn::empty();
            turn.failed = Some(reason);
        }
        turn
    }

    pub(super) fn now(&self, at: Monotonic) -> Now {
        self.body.clock.now(at)
    }
}

/// An error with everything behind it.
pub(super) fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
