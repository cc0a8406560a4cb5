//! What a relay's retention knows: which bodies can go one day, and how far it came.
//!
//! A core walks each class log once and *notes* what it meets: of changes and
//! fragments only the newest date of each expiry class, because they go together;
//! receipts by date, because each goes alone. So what is due is found without
//! reading the log again. Dates are kept as they are and not as days to come:
//! an operator may change how long things are kept.
//!
//! Whoever judges does so on a timeline that is [complete](TimelineRetention::is_complete): a
//! row that could not be read, and therefore not noted, keeps its timeline's changes.

use std::ops::ControlFlow;

use khlong_crdt::class::Class;
use khlong_crdt::envelope::Expiry;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, TimelineId};
use khlong_crdt::time::UnixMillis;

use super::timelines::TimelineHead;
use super::{decode, timelines};
use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::{Decoder, Encoder, KeyRange};
use crate::rows::{EachRow, Rows};
use crate::table::Table;

/// Row of `meta`: how far the logs were noted.
const META_NOTED: &[u8] = b"noted";

/// A date that no envelope has.
const NO_DATE: i64 = i64::MIN;

/// How far the class logs were noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Noted {
    /// Up to this arrival of class text.
    pub text: ArrivalSeq,
    /// Up to this arrival of class bulk.
    pub bulk: ArrivalSeq,
}

/// One class of one timeline, as retention goes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Walk {
    /// Envelopes that were noted.
    pub noted: u64,
    /// No change up to this arrival has a body any more.
    pub dropped: ArrivalSeq,
    /// Bodies of changes up to this arrival are to go, whatever comes later.
    pub condemned: ArrivalSeq,
}

/// What retention knows of one timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimelineRetention {
    /// The newest receipt date of a change or fragment beyond what is condemned, by expiry class.
    newest: [Option<UnixMillis>; Expiry::ALL.len()],
    /// Its changes and receipts.
    pub text: Walk,
    /// Its fragments.
    pub bulk: Walk,
}

/// A receipt that has its body, by its place among those that expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiringReceipt {
    /// What it asks for.
    pub expiry: Expiry,
    /// From when that counts.
    pub received_at: UnixMillis,
    /// Its arrival in class text.
    pub arrival: ArrivalSeq,
}

impl TimelineRetention {
    /// Notes a change or fragment.
    pub fn raise(&mut self, expiry: Expiry, received_at: UnixMillis) {
        if let Some(newest) = self.newest.get_mut(usize::from(expiry.as_u8())) {
            *newest = (*newest).max(Some(received_at));
        }
    }

    /// The newest date of each expiry class that has one.
    pub fn newest(&self) -> impl Iterator<Item = (Expiry, UnixMillis)> {
        let dates = Expiry::ALL.into_iter().zip(self.newest);
        dates.filter_map(|(expiry, date)| Some((expiry, date?)))
    }

    /// Whether everything that the timeline has was noted.
    #[must_use]
    pub fn is_complete(&self, text: &TimelineHead, bulk: &TimelineHead) -> bool {
        self.text.noted == text.envelopes && self.bulk.noted == bulk.envelopes
    }

    /// Condemns the changes that the timeline has.
    pub fn condemn(&mut self, text: &TimelineHead, bulk: &TimelineHead) {
        self.text.condemned = text.arrival;
        self.bulk.condemned = bulk.arrival;
        self.newest = [None; Expiry::ALL.len()];
    }

    fn encode(&self) -> Vec<u8> {
        let dates = self.newest.iter().fold(Encoder::new(), |row, date| {
            row.i64(date.map_or(NO_DATE, UnixMillis::get))
        });
        let walks = [self.text, self.bulk];
        let row = walks.iter().fold(dates, |row, walk| {
            row.u64(walk.noted)
                .u64(walk.dropped.0)
                .u64(walk.condemned.0)
        });
        row.finish()
    }

    fn decode(key: &[u8], payload: &[u8]) -> Result<Self, StoreError> {
        decode(Table::Retention, key, payload, |fields| {
            let mut row = Self::default();
            for newest in &mut row.newest {
                *newest = Some(fields.i64()?)
                    .filter(|date| *date != NO_DATE)
                    .map(UnixMillis);
            }
            for walk in [&mut row.text, &mut row.bulk] {
                *walk = Walk {
                    noted: fields.u64()?,
                    dropped: ArrivalSeq(fields.u64()?),
                    condemned: ArrivalSeq(fields.u64()?),
                };
            }
            Some(row)
        })
    }
}

/// How far the logs were noted.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn noted(rows: &dyn Rows) -> Result<Noted, StoreError> {
    let Some(payload) = rows.get(Table::Meta, META_NOTED)? else {
        return Ok(Noted::default());
    };
    decode(Table::Meta, META_NOTED, &payload, |fields| {
        Some(Noted {
            text: ArrivalSeq(fields.u64()?),
            bulk: ArrivalSeq(fields.u64()?),
        })
    })
}

/// Keeps how far the logs were noted.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn put_noted(batch: &mut Batch<'_>, noted: Noted) -> Result<(), StoreError> {
    let row = Encoder::new().u64(noted.text.0).u64(noted.bulk.0).finish();
    batch.put(Table::Meta, META_NOTED.to_vec(), row)
}

/// What is known of a timeline.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is damaged.
pub fn get(rows: &dyn Rows, timeline: &TimelineId) -> Result<TimelineRetention, StoreError> {
    let key = timeline.as_bytes();
    match rows.get(Table::Retention, key)? {
        Some(payload) => TimelineRetention::decode(key, &payload),
        None => Ok(TimelineRetention::default()),
    }
}

/// Keeps what is known of a timeline.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn put(
    batch: &mut Batch<'_>,
    timeline: &TimelineId,
    row: &TimelineRetention,
) -> Result<(), StoreError> {
    batch.put(Table::Retention, timeline.as_bytes().to_vec(), row.encode())
}

/// The timelines of which something is known, in the order of their ids, beyond
/// `after`, at most `max_timelines`; a damaged row is the error in its place.
///
/// # Errors
/// From the engine.
pub fn beyond(
    rows: &dyn Rows,
    after: Option<&TimelineId>,
    max_timelines: usize,
) -> Result<EachRow<TimelineId, TimelineRetention>, StoreError> {
    let mut range = KeyRange::all();
    if let Some(after) = after {
        // The first key above it: keys of this table have one length.
        range.start = [after.as_bytes().as_slice(), &[0]].concat();
    }
    let mut found = Vec::new();
    rows.scan_each(
        Table::Retention,
        &range,
        Direction::Forward,
        &mut |key, payload| {
            if found.len() >= max_timelines {
                return Ok(ControlFlow::Break(()));
            }
            let timeline = decode(Table::Retention, key, key, |fields| {
                fields.fixed().map(TimelineId::from_bytes)
            })?;
            let row = payload.and_then(|payload| TimelineRetention::decode(key, payload));
            found.push((timeline, row));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

/// The heads of a timeline in classes text and bulk, to judge and condemn by.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row is damaged.
pub fn heads(
    rows: &dyn Rows,
    timeline: &TimelineId,
) -> Result<(TimelineHead, TimelineHead), StoreError> {
    Ok((
        timelines::timeline_head(rows, timeline, Class::Text)?,
        timelines::timeline_head(rows, timeline, Class::Bulk)?,
    ))
}

/// Notes a receipt that has its body.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn note_receipt(
    batch: &mut Batch<'_>,
    receipt: &ExpiringReceipt,
    id: &EnvelopeId,
) -> Result<(), StoreError> {
    batch.put(
        Table::Expiring,
        expiring_key(receipt),
        id.as_bytes().to_vec(),
    )
}

/// The receipts of an expiry class that were received at `until` or before, oldest
/// first, at most `max_receipts`; a damaged row is the error in its place.
///
/// # Errors
/// From the engine.
pub fn receipts_until(
    rows: &dyn Rows,
    expiry: Expiry,
    until: UnixMillis,
    max_receipts: usize,
) -> Result<EachRow<ExpiringReceipt, EnvelopeId>, StoreError> {
    let mut found = Vec::new();
    rows.scan_each(
        Table::Expiring,
        &KeyRange::prefix(&[expiry.as_u8()]),
        Direction::Forward,
        &mut |key, payload| {
            let receipt = decode(Table::Expiring, key, key, |fields| {
                decode_expiring_key(expiry, fields)
            })?;
            if receipt.received_at > until || found.len() >= max_receipts {
                return Ok(ControlFlow::Break(()));
            }
            let id = payload.and_then(|payload| {
                decode(Table::Expiring, key, payload, |fields| {
                    fields.fixed().map(EnvelopeId::from_bytes)
                })
            });
            found.push((receipt, id));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

/// Forgets a receipt whose body went, or cannot go.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn forget_receipt(batch: &mut Batch<'_>, receipt: &ExpiringReceipt) -> Result<(), StoreError> {
    batch.delete(Table::Expiring, expiring_key(receipt))
}

/// Dates before 1970 count as 1970: they would sort behind all others.
fn expiring_key(receipt: &ExpiringReceipt) -> Vec<u8> {
    Encoder::new()
        .u8(receipt.expiry.as_u8())
        .i64(receipt.received_at.0.max(0))
        .u64(receipt.arrival.0)
        .finish()
}

fn decode_expiring_key(expiry: Expiry, fields: &mut Decoder<'_>) -> Option<ExpiringReceipt> {
    let _expiry = fields.u8()?;
    Some(ExpiringReceipt {
        expiry,
        received_at: UnixMillis(fields.i64()?),
        arrival: ArrivalSeq(fields.u64()?),
    })
}
