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
use super::outcome::Rejection;

/// The kernel's number among the domains.
pub const KERNEL_DOMAIN: u8 = 0;

/// What the kernel writes for its own commands.
pub(super) const KERNEL_TABLES: [Table; 3] = [
    Table::Idempotency,
    Table::IdempotencyAge,
    Table::GatewayOutbox,
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
}

const VERSION: u8 = 1;
const EVICT: u8 = 1;
const SETTLE: u8 = 2;

impl Housekeeping {
    /// As the body of a command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body = Encoder::new().u8(VERSION);
        match self {
            Self::Evict { before } => body.u8(EVICT).i64(before.0).finish(),
            Self::Settle { seq, n } => body.u8(SETTLE).u64(seq.0).u32(*n).finish(),
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
            _ => return None,
        };
        fields.end()?;
        Some(command)
    }
}

pub(super) fn apply(context: &mut Context<'_, '_>, body: &[u8]) -> Result<Vec<u8>, ApplyError> {
    match Housekeeping::decode(body) {
        Some(Housekeeping::Evict { before }) => evict(context, before),
        Some(Housekeeping::Settle { seq, n }) => {
            let key = Encoder::new().u64(seq.0).u32(n).finish();
            let waited = context.rows().get(Table::GatewayOutbox, &key)?.is_some();
            if waited {
                context.delete(Table::GatewayOutbox, key)?;
            }
            Ok(vec![u8::from(waited)])
        }
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
    let mut oldest = None;
    rows.scan(
        Table::IdempotencyAge,
        &KeyRange::all(),
        Direction::Forward,
        &mut |key, row| {
            let mut fields = Decoder::new(row);
            let (Some(_), Some(admitted_at)) = (fields.fixed::<32>(), fields.i64()) else {
                return Err(StoreError::corrupt(Table::IdempotencyAge, key, "not a key"));
            };
            oldest = Some(UnixMillis(admitted_at));
            Ok(ControlFlow::Break(()))
        },
    )?;
    Ok(oldest)
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

/// Side effects that wait, the oldest first, at most `max`.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn waiting_outbox(rows: &dyn Rows, max: usize) -> Result<Vec<SideEffect>, StoreError> {
    let mut found = Vec::new();
    rows.scan(
        Table::GatewayOutbox,
        &KeyRange::all(),
        Direction::Forward,
        &mut |key, row| {
            if found.len() >= max {
                return Ok(ControlFlow::Break(()));
            }
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
            found.push(SideEffect {
                seq: JournalSeq(seq),
                n,
                domain: *domain,
                message: message.to_vec(),
            });
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}
