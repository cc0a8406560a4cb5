//! Admission logs: the auth-ops of a timeline that were accepted, in that order.
//!
//! Only ids are kept; [`load`] replays the envelopes through `khlong-crdt`, so
//! there is no second encoding of an admission that could disagree with the first.

use std::ops::ControlFlow;
use std::sync::Arc;

use khlong_crdt::admission::Admission;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, TimelineId};

use super::{decode, timelines};
use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::{Encoder, KeyRange};
use crate::rows::Rows;
use crate::table::Table;

/// Notes that the auth-op `id`, which arrived as `arrival` of its class, was
/// accepted. The first one of a timeline is its genesis.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn record(
    batch: &mut Batch<'_>,
    timeline: &TimelineId,
    arrival: ArrivalSeq,
    id: &EnvelopeId,
) -> Result<(), StoreError> {
    let key = Encoder::new()
        .fixed(timeline.as_bytes())
        .u64(arrival.0)
        .finish();
    batch.put(Table::Admission, key, id.as_bytes().to_vec())
}

/// Replays the admission of a timeline; `None` if it has no genesis here.
/// [`Batch::admission`] and [`crate::store::Store::admission`] keep the result.
///
/// # Errors
/// [`StoreError::AdmissionLog`] if an op that was accepted is refused now;
/// [`StoreError::Corrupt`] if a row is damaged.
pub fn load(rows: &dyn Rows, timeline: &TimelineId) -> Result<Option<Admission>, StoreError> {
    let mut ids = Vec::new();
    rows.scan(
        Table::Admission,
        &KeyRange::prefix(timeline.as_bytes()),
        Direction::Forward,
        &mut |key, payload| {
            let id = decode(Table::Admission, key, payload, |fields| {
                fields.fixed().map(EnvelopeId::from_bytes)
            })?;
            ids.push((key.to_vec(), id));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    let refused = |error: khlong_crdt::admission::AdmissionError| StoreError::AdmissionLog {
        timeline: timeline.to_string(),
        reason: error.to_string(),
    };
    let mut admission: Option<Admission> = None;
    for (key, id) in ids {
        let stored = timelines::get(rows, &id)?.ok_or_else(|| {
            StoreError::corrupt(Table::Admission, &key, "its envelope is missing")
        })?;
        match &mut admission {
            None => admission = Some(Admission::open(&stored.envelope).map_err(refused)?),
            Some(admission) => admission
                .apply(&stored.envelope, stored.received_at)
                .map_err(refused)?,
        }
    }
    Ok(admission)
}

impl Batch<'_> {
    /// The admission of a timeline with everything that this batch has recorded.
    ///
    /// # Errors
    /// As [`load`].
    pub fn admission(&self, timeline: &TimelineId) -> Result<Option<Arc<Admission>>, StoreError> {
        match self.caches {
            Some(caches)
                if !self.touches(Table::Admission, &KeyRange::prefix(timeline.as_bytes())) =>
            {
                caches.admission(timeline, || load(self, timeline))
            }
            Some(_) | None => Ok(load(self, timeline)?.map(Arc::new)),
        }
    }
}

impl crate::store::Store {
    /// The admission of a timeline as it is committed.
    ///
    /// # Errors
    /// As [`load`].
    pub fn admission(&self, timeline: &TimelineId) -> Result<Option<Arc<Admission>>, StoreError> {
        self.caches().admission(timeline, || load(self, timeline))
    }
}
