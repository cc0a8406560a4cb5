//! Timelines: envelopes by id, by arrival and by author.
//!
//! Every envelope enters one class log and gets the next arrival number there;
//! the log is one chain of hashes, so that a cursor proves which log it is in.
//! The same arrival is indexed under its timeline, with running totals, so that
//! "how much is missing" is one subtraction. Author chains accept gaps, and keep
//! up to two envelopes of one number as evidence of a fork.
//!
//! Arrival rows, and with them cursors, outlive bodies (invariant 9).

mod append;
mod read;

pub use append::{Appended, append, prune};
pub use read::{
    Place, Stored, Totals, arrivals, author_ids, cursor_at, entries, get, head, heights, index,
    next_arrival, timeline_head, timelines, totals,
};

use khlong_crdt::class::{Class, RunningHash};
use khlong_crdt::id::{ArrivalSeq, AuthorKey, EnvelopeId, Seq, TimelineId};
use khlong_crdt::time::UnixMillis;

use super::decode;
use crate::error::StoreError;
use crate::key::Encoder;
use crate::table::Table;

/// The end of a class log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassHead {
    /// The last arrival; 0 = none yet.
    pub arrival: ArrivalSeq,
    /// Hash over everything up to it.
    pub hash: RunningHash,
}

/// The end of what one timeline has in one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimelineHead {
    /// Its last arrival; 0 = none yet.
    pub arrival: ArrivalSeq,
    /// Envelopes up to it.
    pub envelopes: u64,
    /// Bytes of these, as they were received.
    pub bytes: u64,
}

/// How far the chain of one author is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorHeight {
    /// Whose chain.
    pub author: AuthorKey,
    /// The last number without a gap before it; 0 = the first is missing.
    pub contiguous: Seq,
    /// The envelope there (the one that came first, in a fork); zero if there is none.
    pub id: EnvelopeId,
    /// The highest number seen.
    pub highest: Seq,
}

/// One row of `timeline_arrival`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexRow {
    pub(crate) id: EnvelopeId,
    pub(crate) received_at: UnixMillis,
    pub(crate) envelopes: u64,
    pub(crate) bytes: u64,
}

pub(crate) fn class_key(class: Class) -> Vec<u8> {
    Encoder::new().u8(class as u8).finish()
}

pub(crate) fn arrival_key(class: Class, arrival: ArrivalSeq) -> Vec<u8> {
    Encoder::new().u8(class as u8).u64(arrival.0).finish()
}

pub(crate) fn index_key(timeline: &TimelineId, class: Class, arrival: ArrivalSeq) -> Vec<u8> {
    Encoder::new()
        .fixed(timeline.as_bytes())
        .u8(class as u8)
        .u64(arrival.0)
        .finish()
}

pub(crate) fn timeline_class_key(timeline: &TimelineId, class: Class) -> Vec<u8> {
    Encoder::new()
        .fixed(timeline.as_bytes())
        .u8(class as u8)
        .finish()
}

pub(crate) fn author_key(timeline: &TimelineId, author: &AuthorKey) -> Vec<u8> {
    Encoder::new()
        .fixed(timeline.as_bytes())
        .fixed(author.as_bytes())
        .finish()
}

pub(crate) fn author_seq_key(timeline: &TimelineId, author: &AuthorKey, seq: Seq) -> Vec<u8> {
    Encoder::new()
        .fixed(timeline.as_bytes())
        .fixed(author.as_bytes())
        .u64(seq.0)
        .finish()
}

impl ClassHead {
    pub(crate) fn encode(self) -> Vec<u8> {
        Encoder::new()
            .u64(self.arrival.0)
            .fixed(&self.hash.0)
            .finish()
    }

    pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        decode(Table::ClassHead, key, bytes, |fields| {
            Some(Self {
                arrival: ArrivalSeq(fields.u64()?),
                hash: RunningHash(fields.fixed()?),
            })
        })
    }
}

impl TimelineHead {
    pub(crate) fn encode(self) -> Vec<u8> {
        Encoder::new()
            .u64(self.arrival.0)
            .u64(self.envelopes)
            .u64(self.bytes)
            .finish()
    }

    pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        decode(Table::TimelineHead, key, bytes, |fields| {
            Some(Self {
                arrival: ArrivalSeq(fields.u64()?),
                envelopes: fields.u64()?,
                bytes: fields.u64()?,
            })
        })
    }
}

impl IndexRow {
    pub(crate) fn encode(self) -> Vec<u8> {
        let row = Encoder::new()
            .fixed(self.id.as_bytes())
            .i64(self.received_at.0);
        row.u64(self.envelopes).u64(self.bytes).finish()
    }

    pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        decode(Table::TimelineArrival, key, bytes, |fields| {
            Some(Self {
                id: EnvelopeId::from_bytes(fields.fixed()?),
                received_at: UnixMillis(fields.i64()?),
                envelopes: fields.u64()?,
                bytes: fields.u64()?,
            })
        })
    }
}

impl AuthorHeight {
    fn encode(self) -> Vec<u8> {
        Encoder::new()
            .u64(self.contiguous.0)
            .fixed(self.id.as_bytes())
            .u64(self.highest.0)
            .finish()
    }

    fn decode(author: AuthorKey, key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        decode(Table::AuthorHead, key, bytes, |fields| {
            Some(Self {
                author,
                contiguous: Seq(fields.u64()?),
                id: EnvelopeId::from_bytes(fields.fixed()?),
                highest: Seq(fields.u64()?),
            })
        })
    }
}

/// The ids kept under one number of an author's chain: one, or two that prove a fork.
fn decode_ids(key: &[u8], bytes: &[u8]) -> Result<(EnvelopeId, Option<EnvelopeId>), StoreError> {
    decode(Table::AuthorSeq, key, bytes, |fields| {
        let first = EnvelopeId::from_bytes(fields.fixed()?);
        if (*fields).end().is_some() {
            return Some((first, None));
        }
        Some((first, Some(EnvelopeId::from_bytes(fields.fixed()?))))
    })
}
