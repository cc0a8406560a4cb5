//! Members whose messages are hidden from this node's user: the table `blocked` in memory.
//!
//! Nothing is deleted, and what is synced and acknowledged is the same as ever: nobody can
//! tell that they are blocked.

use std::collections::BTreeMap;

use khlong_crdt::id::{PrincipalKey, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_document::timeline::message::Message;
use khlong_store::store::Store;
use khlong_store::tables::blocked::{self, Blocked};

use crate::error::NodeError;

/// Members that one node may block.
pub(super) const BLOCKED_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Blocks(BTreeMap<(TimelineId, PrincipalKey), UnixMillis>);

impl Blocks {
    pub(super) fn load(store: &Store) -> Result<Self, NodeError> {
        let rows = blocked::list(&store.batch()).map_err(NodeError::Store)?;
        let row = |row: Blocked| ((row.timeline, row.principal), row.at);
        Ok(Self(rows.into_iter().map(row).collect()))
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= BLOCKED_MAX
    }

    pub(super) fn insert(&mut self, row: &Blocked) {
        self.0.insert((row.timeline, row.principal), row.at);
    }

    pub(super) fn remove(&mut self, timeline: TimelineId, principal: PrincipalKey) {
        self.0.remove(&(timeline, principal));
    }

    pub(super) fn contains(&self, timeline: TimelineId, principal: PrincipalKey) -> bool {
        self.0.contains_key(&(timeline, principal))
    }

    /// Whether a message is hidden. A device whose member is not known yet is nobody's.
    pub(super) fn hides(&self, timeline: TimelineId, message: &Message) -> bool {
        let of = |principal| self.contains(timeline, principal);
        message.principal.is_some_and(of)
    }

    /// Members of a timeline, in order.
    pub(super) fn members_of(&self, timeline: TimelineId) -> impl Iterator<Item = PrincipalKey> {
        let first = PrincipalKey::from_bytes([0; 32]);
        let last = PrincipalKey::from_bytes([0xff; 32]);
        let rows = self.0.range((timeline, first)..=(timeline, last));
        rows.map(|((_, principal), _)| *principal)
    }

    /// How many of them.
    pub(super) fn count_in(&self, timeline: TimelineId) -> usize {
        self.members_of(timeline).count()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Blocked> {
        let row = |(key, at): (&(TimelineId, PrincipalKey), &UnixMillis)| Blocked {
            timeline: key.0,
            principal: key.1,
            at: *at,
        };
        self.0.iter().map(row)
    }
}
