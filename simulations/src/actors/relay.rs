//! A relay: the real [`Hub`] on an imaginary disk.

use std::collections::VecDeque;

use ed25519_dalek::SigningKey;
use khlong_crdt::id::{LogId, RelayKey};
use khlong_crdt::time::Monotonic;
use khlong_relay::hub::{BATCH_INPUTS_MAX, Hub, HubFailure, HubInput, HubOutput, Policy};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::error::StoreError;
use khlong_store::identity::Role;
use khlong_store::store::{OpenOptions, Store};

use super::node::described;
use super::world::MachineClock;
use crate::kernel::seeds::Seeds;

/// What a turn gave, to leave when its commit has taken its time.
#[derive(Debug, Default)]
pub struct RelayTurn {
    /// Frames and closes.
    pub outputs: Vec<HubOutput>,
    /// Whether something was committed, which takes the disk's time.
    pub committed: bool,
    /// The core failed and must be built again.
    pub failed: Option<String>,
}

/// A relay's machine.
pub struct RelayMachine {
    name: String,
    seeds: Seeds,
    disk: MemoryDisk,
    policy: Policy,
    clock: MachineClock,
    hub: Option<Hub>,
    inbox: VecDeque<HubInput>,
    life: u32,
    /// Free bytes that the store keeps: below them writes are refused.
    reserve_bytes: u64,
}

impl RelayMachine {
    /// A relay on an empty disk. It is off.
    #[must_use]
    pub fn create(
        name: &str,
        seeds: Seeds,
        disk: MemoryDisk,
        policy: Policy,
        clock: MachineClock,
    ) -> Self {
        Self {
            name: name.to_owned(),
            seeds,
            disk,
            policy,
            clock,
            hub: None,
            inbox: VecDeque::new(),
            life: 0,
            reserve_bytes: 0,
        }
    }

    /// Switches it on.
    ///
    /// # Errors
    /// What the disk refused; it stays off.
    pub fn start(&mut self) -> Result<(), StoreError> {
        let mut log = [0; 16];
        log.copy_from_slice(&self.seeds.bytes("relay log", &self.name)[..16]);
        let options = OpenOptions {
            role: Role::Relay,
            fresh_log_id: LogId::from_bytes(log),
            accept_loss: false,
            sizes: RocksOptions {
                reserve_bytes: self.reserve_bytes,
                ..RocksOptions::default()
            },
        };
        let store = Store::in_memory(&self.disk, &options)?;
        self.life += 1;
        self.hub = Some(Hub::new(store, self.key(), self.policy.clone()));
        Ok(())
    }

    /// Cuts its power: whatever was not synced, and every input, is gone.
    /// Of the bytes that were not synced the first `kept_bytes` are on the disk.
    pub fn crash(&mut self, kept_bytes: usize) {
        self.hub = None;
        self.disk.crash_torn(kept_bytes);
        self.inbox.clear();
    }

    /// Whether it runs.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.hub.is_some()
    }

    /// Which life this is.
    #[must_use]
    pub const fn life(&self) -> u32 {
        self.life
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its disk, to torment and to look at.
    #[must_use]
    pub const fn disk(&self) -> &MemoryDisk {
        &self.disk
    }

    /// Its core, while it runs.
    #[must_use]
    pub const fn hub(&self) -> Option<&Hub> {
        self.hub.as_ref()
    }

    /// The key that nodes pin.
    #[must_use]
    pub fn relay_key(&self) -> RelayKey {
        RelayKey::from_bytes(self.key().verifying_key().to_bytes())
    }

    /// Moves its wall clock by so many milliseconds.
    pub fn jump_clock(&mut self, by_ms: i64) {
        self.clock.skew_ms = self.clock.skew_ms.saturating_add(by_ms);
    }

    /// Gives it an input; off, it hears nothing.
    pub fn give(&mut self, input: HubInput) {
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
        self.hub.as_ref().and_then(Hub::next_deadline)
    }

    /// What the driver does: inputs, one commit, outputs.
    pub fn turn(&mut self, at: Monotonic) -> RelayTurn {
        let mut turn = RelayTurn::default();
        let now = self.clock.now(at);
        let Some(hub) = self.hub.as_mut() else {
            return turn;
        };
        let commits = hub.stats().commits;
        match Self::run(hub, &mut self.inbox, now) {
            Ok(()) => {
                turn.committed = hub.stats().commits > commits;
                while let Some(output) = hub.poll_output() {
                    turn.outputs.push(output);
                }
            }
            Err(failure) => {
                turn.failed = Some(described(&failure));
                self.hub = None;
                self.inbox.clear();
            }
        }
        turn
    }

    fn run(
        hub: &mut Hub,
        inbox: &mut VecDeque<HubInput>,
        now: khlong_crdt::time::Now,
    ) -> Result<(), HubFailure> {
        if hub.next_deadline().is_some_and(|due| due <= now.monotonic) {
            hub.handle(now, HubInput::Timeout)?;
        }
        for input in inbox.drain(..inbox.len().min(BATCH_INPUTS_MAX)) {
            hub.handle(now, input)?;
        }
        hub.commit(now)
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.seeds.bytes("relay key", &self.name))
    }
}
