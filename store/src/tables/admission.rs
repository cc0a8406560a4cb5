//! Admission logs: the auth-ops of a timeline that were accepted, in that order.
//!
//! Only ids are kept; [`load`] replays the envelopes through `khlong-crdt`, so
//! there is no second encoding of an admission that could disagree with the first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use khlong_crdt::admission::{Admission, AdmissionError, Replay};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, EnvelopeId, PrincipalKey, TimelineId};
use khlong_crdt::redacted::Redacted;
use khlong_crdt::time::UnixMillis;

use super::{decode, timelines};
use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::{Encoder, KeyRange};
use crate::rows::Rows;
use crate::table::Table;

/// The admission of a timeline, and the length of the log that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionLog {
    admission: Admission,
    /// Accepted auth-ops after the genesis, by the principal that wrote them.
    written: BTreeMap<PrincipalKey, usize>,
    length: usize,
}

impl AdmissionLog {
    /// A log that holds the genesis and nothing else.
    ///
    /// # Errors
    /// Those of [`Admission::open`].
    pub fn open(genesis: &VerifiedEnvelope) -> Result<Self, AdmissionError> {
        Ok(Self {
            admission: Admission::open(genesis)?,
            written: BTreeMap::new(),
            length: 1,
        })
    }

    /// The log with one auth-op more, as a relay judges it ([`Admission::apply`]).
    ///
    /// # Errors
    /// Those of [`Admission::apply`].
    pub fn with(
        &self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
    ) -> Result<Self, AdmissionError> {
        let mut next = self.clone();
        next.admission.apply(envelope, received_at)?;
        next.count(&envelope.author());
        Ok(next)
    }

    /// Who may do what.
    #[must_use]
    pub const fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Auth-ops in it, the genesis included.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// How many of them this principal wrote.
    #[must_use]
    pub fn written_by(&self, principal: &PrincipalKey) -> usize {
        self.written.get(principal).copied().unwrap_or_default()
    }

    fn count(&mut self, author: &AuthorKey) {
        self.length += 1;
        if let Some(writer) = self.admission.principal_of(author) {
            *self.written.entry(writer).or_default() += 1;
        }
    }
}

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
    batch.forget_admission(timeline);
    batch.put(Table::Admission, key, id.as_bytes().to_vec())
}

/// The same for an auth-op that was applied already: the batch keeps what it led to, so
/// that the next one does not replay the log.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn record_applied(
    batch: &mut Batch<'_>,
    arrival: ArrivalSeq,
    id: &EnvelopeId,
    after: Arc<AdmissionLog>,
) -> Result<(), StoreError> {
    let timeline = after.admission.timeline();
    record(batch, &timeline, arrival, id)?;
    batch.keep_admission(timeline, after);
    Ok(())
}

/// Replays the admission of a timeline; `None` if it has no genesis here.
/// [`Batch::admission`] and [`crate::store::Store::admission`] keep the result.
///
/// # Errors
/// [`StoreError::AdmissionLog`] if an op that was accepted is refused now;
/// [`StoreError::Corrupt`] if a row is damaged.
pub fn load(rows: &dyn Rows, timeline: &TimelineId) -> Result<Option<AdmissionLog>, StoreError> {
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
    let refused = |error: AdmissionError| StoreError::AdmissionLog {
        timeline: Redacted::new(timeline.to_string()),
        reason: Redacted::new(error.to_string()),
    };
    let mut replay: Option<Replay> = None;
    let mut authors = Vec::new();
    for (key, id) in ids {
        let stored = timelines::get(rows, &id)?.ok_or_else(|| {
            StoreError::corrupt(Table::Admission, &key, "its envelope is missing")
        })?;
        match &mut replay {
            None => replay = Some(Admission::replay(&stored.envelope).map_err(refused)?),
            Some(replay) => {
                replay
                    .accepted(&stored.envelope, stored.received_at)
                    .map_err(refused)?;
                authors.push(stored.envelope.author());
            }
        }
    }
    let Some(replay) = replay else {
        return Ok(None);
    };
    let mut log = AdmissionLog {
        admission: replay.finish().map_err(refused)?,
        written: BTreeMap::new(),
        length: 1,
    };
    for author in &authors {
        log.count(author);
    }
    Ok(Some(log))
}

impl Batch<'_> {
    /// The admission of a timeline with everything that this batch has recorded.
    ///
    /// # Errors
    /// As [`load`].
    pub fn admission(
        &self,
        timeline: &TimelineId,
    ) -> Result<Option<Arc<AdmissionLog>>, StoreError> {
        if let Some(kept) = self.kept_admission(timeline) {
            return Ok(Some(kept));
        }
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
    pub fn admission(
        &self,
        timeline: &TimelineId,
    ) -> Result<Option<Arc<AdmissionLog>>, StoreError> {
        self.caches().admission(timeline, || load(self, timeline))
    }
}
