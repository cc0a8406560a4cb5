//! A relay: the real [`Hub`] on an imaginary disk.

use std::collections::VecDeque;

use ed25519_dalek::SigningKey;
use khlong_crdt::id::RelayKey;
use khlong_crdt::time::{Monotonic, Now};
use khlong_relay::hub::{BATCH_INPUTS_MAX, Hub, HubFailure, HubInput, HubOutput, Policy};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role;

use super::host::{Body, Core, Host, MachineClock, Turn, described};
use crate::kernel::seeds::Seeds;

/// Names the stream of a relay's log id.
const LOG_PURPOSE: &str = "relay log";

/// Names the seed of a relay's signing key.
pub(super) const KEY_PURPOSE: &str = "relay key";

/// What a relay's turn gave.
pub type RelayTurn = Turn<HubOutput>;
/// A relay's machine.
pub type RelayMachine = Host<Hub>;

/// What a relay is built with.
pub struct RelaySettings {
    policy: Policy,
    signing: SigningKey,
    /// Of `signing`; kept because it is asked for with each frame.
    key: RelayKey,
}

impl Core for Hub {
    type Input = HubInput;
    type Output = HubOutput;
    type Settings = RelaySettings;

    fn open(body: &Body, settings: &RelaySettings, _: Now) -> Result<Self, String> {
        let store = body
            .store(Role::Relay, LOG_PURPOSE)
            .map_err(|error| error.to_string())?;
        let (signing, policy) = (settings.signing.clone(), settings.policy.clone());
        Ok(Self::new(store, signing, policy))
    }

    fn deadline(&self) -> Option<Monotonic> {
        self.next_deadline()
    }

    fn turn(
        &mut self,
        now: Now,
        inbox: &mut VecDeque<HubInput>,
        turn: &mut RelayTurn,
    ) -> Result<(), String> {
        let described = |failure: HubFailure| described(&failure);
        let commits = self.stats().commits;
        if self.next_deadline().is_some_and(|due| due <= now.monotonic) {
            self.handle(now, HubInput::Timeout).map_err(described)?;
        }
        for input in inbox.drain(..inbox.len().min(BATCH_INPUTS_MAX)) {
            self.handle(now, input).map_err(described)?;
        }
        self.commit(now).map_err(described)?;
        turn.committed = self.stats().commits > commits;
        while let Some(output) = self.poll_output() {
            turn.outputs.push(output);
        }
        Ok(())
    }
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
        let signing = SigningKey::from_bytes(&seeds.bytes(KEY_PURPOSE, name));
        let settings = RelaySettings {
            key: RelayKey::from_bytes(signing.verifying_key().to_bytes()),
            policy,
            signing,
        };
        Self::new(Body::new(name, seeds, disk, clock), settings)
    }

    /// Its core, while it runs.
    #[must_use]
    pub const fn hub(&self) -> Option<&Hub> {
        self.core.as_ref()
    }

    /// The key that nodes pin.
    #[must_use]
    pub const fn relay_key(&self) -> RelayKey {
        self.settings.key
    }
}
