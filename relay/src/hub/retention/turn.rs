//! One turn of the sweep: note, drop receipts, judge timelines, within its limits.

use khlong_crdt::class::Class;
use khlong_crdt::envelope::{Expiry, Kind};
use khlong_crdt::id::{EnvelopeId, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_store::batch::Batch;
use khlong_store::error::StoreError;
use khlong_store::limits::BATCH_BYTES_MAX;
use khlong_store::tables::quotas;
use khlong_store::tables::retention::{self, ExpiringReceipt, TimelineRetention, Walk};
use khlong_store::tables::timelines::{self, Stored};

use super::is_damage;
use crate::hub::policy::{KeepFor, Retention};

/// Envelopes that one turn looks at, whether it notes or drops them.
pub const TURN_ENVELOPES_MAX: usize = 256;
/// Timelines that one turn judges.
pub const TURN_TIMELINES_MAX: usize = 256;
/// Bytes of envelopes that one turn reads; the one that passes this still counts.
const TURN_BYTES_MAX: usize = 4 * 1024 * 1024;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What one envelope may write: its pruned row, its timeline's row, a quota, an index row.
const ENVELOPE_WRITES_BYTES_MAX: usize = 2 * 1024;
/// A timeline's row.
const TIMELINE_WRITES_BYTES_MAX: usize = 512;

const _: () = assert!(
    TURN_ENVELOPES_MAX * ENVELOPE_WRITES_BYTES_MAX + TURN_TIMELINES_MAX * TIMELINE_WRITES_BYTES_MAX
        <= BATCH_BYTES_MAX / 8,
    "a turn leaves room for appends in its batch"
);

/// What a turn came to.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) finished: bool,
    pub(super) after: Option<TimelineId>,
    pub(super) bodies: u64,
    pub(super) bytes: u64,
    pub(super) damaged: u64,
}

/// Does one turn in `batch`, at `date`, going on behind timeline `after`.
pub(super) fn run(
    batch: &mut Batch<'_>,
    policy: &Retention,
    date: UnixMillis,
    after: Option<TimelineId>,
) -> Result<Turn, StoreError> {
    let mut work = Work {
        policy,
        date,
        batch,
        envelopes_left: TURN_ENVELOPES_MAX,
        timelines_left: TURN_TIMELINES_MAX,
        bytes_left: TURN_BYTES_MAX,
        turn: Turn {
            after,
            ..Turn::default()
        },
    };
    work.note_arrivals()?;
    work.drop_receipts()?;
    work.judge_timelines()?;
    Ok(work.turn)
}

/// One turn while it lasts.
struct Work<'w, 'e> {
    policy: &'w Retention,
    date: UnixMillis,
    batch: &'w mut Batch<'e>,
    envelopes_left: usize,
    timelines_left: usize,
    bytes_left: usize,
    turn: Turn,
}

impl Work<'_, '_> {
    /// Notes what has arrived since, each envelope once in its life.
    fn note_arrivals(&mut self) -> Result<(), StoreError> {
        let Some(mut noted) = self.readable(retention::noted(self.batch))? else {
            return Ok(());
        };
        let before = noted;
        for (class, noted) in [
            (Class::Text, &mut noted.text),
            (Class::Bulk, &mut noted.bulk),
        ] {
            let page = timelines::arrivals(self.batch, class, *noted, self.envelopes_left)?;
            for (arrival, place) in page {
                if self.is_spent() {
                    break;
                }
                *noted = arrival;
                self.envelopes_left -= 1;
                if let Some((timeline, id)) = self.readable(place)?
                    && let Some(stored) = self.envelope(&id)?
                {
                    self.note(class, &timeline, &stored)?;
                }
            }
        }
        if noted == before {
            return Ok(());
        }
        retention::put_noted(self.batch, noted)
    }

    fn note(
        &mut self,
        class: Class,
        timeline: &TimelineId,
        stored: &Stored,
    ) -> Result<(), StoreError> {
        let Some(mut row) = self.readable(retention::get(self.batch, timeline))? else {
            return Ok(());
        };
        walk_of(&mut row, class).noted += 1;
        let (expiry, received_at) = (stored.envelope.prefix().expiry, stored.received_at);
        if stored.envelope.body().is_some() {
            match stored.envelope.prefix().kind {
                Kind::Change | Kind::Fragment => row.raise(expiry, received_at),
                Kind::Receipt => {
                    let receipt = ExpiringReceipt {
                        expiry,
                        received_at,
                        arrival: stored.arrival,
                    };
                    retention::note_receipt(self.batch, &receipt, &stored.envelope.id())?;
                }
                // Of class control: never here, and never dropped.
                Kind::AuthOp | Kind::KeyOp | Kind::Notice => {}
            }
        }
        retention::put(self.batch, timeline, &row)
    }

    /// Drops the receipts that are due. What cannot be read is forgotten, so
    /// that it is not met again every hour.
    fn drop_receipts(&mut self) -> Result<(), StoreError> {
        for expiry in Expiry::ALL {
            let KeepFor::Days(days) = self.policy.keeps(expiry) else {
                continue;
            };
            let kept_ms = i64::try_from(days_ms(days)).unwrap_or(i64::MAX);
            let until = UnixMillis(self.date.0.saturating_sub(kept_ms));
            let due = retention::receipts_until(self.batch, expiry, until, self.envelopes_left)?;
            for (receipt, id) in due {
                if self.is_spent() {
                    return Ok(());
                }
                self.envelopes_left -= 1;
                if let Some(id) = self.readable(id)?
                    && let Some(stored) = self.envelope(&id)?
                {
                    self.drop_body(&stored)?;
                }
                retention::forget_receipt(self.batch, &receipt)?;
            }
        }
        Ok(())
    }

    fn judge_timelines(&mut self) -> Result<(), StoreError> {
        loop {
            let after = self.turn.after;
            let page = retention::beyond(self.batch, after.as_ref(), self.timelines_left)?;
            if page.is_empty() {
                // Nothing beyond, or nothing left to spend.
                self.turn.finished = self.timelines_left > 0 && !self.is_spent();
                return Ok(());
            }
            for (timeline, row) in page {
                if self.is_spent() {
                    return Ok(());
                }
                self.timelines_left -= 1;
                if let Some(row) = self.readable(row)?
                    && !self.judge(&timeline, row)?
                {
                    return Ok(());
                }
                self.turn.after = Some(timeline);
            }
        }
    }

    /// Drops what is condemned, then condemns what has expired. False if there
    /// is more than this turn can do.
    fn judge(
        &mut self,
        timeline: &TimelineId,
        mut row: TimelineRetention,
    ) -> Result<bool, StoreError> {
        let before = row;
        let mut done = self.drop_condemned(timeline, &mut row)?;
        if done && self.has_expired(&row) {
            let heads = retention::heads(self.batch, timeline);
            if let Some((text, bulk)) = self.readable(heads)?
                && row.is_complete(&text, &bulk)
            {
                row.condemn(&text, &bulk);
                done = self.drop_condemned(timeline, &mut row)?;
            }
        }
        if row != before {
            retention::put(self.batch, timeline, &row)?;
        }
        Ok(done)
    }

    /// Whether there are changes, and the last of them has expired.
    fn has_expired(&self, row: &TimelineRetention) -> bool {
        row.newest().next().is_some()
            && row
                .newest()
                .all(|(expiry, received_at)| match self.policy.keeps(expiry) {
                    KeepFor::Ever => false,
                    KeepFor::Days(days) => received_at.after_ms(days_ms(days)) <= self.date,
                })
    }

    fn drop_condemned(
        &mut self,
        timeline: &TimelineId,
        row: &mut TimelineRetention,
    ) -> Result<bool, StoreError> {
        for class in [Class::Text, Class::Bulk] {
            let walk = walk_of(row, class);
            while walk.dropped < walk.condemned {
                let (after, up_to) = (walk.dropped, walk.condemned);
                let page = timelines::index(
                    self.batch,
                    timeline,
                    class,
                    after,
                    up_to,
                    self.envelopes_left,
                )?;
                if self.is_spent() {
                    return Ok(false);
                }
                if page.is_empty() {
                    walk.dropped = up_to;
                }
                for (arrival, id) in page {
                    if self.is_spent() {
                        return Ok(false);
                    }
                    self.envelopes_left -= 1;
                    walk.dropped = arrival;
                    if let Some(id) = self.readable(id)?
                        && let Some(stored) = self.envelope(&id)?
                    {
                        match stored.envelope.prefix().kind {
                            Kind::Change | Kind::Fragment => self.drop_body(&stored)?,
                            Kind::Receipt | Kind::AuthOp | Kind::KeyOp | Kind::Notice => {}
                        }
                    }
                }
            }
        }
        Ok(true)
    }

    /// The body goes, and the timeline's quota gets its bytes back.
    fn drop_body(&mut self, stored: &Stored) -> Result<(), StoreError> {
        let bytes = timelines::prune(self.batch, stored)?;
        if bytes == 0 {
            return Ok(());
        }
        self.turn.bodies += 1;
        self.turn.bytes += bytes;
        let timeline = stored.envelope.timeline();
        let less = quotas::Use { bytes, count: 0 };
        let left = quotas::drop_from(self.batch, &timeline, less);
        self.readable(left).map(|_| ())
    }

    /// An envelope by its id; a missing one is as damaged as one that cannot be read.
    fn envelope(&mut self, id: &EnvelopeId) -> Result<Option<Stored>, StoreError> {
        let stored = self.readable(timelines::get(self.batch, id))?;
        match &stored {
            Some(Some(stored)) => {
                let bytes = stored.envelope.bytes().len();
                self.bytes_left = self.bytes_left.saturating_sub(bytes);
            }
            Some(None) => self.turn.damaged += 1,
            None => {}
        }
        Ok(stored.flatten())
    }

    fn is_spent(&self) -> bool {
        self.envelopes_left == 0 || self.bytes_left == 0
    }

    /// `None`, counted, for a row that is damaged.
    fn readable<T>(&mut self, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_damage(&error) => {
                tracing::error!(%error, "retention passes over a row");
                self.turn.damaged += 1;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn walk_of(row: &mut TimelineRetention, class: Class) -> &mut Walk {
    match class {
        Class::Bulk => &mut row.bulk,
        Class::Control | Class::Text | Class::Media => &mut row.text,
    }
}

fn days_ms(days: u32) -> u64 {
    u64::from(days) * DAY_MS
}
