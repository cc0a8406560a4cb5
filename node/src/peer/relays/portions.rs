//! One's own history for a relay that lost it, a portion at a time.
//!
//! What a relay must have before anything else, permissions and keys, is queued at once
//! ([`super::reoffer`]). The rest may be years of messages: the next portion is read when the
//! relay has signed for the one before, so that neither memory, a batch nor the outbox holds
//! more than one. How far it came stands in `node_state`, in the batch that queues it.

use std::collections::BTreeSet;

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_store::key::{Decoder, Encoder};
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use khlong_store::tables::named::{self, Named};
use khlong_store::tables::timelines::{Salvaged, salvage, timeline_head};

use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::dropped;

/// Envelopes of a timeline that a relay lacks in the outbox, when the next portion is read.
const PORTION_ENTRIES: usize = 256;
/// Bytes of a portion, but for its last envelope.
const PORTION_BYTES: usize = 1024 * 1024;

/// Of the row's layout.
const VERSION: u8 = 1;
const ROWS: &str = "reoffer/";

/// Classes of which a node has a history of its own, in the order in which they are offered.
const CLASSES: [Class; 3] = [Class::Text, Class::Bulk, Class::Media];

/// How far one timeline was offered to one relay again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::peer) struct Reoffer {
    /// In [`CLASSES`].
    class: u8,
    /// What was read of that class.
    after: ArrivalSeq,
    /// The end of each class when it began: what came later is offered anyway.
    ends: [ArrivalSeq; CLASSES.len()],
}

/// What is offered again.
pub(in crate::peer) type Reoffers = std::collections::BTreeMap<(RelayKey, TimelineId), Reoffer>;

impl Reoffer {
    /// All of a timeline as it stands.
    pub(in crate::peer) fn of_all(
        rows: &dyn Rows,
        timeline: &TimelineId,
    ) -> Result<Self, khlong_store::error::StoreError> {
        let mut ends = [ArrivalSeq(0); CLASSES.len()];
        for (end, class) in ends.iter_mut().zip(CLASSES) {
            *end = timeline_head(rows, timeline, class)?.arrival;
        }
        Ok(Self {
            class: 0,
            after: ArrivalSeq(0),
            ends,
        })
    }

    /// The class that is read now, and its end; `None` when everything was offered.
    fn current(&self) -> Option<(Class, ArrivalSeq)> {
        let at = usize::from(self.class);
        Some((*CLASSES.get(at)?, *self.ends.get(at)?))
    }

    pub(in crate::peer) fn encode(&self) -> Vec<u8> {
        let row = Encoder::new().u8(VERSION).u8(self.class).u64(self.after.0);
        let row = self.ends.iter().fold(row, |row, end| row.u64(end.0));
        row.finish()
    }

    fn decode(row: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(row);
        if fields.u8()? != VERSION {
            return None;
        }
        let (class, after) = (fields.u8()?, ArrivalSeq(fields.u64()?));
        let mut ends = [ArrivalSeq(0); CLASSES.len()];
        for end in &mut ends {
            *end = ArrivalSeq(fields.u64()?);
        }
        Some(Self { class, after, ends })
    }
}

/// Name of the row.
pub(in crate::peer) fn row_name(relay: RelayKey, timeline: TimelineId) -> String {
    format!("{ROWS}{relay}/{timeline}")
}

/// What was begun before this start.
pub(in crate::peer) fn load_reoffers(store: &Store) -> Result<Reoffers, NodeError> {
    let rows = named::list(&store.batch(), Named::NodeState, ROWS.as_bytes());
    rows.map_err(NodeError::Store)?
        .into_iter()
        .map(|(name, row)| {
            let name = String::from_utf8_lossy(&name).into_owned();
            let place = name.strip_prefix(ROWS).and_then(|key| {
                let (relay, timeline) = key.split_once('/')?;
                Some((relay.parse().ok()?, timeline.parse().ok()?))
            });
            let reoffer = place.zip(Reoffer::decode(&row));
            reoffer.ok_or(NodeError::Settings { name })
        })
        .collect()
}

impl Peer {
    /// Queues the next portion of each history that `relay` is offered again, where it has
    /// signed for the one before.
    pub(super) fn offer_next_portions(
        &mut self,
        now: Now,
        relay: RelayKey,
    ) -> Result<(), NodeError> {
        let (first, last) = (
            TimelineId::from_bytes([0; 32]),
            TimelineId::from_bytes([u8::MAX; 32]),
        );
        let under_way = self.reoffers.range((relay, first)..=(relay, last));
        let timelines: Vec<TimelineId> = under_way.map(|((_, timeline), _)| *timeline).collect();
        for timeline in timelines {
            while self.has_room() && self.lacks_little(relay, timeline) {
                if !self.offer_next_portion(now, relay, timeline)? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn lacks_little(&self, relay: RelayKey, timeline: TimelineId) -> bool {
        let lacking = self.outbox.of(timeline);
        let lacking = lacking.filter(|waiting| waiting.is_missing_at(relay));
        lacking.take(PORTION_ENTRIES).count() < PORTION_ENTRIES
    }

    /// Whether there may be more.
    fn offer_next_portion(
        &mut self,
        now: Now,
        relay: RelayKey,
        timeline: TimelineId,
    ) -> Result<bool, NodeError> {
        let Some(mut reoffer) = self.reoffers.get(&(relay, timeline)).copied() else {
            return Ok(false);
        };
        let carried = self.book.carriers_of(timeline).contains(&relay);
        let Some((class, end)) = reoffer.current().filter(|_| carried) else {
            self.reoffers.remove(&(relay, timeline));
            let name = row_name(relay, timeline);
            self.with_batch(|batch| named::remove(batch, Named::NodeState, name.as_bytes()))?;
            return Ok(false);
        };
        let after = reoffer.after;
        let portion = self.with_batch(|batch| {
            salvage(
                batch,
                &timeline,
                class,
                after,
                PORTION_ENTRIES,
                PORTION_BYTES,
            )
        })?;
        self.queue_portion(now, relay, timeline, &portion, end)?;
        match portion.last.filter(|last| *last < end) {
            Some(last) => reoffer.after = last,
            None => {
                reoffer.class += 1;
                reoffer.after = ArrivalSeq(0);
            }
        }
        self.note_reoffer(relay, timeline, reoffer)?;
        Ok(true)
    }

    fn queue_portion(
        &mut self,
        now: Now,
        relay: RelayKey,
        timeline: TimelineId,
        portion: &Salvaged,
        end: ArrivalSeq,
    ) -> Result<(), NodeError> {
        let waiting: BTreeSet<EnvelopeId> = self
            .outbox
            .of(timeline)
            .map(|waiting| waiting.entry.id)
            .collect();
        for entry in portion.stored.iter().filter(|entry| entry.arrival <= end) {
            let id = entry.envelope.id();
            if entry.envelope.body().is_some()
                && self.is_own(&entry.envelope)
                && !waiting.contains(&id)
                && !self.with_batch(|batch| dropped::contains(batch, &id))?
            {
                self.requeue(now, relay, &entry.envelope)?;
            }
        }
        Ok(())
    }

    /// Remembers how far it is, over a restart too.
    pub(super) fn note_reoffer(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        reoffer: Reoffer,
    ) -> Result<(), NodeError> {
        self.reoffers.insert((relay, timeline), reoffer);
        let name = row_name(relay, timeline);
        self.with_batch(|batch| {
            named::put(batch, Named::NodeState, name.as_bytes(), reoffer.encode())
        })
    }

    /// Whether `relay` is offered again what it had of a timeline.
    pub(super) fn is_reoffering(&self, relay: RelayKey, timeline: TimelineId) -> bool {
        self.reoffers.contains_key(&(relay, timeline))
    }
}
