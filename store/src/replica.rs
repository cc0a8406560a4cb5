//! What a session reads, answered by a store (what is committed) and by a batch
//! (with what is decided but not committed).

use std::sync::Arc;

use khlong_crdt::admission::Rights;
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, AuthorKey, LogId, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_sync::replica::{Arrival, AuthorHeight, Replica, ReplicaError, TransferTotals, Verdict};

use crate::batch::Batch;
use crate::error::StoreError;
use crate::identity::LogIdentity;
use crate::key::KeyRange;
use crate::rows::Rows;
use crate::store::Store;
use crate::table::Table;
use crate::tables::admission::AdmissionLog;
use crate::tables::timelines::{self, ClassHead, TimelineHead, class_key, timeline_class_key};

/// The reads that a store and a batch answer differently: through caches or not.
trait View: Rows + Sized {
    fn identity(&self) -> LogIdentity;
    fn class_head(&self, class: Class) -> Result<ClassHead, StoreError>;
    fn head_of(&self, timeline: &TimelineId, class: Class) -> Result<TimelineHead, StoreError>;
    fn admission_of(&self, timeline: &TimelineId) -> Result<Option<Arc<AdmissionLog>>, StoreError>;
}

impl View for Store {
    fn identity(&self) -> LogIdentity {
        Self::identity(self)
    }

    fn class_head(&self, class: Class) -> Result<ClassHead, StoreError> {
        self.caches()
            .class_head(class, || timelines::head(self, class))
    }

    fn head_of(&self, timeline: &TimelineId, class: Class) -> Result<TimelineHead, StoreError> {
        let key = timeline_class_key(timeline, class);
        self.caches()
            .head(&key, || timelines::timeline_head(self, timeline, class))
    }

    fn admission_of(&self, timeline: &TimelineId) -> Result<Option<Arc<AdmissionLog>>, StoreError> {
        self.admission(timeline)
    }
}

impl View for Batch<'_> {
    fn identity(&self) -> LogIdentity {
        self.identity
    }

    fn class_head(&self, class: Class) -> Result<ClassHead, StoreError> {
        match self.caches {
            Some(caches)
                if !self.touches(Table::ClassHead, &KeyRange::prefix(&class_key(class))) =>
            {
                caches.class_head(class, || timelines::head(self, class))
            }
            Some(_) | None => timelines::head(self, class),
        }
    }

    fn head_of(&self, timeline: &TimelineId, class: Class) -> Result<TimelineHead, StoreError> {
        let key = timeline_class_key(timeline, class);
        match self.caches {
            Some(caches) if !self.touches(Table::TimelineHead, &KeyRange::prefix(&key)) => {
                caches.head(&key, || timelines::timeline_head(self, timeline, class))
            }
            Some(_) | None => timelines::timeline_head(self, timeline, class),
        }
    }

    fn admission_of(&self, timeline: &TimelineId) -> Result<Option<Arc<AdmissionLog>>, StoreError> {
        self.admission(timeline)
    }
}

fn failed(operation: &'static str) -> impl FnOnce(StoreError) -> ReplicaError {
    move |error| ReplicaError {
        operation,
        source: Box::new(error),
    }
}

fn head(view: &impl View, class: Class) -> Result<Cursor, StoreError> {
    let (identity, head) = (view.identity(), view.class_head(class)?);
    Ok(Cursor {
        log: identity.log,
        log_epoch: identity.epoch,
        seq: head.arrival,
        hash: head.hash.short(),
    })
}

fn heights(view: &impl View, timeline: &TimelineId) -> Result<Vec<AuthorHeight>, StoreError> {
    let heights = timelines::heights(view, timeline)?;
    let height = |height: timelines::AuthorHeight| AuthorHeight {
        author: height.author,
        seq: height.contiguous,
        id: height.id,
    };
    Ok(heights.into_iter().map(height).collect())
}

fn judge(
    view: &impl View,
    timeline: &TimelineId,
    author: &AuthorKey,
    right: Rights,
    at: UnixMillis,
) -> Result<Verdict, StoreError> {
    let Some(log) = view.admission_of(timeline)? else {
        return Ok(Verdict::UnknownTimeline);
    };
    Ok(match log.admission().judge(author, right, at) {
        Ok(principal) => Verdict::Permitted(principal),
        Err(refusal) => Verdict::Refused(refusal),
    })
}

macro_rules! replica {
    ($($view:ty),*) => {$(
        impl Replica for $view {
            fn log(&self) -> (LogId, u32) {
                let identity = View::identity(self);
                (identity.log, identity.epoch)
            }

            fn head(&self, class: Class) -> Result<Cursor, ReplicaError> {
                head(self, class).map_err(failed("a class head"))
            }

            fn cursor_at(&self, class: Class, seq: ArrivalSeq) -> Result<Option<Cursor>, ReplicaError> {
                timelines::cursor_at(self, View::identity(self), class, seq).map_err(failed("a cursor"))
            }

            fn timeline_head(&self, timeline: TimelineId, class: Class) -> Result<ArrivalSeq, ReplicaError> {
                self.head_of(&timeline, class).map(|head| head.arrival).map_err(failed("a timeline's head"))
            }

            fn entries(
                &self,
                timeline: TimelineId,
                class: Class,
                after: ArrivalSeq,
                up_to: ArrivalSeq,
                entries_max: usize,
                bytes_max: usize,
            ) -> Result<Vec<Arrival>, ReplicaError> {
                let entries = timelines::entries(self, &timeline, class, after, up_to, entries_max, bytes_max)
                    .map_err(failed("entries"))?;
                let arrival = |stored: timelines::Stored| Arrival {
                    arrival: stored.arrival,
                    received_at: stored.received_at,
                    envelope: stored.envelope,
                };
                Ok(entries.into_iter().map(arrival).collect())
            }

            fn next_arrival(
                &self,
                timeline: TimelineId,
                class: Class,
                after: ArrivalSeq,
            ) -> Result<Option<ArrivalSeq>, ReplicaError> {
                let head = self.head_of(&timeline, class).map_err(failed("a timeline's head"))?;
                if head.arrival <= after {
                    return Ok(None);
                }
                timelines::next_arrival(self, &timeline, class, after).map_err(failed("the next arrival"))
            }

            fn totals(
                &self,
                timeline: TimelineId,
                class: Class,
                after: ArrivalSeq,
            ) -> Result<TransferTotals, ReplicaError> {
                let totals = timelines::totals(self, &timeline, class, after).map_err(failed("totals"))?;
                Ok(TransferTotals { envelopes: totals.envelopes, bytes: totals.bytes })
            }

            fn heights(&self, timeline: TimelineId) -> Result<Vec<AuthorHeight>, ReplicaError> {
                heights(self, &timeline).map_err(failed("heights"))
            }

            fn judge(
                &self,
                timeline: TimelineId,
                author: &AuthorKey,
                right: Rights,
                at: UnixMillis,
            ) -> Result<Verdict, ReplicaError> {
                judge(self, &timeline, author, right, at).map_err(failed("admission"))
            }
        }
    )*};
}

replica!(Store, Batch<'_>);
