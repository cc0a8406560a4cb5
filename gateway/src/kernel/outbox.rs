//! What waits for the outside world, and who may send it.
//!
//! A domain leaves a side effect as a row; a worker outside carries it out and brings what came
//! of it back as a command, so that a replay knows the outcome and sends nothing. Of several
//! gateways on one journal only the one whose claim stands in it may send: to claim is to append,
//! which whoever was deposed cannot.

use std::ops::ControlFlow;

use khlong_crdt::time::UnixMillis;
use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::identity::LogIdentity;
use khlong_store::journal::{self, JournalError, JournalSeq};
use khlong_store::key::{Decoder, Encoder, KeyRange};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::command::Command;
use super::context::{ApplyError, Context};
use super::error::KernelError;
use super::outcome::Rejection;

/// The longest lease: 10 minutes, in which nobody else sends after the holder has died.
pub const LEASE_MS_MAX: u32 = 10 * 60 * 1_000;

/// The row of the table `gateway_kernel` that says who holds the outbox.
const LEADER: [u8; 9] = [1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The topic of a notice.
pub const TOPIC_BYTES_MAX: usize = 64;

const NOTICE_VERSION: u8 = 1;

/// Who sends: a folder, in one epoch of its log. A gateway that starts again on its folder is
/// the same one; a folder that was restored elsewhere is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder([u8; 20]);

impl Holder {
    /// The gateway on the store with this log.
    #[must_use]
    pub fn of(log: LogIdentity) -> Self {
        let mut bytes = [0; 20];
        let (id, epoch) = bytes.split_at_mut(16);
        id.copy_from_slice(log.log.as_bytes());
        epoch.copy_from_slice(&log.epoch.to_be_bytes());
        Self(bytes)
    }

    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

/// A side effect that waits for the outside world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideEffect {
    /// The command that left it.
    pub seq: JournalSeq,
    /// Which of its side effects; with `seq` its stable key.
    pub n: u32,
    /// The domain that left it.
    pub domain: u8,
    /// What to do, in the encoding of that domain.
    pub message: Vec<u8>,
}

/// A side effect for whoever subscribes to its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about: `books.day_closed`.
    pub topic: String,
    /// One JSON value, the same text for ever.
    pub data: String,
}

impl Notice {
    /// `version 1 ‖ topic length 1 ‖ topic ‖ data`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let length = u8::try_from(self.topic.len()).unwrap_or(u8::MAX);
        Encoder::new()
            .u8(NOTICE_VERSION)
            .u8(length)
            .tail(self.topic.as_bytes())
            .tail(self.data.as_bytes())
            .finish()
    }

    /// Reads what [`Self::encode`] wrote; `None` if it is no notice of this version.
    #[must_use]
    pub fn decode(message: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(message);
        if fields.u8()? != NOTICE_VERSION {
            return None;
        }
        let length = usize::from(fields.u8()?);
        let topic = std::str::from_utf8(fields.bytes(length)?).ok()?;
        let data = std::str::from_utf8(fields.tail()).ok()?;
        is_topic(topic).then(|| Self {
            topic: topic.to_owned(),
            data: data.to_owned(),
        })
    }
}

/// Whether it can be a topic: 1 to [`TOPIC_BYTES_MAX`] small letters, digits, `_` and `.`.
#[must_use]
pub fn is_topic(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.');
    (1..=TOPIC_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// Side effects that wait, the oldest first, at most `max`.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn waiting_outbox(rows: &dyn Rows, max: usize) -> Result<Vec<SideEffect>, StoreError> {
    waiting_behind(rows, None, max)
}

/// The same behind one of them. What is left later stands behind all that waits.
///
/// # Errors
/// As [`waiting_outbox`].
pub fn waiting_behind(
    rows: &dyn Rows,
    behind: Option<(JournalSeq, u32)>,
    max: usize,
) -> Result<Vec<SideEffect>, StoreError> {
    let mut found = Vec::new();
    let range = KeyRange {
        start: behind.map_or_else(Vec::new, |(seq, n)| place(seq, n)),
        end: None,
    };
    rows.scan(
        Table::GatewayOutbox,
        &range,
        Direction::Forward,
        &mut |key, row| {
            if found.len() >= max {
                return Ok(ControlFlow::Break(()));
            }
            if behind.is_none_or(|(seq, n)| key != place(seq, n)) {
                found.push(decode(key, row)?);
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

/// How many side effects wait; counts at most `max`.
///
/// # Errors
/// From the disk.
pub fn waiting_count(rows: &dyn Rows, max: u64) -> Result<u64, StoreError> {
    let mut count = 0;
    rows.scan(
        Table::GatewayOutbox,
        &KeyRange::all(),
        Direction::Forward,
        &mut |_, _| {
            count += 1;
            Ok(if count < max {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        },
    )?;
    Ok(count)
}

/// One that waits, if it still does.
///
/// # Errors
/// As [`waiting_outbox`].
pub fn waiting(rows: &dyn Rows, seq: JournalSeq, n: u32) -> Result<Option<SideEffect>, StoreError> {
    let key = place(seq, n);
    let row = rows.get(Table::GatewayOutbox, &key)?;
    row.map(|row| decode(&key, &row)).transpose()
}

/// When the command at `seq` was admitted, and the journal's hash there.
///
/// # Errors
/// From the journal; [`KernelError::UnknownEntry`].
pub fn left_at(rows: &dyn Rows, seq: JournalSeq) -> Result<(UnixMillis, [u8; 32]), KernelError> {
    let stored = journal::get(rows, seq)?.ok_or(JournalError::Broken {
        seq: seq.0,
        reason: "it is missing",
    })?;
    let (command, _) = Command::from_entry(seq, &stored.entry.header, &stored.entry.command)?;
    Ok((command.admitted_at, stored.hash))
}

/// Who holds the outbox, and until when.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn leader(rows: &dyn Rows) -> Result<Option<(Holder, UnixMillis)>, StoreError> {
    let Some(row) = rows.get(Table::GatewayKernel, &LEADER)? else {
        return Ok(None);
    };
    let mut fields = Decoder::new(&row);
    let (Some(holder), Some(until)) = (fields.fixed(), fields.i64()) else {
        return Err(StoreError::corrupt(
            Table::GatewayKernel,
            &LEADER,
            "not a claim",
        ));
    };
    Ok(Some((Holder(holder), UnixMillis(until))))
}

/// Answers 1 if it waited, else 0.
pub(super) fn settle(
    context: &mut Context<'_, '_>,
    seq: JournalSeq,
    n: u32,
) -> Result<Vec<u8>, ApplyError> {
    let key = place(seq, n);
    let waited = context.rows().get(Table::GatewayOutbox, &key)?.is_some();
    if waited {
        context.delete(Table::GatewayOutbox, key)?;
    }
    Ok(vec![u8::from(waited)])
}

/// `granted 1 ‖ until 8`.
pub(super) fn lead(
    context: &mut Context<'_, '_>,
    holder: Holder,
    lease_ms: u32,
) -> Result<Vec<u8>, ApplyError> {
    if lease_ms > LEASE_MS_MAX {
        return Err(ApplyError::Rejected(Rejection::Malformed));
    }
    let now = context.now();
    let held = leader(context.rows())?.filter(|(other, until)| *other != holder && *until > now);
    if let Some((_, until)) = held {
        return Ok(Encoder::new().u8(0).i64(until.0).finish());
    }
    let until = now.0.saturating_add(i64::from(lease_ms));
    let row = Encoder::new().fixed(holder.as_bytes()).i64(until).finish();
    context.put(Table::GatewayKernel, LEADER.to_vec(), row)?;
    Ok(Encoder::new().u8(1).i64(until).finish())
}

fn place(seq: JournalSeq, n: u32) -> Vec<u8> {
    Encoder::new().u64(seq.0).u32(n).finish()
}

fn decode(key: &[u8], row: &[u8]) -> Result<SideEffect, StoreError> {
    let mut place = Decoder::new(key);
    let (Some(seq), Some(n), Some((domain, message))) =
        (place.u64(), place.u32(), row.split_first())
    else {
        return Err(StoreError::corrupt(
            Table::GatewayOutbox,
            key,
            "not a side effect",
        ));
    };
    Ok(SideEffect {
        seq: JournalSeq(seq),
        n,
        domain: *domain,
        message: message.to_vec(),
    })
}
