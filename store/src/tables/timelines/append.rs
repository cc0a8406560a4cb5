//! Appending an envelope: one arrival, all its index rows, one batch.

use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, Seq};
use khlong_crdt::time::UnixMillis;

use super::{
    AuthorHeight, ClassHead, IndexRow, Stored, TimelineHead, arrival_key, author_key,
    author_seq_key, class_key, decode_ids, index_key, read, timeline_class_key,
};
use crate::batch::Batch;
use crate::error::StoreError;
use crate::key::Encoder;
use crate::rows::Rows as _;
use crate::table::Table;

/// Numbers by which one append may move an author's contiguous height. Whoever
/// fills a gap below a long run pays for it in steps, not in one stall.
const HEIGHT_STEPS_MAX: u32 = 1_024;

/// What became of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is in the batch.
    Stored {
        /// Its number in the log of its class.
        arrival: ArrivalSeq,
        /// Its author has used this number before, for something else: both are kept as evidence.
        forked: bool,
    },
    /// It was there before.
    Duplicate {
        /// Its number since then.
        arrival: ArrivalSeq,
    },
    /// It was there without its body and has it again: nothing else changed.
    Restored {
        /// Its number since it came first.
        arrival: ArrivalSeq,
    },
    /// Two others hold its place in the author's chain already; it is not stored.
    ThirdFork,
}

/// Drops the body of an envelope and keeps the rest: expiry, eviction or
/// compaction. Its rows stay, so every cursor and every count does. `stored` is
/// what [`get`](super::get) gave from this batch. Returns the bytes that went; 0 if
/// it had no body any more.
///
/// # Errors
/// [`StoreError::BatchFull`].
pub fn prune(batch: &mut Batch<'_>, stored: &Stored) -> Result<u64, StoreError> {
    let envelope = &stored.envelope;
    let Some(body) = envelope.body() else {
        return Ok(0);
    };
    let bytes = body.len() as u64;
    let row = envelope_row(
        stored.arrival,
        stored.received_at,
        envelope.pruned().bytes(),
    );
    batch.put(Table::Envelope, envelope.id().as_bytes().to_vec(), row)?;
    Ok(bytes)
}

/// Puts a verified envelope at the end of its class log. `received_at` is the
/// receipt date of the first relay that stored it.
///
/// What is here without its body gets it back, at its old place and date: a node
/// may hear of an envelope from a relay that has dropped the body, and have it
/// later from somebody who has not. A relay, which would take back what it has
/// dropped, looks before it appends.
///
/// # Errors
/// [`StoreError::BatchFull`] (commit, then try again: ask
/// [`Batch::has_room_for`] before), or from reading the rows it builds on. Only a full
/// batch leaves some of its rows in it: see [`Batch::atomically`].
pub fn append(
    batch: &mut Batch<'_>,
    envelope: &VerifiedEnvelope,
    received_at: UnixMillis,
) -> Result<Appended, StoreError> {
    let id = envelope.id();
    // Mutant "dedupe": what is here enters the log again.
    if let Some(known) = batch.get(Table::Envelope, id.as_bytes())?
        && cfg!(not(khlong_mutant = "dedupe"))
    {
        return known_already(batch, envelope, &known);
    }
    let prefix = envelope.prefix();
    let seq_key = author_seq_key(&prefix.timeline, &prefix.author, prefix.seq);
    let ids = match batch.get(Table::AuthorSeq, &seq_key)? {
        None => Encoder::new().fixed(id.as_bytes()).finish(),
        Some(bytes) => match decode_ids(&seq_key, &bytes)? {
            (first, None) => Encoder::new()
                .fixed(first.as_bytes())
                .fixed(id.as_bytes())
                .finish(),
            (_, Some(_)) => return Ok(Appended::ThirdFork),
        },
    };
    let forked = ids.len() > ID_BYTES;
    // Every row that it builds on is read before the first is written: one that is
    // damaged refuses the envelope and leaves nothing of it.
    let place = NextPlace::next(batch, envelope, received_at)?;
    let height = raised_height(batch, envelope)?;
    batch.put(Table::AuthorSeq, seq_key, ids)?;
    place.put(batch, envelope)?;
    let key = author_key(&prefix.timeline, &prefix.author);
    batch.put(Table::AuthorHead, key, height.encode())?;
    Ok(Appended::Stored {
        arrival: place.after.arrival,
        forked,
    })
}

/// One id has one header, so of two forms of an envelope the longer one has the body.
fn known_already(
    batch: &mut Batch<'_>,
    envelope: &VerifiedEnvelope,
    known: &[u8],
) -> Result<Appended, StoreError> {
    let id = envelope.id();
    let (arrival, received_at, bytes) = read::decode_place(&id, known)?;
    if bytes.len() >= envelope.bytes().len() {
        return Ok(Appended::Duplicate { arrival });
    }
    let row = envelope_row(arrival, received_at, envelope.bytes());
    batch.put(Table::Envelope, id.as_bytes().to_vec(), row)?;
    Ok(Appended::Restored { arrival })
}

fn envelope_row(arrival: ArrivalSeq, received_at: UnixMillis, bytes: &[u8]) -> Vec<u8> {
    let row = Encoder::new().u64(arrival.0).i64(received_at.0);
    row.tail(bytes).finish()
}

const ID_BYTES: usize = 32;

/// The next place in the class log and in the timeline's part of it.
struct NextPlace {
    received_at: UnixMillis,
    after: ClassHead,
    head: TimelineHead,
}

impl NextPlace {
    fn next(
        batch: &Batch<'_>,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
    ) -> Result<Self, StoreError> {
        let (class, timeline) = (envelope.class(), envelope.prefix().timeline);
        let log = read::head(batch, class)?;
        let before = read::timeline_head(batch, &timeline, class)?;
        let key = timeline_class_key(&timeline, class);
        if before.arrival > log.arrival {
            let reason = "it lies beyond the head of its class";
            return Err(StoreError::corrupt(Table::TimelineHead, &key, reason));
        }
        let arrival = raised_by(log.arrival.0, 1, Table::ClassHead, &class_key(class))?;
        let arrival = ArrivalSeq(arrival);
        let raised = |number, by| raised_by(number, by, Table::TimelineHead, &key);
        Ok(Self {
            received_at,
            after: ClassHead {
                arrival,
                hash: log.hash.extend(class, arrival, &envelope.id()),
            },
            head: TimelineHead {
                arrival,
                envelopes: raised(before.envelopes, 1)?,
                bytes: raised(before.bytes, envelope.bytes().len() as u64)?,
            },
        })
    }

    fn put(&self, batch: &mut Batch<'_>, envelope: &VerifiedEnvelope) -> Result<(), StoreError> {
        let (id, class, timeline) = (envelope.id(), envelope.class(), envelope.prefix().timeline);
        let arrival = self.after.arrival;
        let stored = envelope_row(arrival, self.received_at, envelope.bytes());
        batch.put(Table::Envelope, id.as_bytes().to_vec(), stored)?;
        batch.put(Table::ClassHead, class_key(class), self.after.encode())?;
        let row = Encoder::new()
            .fixed(timeline.as_bytes())
            .fixed(id.as_bytes())
            .fixed(&self.after.hash.0)
            .finish();
        batch.put(Table::Arrival, arrival_key(class, arrival), row)?;
        let row = IndexRow {
            id,
            received_at: self.received_at,
            envelopes: self.head.envelopes,
            bytes: self.head.bytes,
        };
        let key = index_key(&timeline, class, arrival);
        batch.put(Table::TimelineArrival, key, row.encode())?;
        let key = timeline_class_key(&timeline, class);
        batch.put(Table::TimelineHead, key, self.head.encode())
    }
}

/// A number of a row, raised. One that has no room for it is not what was written.
fn raised_by(number: u64, by: u64, table: Table, key: &[u8]) -> Result<u64, StoreError> {
    number
        .checked_add(by)
        .ok_or_else(|| StoreError::corrupt(table, key, "a number in it is as high as there is"))
}

/// The author's contiguous height, over what is there with this envelope.
fn raised_height(
    batch: &Batch<'_>,
    envelope: &VerifiedEnvelope,
) -> Result<AuthorHeight, StoreError> {
    let prefix = envelope.prefix();
    let (timeline, author) = (&prefix.timeline, &prefix.author);
    let key = author_key(timeline, author);
    let mut height = match batch.get(Table::AuthorHead, &key)? {
        Some(bytes) => AuthorHeight::decode(*author, &key, &bytes)?,
        None => AuthorHeight {
            author: *author,
            contiguous: Seq(0),
            id: EnvelopeId::from_bytes([0; ID_BYTES]),
            highest: Seq(0),
        },
    };
    height.highest = height.highest.max(prefix.seq);
    for _ in 0..HEIGHT_STEPS_MAX {
        let next = raised_by(height.contiguous.0, 1, Table::AuthorHead, &key)?;
        let next = Seq(next);
        let first = match read::author_ids(batch, timeline, author, next)? {
            Some((first, _)) => first,
            None if next == prefix.seq => envelope.id(),
            None => break,
        };
        height.contiguous = next;
        height.id = first;
    }
    Ok(height)
}
