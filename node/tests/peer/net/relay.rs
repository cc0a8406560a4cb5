//! The relay's machine: its disk, and the hub on it while it runs.

use ed25519_dalek::SigningKey;
use khlong_crdt::id::{LogId, RelayKey};
use khlong_crdt::time::Monotonic;
use khlong_relay::hub::{Hub, Policy};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role;

use crate::disk::open_store_as;

pub(crate) struct Relay {
    pub(crate) disk: MemoryDisk,
    pub(crate) hub: Option<Hub>,
    /// Commits that failed; the hub was built anew after each.
    pub(crate) failures: u64,
    /// With which its log begins on an empty disk.
    fresh_log_id: LogId,
    key: SigningKey,
    pub(crate) policy: Policy,
}

impl Relay {
    pub(super) fn start(policy: Policy) -> Self {
        let mut relay = Self {
            disk: MemoryDisk::new(),
            hub: None,
            failures: 0,
            fresh_log_id: LogId::from_bytes([5; 16]),
            key: SigningKey::from_bytes(&[42; 32]),
            policy,
        };
        relay.open();
        relay
    }

    pub(crate) fn key(&self) -> RelayKey {
        RelayKey::from_bytes(self.key.verifying_key().to_bytes())
    }

    pub(super) fn open(&mut self) {
        assert!(self.hub.is_none(), "it runs already");
        let store = open_store_as(&self.disk, Role::Relay, self.fresh_log_id);
        self.hub = Some(Hub::new(store, self.key.clone(), self.policy.clone()));
    }

    /// The disk is gone; on the new one another log begins.
    pub(crate) fn lose_disk(&mut self) {
        self.disk = MemoryDisk::new();
        let [first, rest @ ..] = self.fresh_log_id.to_bytes();
        let next = [&[first + 1], &rest[..]].concat();
        self.fresh_log_id = LogId::from_bytes(next.try_into().unwrap());
    }

    pub(super) fn crash(&mut self) {
        self.disk.crash();
        self.hub = None;
    }

    pub(super) fn stop(&mut self) {
        self.hub = None;
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.hub.as_ref()?.next_deadline()
    }
}
