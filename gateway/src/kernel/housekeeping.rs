//! The kernel's own commands. What it forgets is decided in the journal like all else, so
//! a replay forgets the same.

use std::ops::ControlFlow;

use khlong_crdt::time::UnixMillis;
use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::{Decoder, Encoder, KeyRange};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::context::{ApplyError, Context};
use super::epochs;
use super::outbox::{self, Holder};
use super::outcome::Rejection;

/// The kernel's number among the domains.
pub const KERNEL_DOMAIN: u8 = 0;

/// What the kernel writes for its own commands.
pub(super) const KERNEL_TABLES: [Table; 4] = [
    Table::Idempotency,
    Table::IdempotencyAge,
    Table::GatewayOutbox,
    Table::GatewayKernel,
];

/// Keys that one command forgets.
pub const EVICTIONS_MAX: u32 = 8_192;

/// A command of the kernel. Its body is `version 1 ‖ kind 1 ‖ fields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Housekeeping {
    /// Kind 1, `before 8`: forgets idempotency keys of commands before that time, the
    /// oldest first, at most [`EVICTIONS_MAX`]; answers how many, 4 bytes.
    Evict {
        /// Commands at or after it are kept.
        before: UnixMillis,
    },
    /// Kind 2, `seq 8 ‖ n 4`: a side effect was carried out; answers 1 if it was waiting, else 0.
    Settle {
        /// The command that left it.
        seq: JournalSeq,
        /// Which of its side effects.
        n: u32,
    },
    /// Kind 3, `seq 8 ‖ n 4 ‖ delivered 2 ‖ failed 2`: what came of a side effect, which is over
    /// now; answers as kind 2. Neither delivered nor failed: nobody wanted it.
    Report {
        /// The command that left it.
        seq: JournalSeq,
        /// Which of its side effects.
        n: u32,
        /// How many targets took it.
        delivered: u16,
        /// How many were given up.
        failed: u16,
    },
    /// Kind 4, `holder 20 ‖ lease_ms 4`: who may send what is in the outbox, until the command's
    /// time and the lease; answers `granted 1 ‖ until 8`, of whoever holds it then. Refused while
    /// somebody else holds it; a lease has at most [`LEASE_MS_MAX`](super::LEASE_MS_MAX).
    Lead {
        /// Who asks.
        holder: Holder,
        /// For how long.
        lease_ms: u32,
    },
    /// Kind 5, `epoch 4`: the folder was restored, or lost commits, and what was acknowledged behind
    /// the entry before this one may be gone; answers the seq of that entry, 8 bytes.
    Restored {
        /// The log epoch that began then: see [`Epoch::number`](super::Epoch::number).
        epoch: u32,
    },
}

const VERSION: u8 = 1;
const EVICT: u8 = 1;
const SETTLE: u8 = 2;
const REPORT: u8 = 3;
const LEAD: u8 = 4;
const RESTORED: u8 = 5;

impl Housekeeping {
    /// As the body of a command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body = Encoder::new().u8(VERSION);
        match self {
            Self::Evict { before } => body.u8(EVICT).i64(before.0).finish(),
            Self::Settle { seq, n } => body.u8(SETTLE).u64(seq.0).u32(*n).finish(),
            Self::Report {
                seq,
                n,
                delivered,
                failed,
            } => body
                .u8(REPORT)
                .u64(seq.0)
                .u32(*n)
                .fixed(&delivered.to_be_bytes())
                .fixed(&failed.to_be_bytes())
                .finish(),
            Self::Lead { holder, lease_ms } => body
                .u8(LEAD)
                .fixed(holder.as_bytes())
                .u32(*lease_ms)
                .finish(),
            Self::Restored { epoch } => body.u8(RESTORED).u32(*epoch).finish(),
        }
    }

    /// What a body asks for, in one word, without reading it whole.
    #[must_use]
    pub fn name_of(body: &[u8]) -> Option<&'static str> {
        match *body {
            [VERSION, EVICT, ..] => Some("evict"),
            [VERSION, SETTLE, ..] => Some("settle"),
            [VERSION, REPORT, ..] => Some("report"),
            [VERSION, LEAD, ..] => Some("lead"),
            [VERSION, RESTORED, ..] => Some("restored"),
            _ => None,
        }
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(body);
        let command = match (fields.u8()?, fields.u8()?) {
            (VERSION, EVICT) => Self::Evict {
                before: UnixMillis(fields.i64()?),
            },
            (VERSION, SETTLE) => Self::Settle {
                seq: JournalSeq(fields.u64()?),
                n: fields.u32()?,
            },
            (VERSION, REPORT) => Self::Report {
                seq: JournalSeq(fields.u64()?),
                n: fields.u32()?,
                delivered: u16::from_be_bytes(fields.fixed()?),
                failed: u16::from_be_bytes(fields.fixed()?),
            },
            (VERSION, LEAD) => Self::Lead {
                holder: Holder::from_bytes(fields.fixed()?),
                lease_ms: fields.u32()?,
            },
            (VERSION, RESTORED) => Self::Restored {
                epoch: fields.u32()?,
            },
            _ => return None,
        };
        fields.end()?;
        Some(command)
    }
}

pub(super) fn apply(context: &mut Context<'_, '_>, body: &[u8]) -> Result<Vec<u8>, ApplyError> {
    match Housekeeping::decode(body) {
        Some(Housekeeping::Evict { before }) => evict(context, before),
        Some(Housekeeping::Settle { seq, n } | Housekeeping::Report { seq, n, .. }) => {
            outbox::settle(context, seq, n)
        }
        Some(Housekeeping::Lead { holder, lease_ms }) => outbox::lead(context, holder, lease_ms),
        Some(Housekeeping::Restored { epoch }) => epochs::begin(context, epoch),
        None => Err(ApplyError::Rejected(Rejection::Malformed)),
    }
}

fn evict(context: &mut Context<'_, '_>, before: UnixMillis) -> Result<Vec<u8>, ApplyError> {
    let mut old: Vec<(Vec<u8>, [u8; 32])> = Vec::new();
    let mut count = 0_u32;
    context.rows().scan(
        Table::IdempotencyAge,
        &KeyRange::all(),
        Direction::Forward,
        &mut |key, row| {
            let mut fields = Decoder::new(row);
            let (Some(place), Some(admitted_at)) = (fields.fixed(), fields.i64()) else {
                return Err(StoreError::corrupt(Table::IdempotencyAge, key, "not a key"));
            };
            if admitted_at >= before.0 || count >= EVICTIONS_MAX {
                return Ok(ControlFlow::Break(()));
            }
            count += 1;
            old.push((key.to_vec(), place));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    for (age, place) in old {
        context.delete(Table::IdempotencyAge, age)?;
        context.delete(Table::Idempotency, place.to_vec())?;
    }
    Ok(Encoder::new().u32(count).finish())
}

/// When the oldest idempotency key that is still known was admitted.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn oldest_key(rows: &dyn Rows) -> Result<Option<UnixMillis>, StoreError> {
    Ok(oldest(rows, JournalSeq(0))?.map(|(_, admitted_at)| admitted_at))
}

/// How many idempotency keys stand for a command, where `head` is the last entry, and the entry of
/// the oldest (the next one if there is none). Each entry leaves one, and the oldest are forgotten
/// first, so nothing is counted. `from`: what an earlier call gave as the oldest, or 0; what is
/// before it is not looked at, since a place of a row that was deleted takes as long as a row.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn known_keys(
    rows: &dyn Rows,
    head: JournalSeq,
    from: JournalSeq,
) -> Result<(u64, JournalSeq), StoreError> {
    let oldest = oldest(rows, from)?.map_or(head.next(), |(seq, _)| seq);
    Ok((head.next().0.saturating_sub(oldest.0), oldest))
}

/// The command of the oldest key from entry `from` on, and when it was admitted.
fn oldest(
    rows: &dyn Rows,
    from: JournalSeq,
) -> Result<Option<(JournalSeq, UnixMillis)>, StoreError> {
    let range = KeyRange {
        start: Encoder::new().u64(from.0).finish(),
        end: None,
    };
    let mut oldest = None;
    rows.scan(
        Table::IdempotencyAge,
        &range,
        Direction::Forward,
        &mut |key, row| {
            let mut fields = Decoder::new(row);
            let (Some(seq), Some(_), Some(admitted_at)) =
                (Decoder::new(key).u64(), fields.fixed::<32>(), fields.i64())
            else {
                return Err(StoreError::corrupt(Table::IdempotencyAge, key, "not a key"));
            };
            oldest = Some((JournalSeq(seq), UnixMillis(admitted_at)));
            Ok(ControlFlow::Break(()))
        },
    )?;
    Ok(oldest)
}
