//! How far each relay that lost its log was offered again what it had: one cursor for each
//! relay and timeline, in memory and in `node_state` (`store/KEYSPACE.md`).
//!
//! A cursor has two stages, or three. First the keys and permissions of all members, in the order in
//! which they arrived here: without them the relay takes nothing. Then one's own chains,
//! author by author. A relay that is new to the timeline gets a third one from whoever added
//! it: what the others wrote. Nothing is copied into the outbox: the history is read where it lies.

mod cursor;
mod row;

use std::collections::BTreeMap;

use khlong_crdt::id::{LogId, RelayKey, TimelineId};
use khlong_store::error::StoreError;
use khlong_store::key::Decoder;
use khlong_store::store::Store;
use khlong_store::tables::named::{self, Named};

pub(super) use self::cursor::{At, Reoffer};
use self::row::{ROWS, cursor_name, decode_log, encode_log, log_name};
use crate::error::NodeError;

/// Every cursor, and for which log of a relay they were begun.
#[derive(Debug, Default)]
pub(super) struct Reoffers {
    cursors: BTreeMap<(RelayKey, TimelineId), Reoffer>,
    logs: BTreeMap<RelayKey, (LogId, u32)>,
}

/// What a batch has to write after a change in memory.
pub(super) struct Change {
    name: Vec<u8>,
    row: Option<Vec<u8>>,
}

impl Change {
    pub(super) fn write(
        self,
        batch: &mut khlong_store::batch::Batch<'_>,
    ) -> Result<(), StoreError> {
        match self.row {
            Some(row) => named::put(batch, Named::NodeState, &self.name, row),
            None => named::remove(batch, Named::NodeState, &self.name),
        }
    }
}

impl Reoffers {
    /// What was begun before this start. Of a row of another version nothing is known but
    /// that something was owed: that timeline begins again.
    pub(super) fn load(store: &Store) -> Result<Self, NodeError> {
        let batch = store.batch();
        let rows = named::list(&batch, Named::NodeState, ROWS).map_err(NodeError::Store)?;
        let mut reoffers = Self::default();
        for (name, row) in rows {
            let mut fields = Decoder::new(name.get(ROWS.len()..).unwrap_or_default());
            let Some(relay) = fields.fixed().map(RelayKey::from_bytes) else {
                continue;
            };
            match fields.fixed().map(TimelineId::from_bytes) {
                None => {
                    if let Some(log) = decode_log(&row) {
                        reoffers.logs.insert(relay, log);
                    }
                }
                Some(timeline) => {
                    let anew = || Reoffer::of_all(&batch, &timeline);
                    let known = Reoffer::decode(&row).map_or_else(anew, |row| Ok(Some(row)));
                    if let Some(reoffer) = known.map_err(NodeError::Store)? {
                        reoffers.cursors.insert((relay, timeline), reoffer);
                    }
                }
            }
        }
        Ok(reoffers)
    }

    /// The log that the cursors of `relay` are of.
    pub(super) fn log_of(&self, relay: RelayKey) -> Option<(LogId, u32)> {
        self.logs.get(&relay).copied()
    }

    #[must_use]
    pub(super) fn set_log(&mut self, relay: RelayKey, log: (LogId, u32)) -> Change {
        self.logs.insert(relay, log);
        Change {
            name: log_name(&relay),
            row: Some(encode_log(log)),
        }
    }

    /// The cursor whose place decides whether a promise stands that `relay` gave when its log
    /// was `log`; none where it stands.
    pub(super) fn in_doubt(
        &self,
        relay: RelayKey,
        timeline: TimelineId,
        log: (LogId, u32),
    ) -> Option<&Reoffer> {
        let is_of_now = self.log_of(relay).is_none_or(|met| met == log);
        let reoffer = self.get(relay, timeline);
        reoffer.filter(|it| it.is_rolled_back || !is_of_now)
    }

    pub(super) fn get(&self, relay: RelayKey, timeline: TimelineId) -> Option<&Reoffer> {
        self.cursors.get(&(relay, timeline))
    }

    #[must_use]
    pub(super) fn set(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        reoffer: Reoffer,
    ) -> Change {
        self.cursors.insert((relay, timeline), reoffer);
        Change {
            name: cursor_name(&relay, &timeline),
            row: Some(reoffer.encode()),
        }
    }

    #[must_use]
    pub(super) fn remove(&mut self, relay: RelayKey, timeline: TimelineId) -> Change {
        self.cursors.remove(&(relay, timeline));
        Change {
            name: cursor_name(&relay, &timeline),
            row: None,
        }
    }

    /// Everything of a relay that is forgotten.
    #[must_use]
    pub(super) fn remove_relay(&mut self, relay: RelayKey) -> Vec<Change> {
        let of_relay: Vec<TimelineId> = self.of(relay).map(|(timeline, _)| timeline).collect();
        let cursors = of_relay.into_iter();
        let mut changes: Vec<Change> = cursors.map(|of| self.remove(relay, of)).collect();
        if self.logs.remove(&relay).is_some() {
            let name = log_name(&relay);
            changes.push(Change { name, row: None });
        }
        changes
    }

    /// Everything of a timeline that is forgotten.
    #[must_use]
    pub(super) fn remove_timeline(&mut self, timeline: TimelineId) -> Vec<Change> {
        let relays = self.cursors.keys().filter(|(_, of)| *of == timeline);
        let relays: Vec<RelayKey> = relays.map(|(relay, _)| *relay).collect();
        let removed = relays.into_iter();
        removed.map(|relay| self.remove(relay, timeline)).collect()
    }

    /// What `relay` is offered again, by timeline.
    pub(super) fn of(&self, relay: RelayKey) -> impl Iterator<Item = (TimelineId, &Reoffer)> {
        let first = (relay, TimelineId::from_bytes([0; 32]));
        let last = (relay, TimelineId::from_bytes([u8::MAX; 32]));
        let of_relay = self.cursors.range(first..=last);
        of_relay.map(|((_, timeline), reoffer)| (*timeline, reoffer))
    }
}
