//! Which relay served: when each last stored something for this node, and sent it something.
//!
//! Known since the node started, and kept in memory only: it tells a person what goes on now.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::id::{RelayKey, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_sync::replica::Arrival;

use super::Peer;

/// Times of one relay.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// Of whatever it was.
    pub(super) any: Times,
    /// Of timelines that it carries, or carried.
    of: BTreeMap<TimelineId, Times>,
}

/// When a relay last served.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// It signed for an envelope.
    pub(super) stored: Option<UnixMillis>,
    /// It sent an envelope, whether that was here already or not.
    pub(super) pushed: Option<UnixMillis>,
}

impl Served {
    pub(super) fn of(&self, timeline: TimelineId) -> Times {
        self.of.get(&timeline).copied().unwrap_or_default()
    }
}

impl Peer {
    /// A relay has signed for envelopes of these timelines of its own.
    pub(super) fn note_stored(
        &mut self,
        now: UnixMillis,
        relay: RelayKey,
        timelines: BTreeSet<TimelineId>,
    ) {
        let Some(link) = self.links.get_mut(&relay).filter(|_| !timelines.is_empty()) else {
            return;
        };
        link.served.any.stored = Some(now);
        for timeline in timelines {
            link.served.of.entry(timeline).or_default().stored = Some(now);
        }
    }

    /// A relay has sent these.
    pub(super) fn note_pushed(&mut self, now: UnixMillis, relay: RelayKey, entries: &[Arrival]) {
        let Some(link) = self.links.get_mut(&relay).filter(|_| !entries.is_empty()) else {
            return;
        };
        link.served.any.pushed = Some(now);
        let sent = entries.iter().map(|entry| entry.envelope.timeline());
        for timeline in sent.collect::<BTreeSet<_>>() {
            // Of others, which nobody asked it for, there is no end.
            if self.book.carriers_of(timeline).contains(&relay) {
                link.served.of.entry(timeline).or_default().pushed = Some(now);
            }
        }
        if let Some(live) = link.live() {
            live.arrived = live.arrived.saturating_add(entries.len() as u64);
        }
    }
}
