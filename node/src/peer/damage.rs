//! Rows of a timeline that cannot be read any more. They are passed over, told, and
//! asked for again: a relay that still has the envelope makes the row whole.
//!
//! It is asked for once: of each damaged row `node_state` says that it was. A relay that no
//! longer has the envelope would send the rest of the history at every start.

use std::collections::BTreeSet;

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, TimelineId};
use khlong_crdt::time::Now;
use khlong_document::timeline::Timeline;
use khlong_store::batch::Batch;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::tables::cursors;
use khlong_store::tables::named::{self, Named};
use khlong_store::tables::timelines::heights;

use super::Peer;
use crate::api::Event;
use crate::error::NodeError;

/// Of the row's layout.
const VERSION: u8 = 1;

/// Where the rows of a timeline are damaged.
pub(super) type Damage = BTreeSet<(Class, ArrivalSeq)>;

fn name(timeline: &TimelineId, (class, arrival): (Class, ArrivalSeq)) -> String {
    format!("damaged/{timeline}/{}/{}", class as u8, arrival.0)
}

/// Notes that it is asked for. Whether it had not been.
fn note(
    batch: &mut Batch<'_>,
    timeline: &TimelineId,
    place: (Class, ArrivalSeq),
) -> Result<bool, StoreError> {
    let name = name(timeline, place);
    if named::get(batch, Named::NodeState, name.as_bytes())?.is_some() {
        return Ok(false);
    }
    named::put(batch, Named::NodeState, name.as_bytes(), vec![VERSION])?;
    Ok(true)
}

/// Whether the end of this node's own chain is among what cannot be read. Its next
/// envelope would take a number that is taken.
fn is_own_chain_short(rows: &dyn Rows, timeline: &Timeline) -> Result<bool, StoreError> {
    match heights(rows, &timeline.id()) {
        Ok(heights) => Ok(heights.iter().any(|height| {
            height.author == timeline.author() && height.highest >= timeline.next_seq()
        })),
        Err(error) if error.is_damage() => Ok(true),
        Err(error) => Err(error),
    }
}

impl Peer {
    /// What loading passed over is told, asked for again, and never written over.
    pub(super) fn meet_damage(
        &mut self,
        now: Now,
        id: TimelineId,
        damage: Damage,
    ) -> Result<(), NodeError> {
        if damage.is_empty() {
            return Ok(());
        }
        let rows = damage.len() as u64;
        tracing::warn!(timeline = %id, rows, "damaged rows were passed over; they are asked for again");
        self.emit(Event::Damaged {
            timeline: id.to_string(),
            rows,
        });
        let carriers = self.book.carriers_of(id);
        self.with_batch(|batch| {
            let mut classes = BTreeSet::new();
            for (class, arrival) in &damage {
                if note(batch, &id, (*class, *arrival))? {
                    classes.insert(*class);
                }
            }
            for relay in &carriers {
                for class in &classes {
                    cursors::put_backfill(batch, relay, &id, *class, ArrivalSeq(0))?;
                }
            }
            Ok(())
        })?;
        self.damaged.insert(id, damage);
        let Some(timeline) = self.timelines.get(&id) else {
            return Ok(());
        };
        if is_own_chain_short(&self.store, timeline).map_err(NodeError::Store)? {
            if let Some(entry) = self.book.timelines.get_mut(&id.to_string()) {
                entry.renew_author = true;
            }
            self.save_book()?;
            self.renew_author_in(now, id)?;
        }
        Ok(())
    }

    /// A row is whole again.
    pub(super) fn mend(
        &mut self,
        id: TimelineId,
        place: (Class, ArrivalSeq),
    ) -> Result<(), NodeError> {
        let Some(damage) = self.damaged.get_mut(&id) else {
            return Ok(());
        };
        if !damage.remove(&place) {
            return Ok(());
        }
        if damage.is_empty() {
            self.damaged.remove(&id);
        }
        self.with_batch(|batch| {
            named::remove(batch, Named::NodeState, name(&id, place).as_bytes())
        })?;
        self.emit(Event::State {
            timeline: id.to_string(),
        });
        Ok(())
    }

    /// Whether one's own chain cannot be written on as its end is damaged, and a new one
    /// cannot be begun yet.
    pub(super) fn awaits_mending(&self, id: TimelineId) -> bool {
        self.damaged.contains_key(&id)
            && self
                .book
                .timelines
                .get(&id.to_string())
                .is_some_and(|entry| entry.renew_author)
    }
}
