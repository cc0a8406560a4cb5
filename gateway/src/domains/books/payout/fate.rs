//! What a bank's word does to one hold of a batch, decided from the ledger as it stands, and from what the books
//! decided before.

use khlong_store::error::StoreError;
use khlong_store::rows::Rows;

use super::batch::{closes, first_16};
use super::export::ExportRecord;
use super::item::item;
use super::pain002::PaymentStatus;
use crate::domains::ledger::{self, Transfer, TransferFlags, TransferState};
use crate::kernel::Logic;

/// Ids that are tried for a post or void of one hold: their numbers are a byte.
pub const SETTLING_IDS_MAX: u32 = 256;

const _: () = assert!(SETTLING_IDS_MAX == u8::MAX as u32 + 1);

/// What becomes of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was paid: a post with the settling id of this try.
    Posts(u8),
    /// It was rejected: a void with the settling id of this try.
    Voids(u8),
    /// The bank has not decided.
    Waits,
    /// Rejected, perhaps because it is paid by another file: for a person to look at.
    Doubtful,
    /// Settled before, as the bank says.
    Settled,
    /// The bank says something else than the ledger, or than it said before: for a person to look at.
    Contradicts,
}

impl Fate {
    /// `fate 1 ‖ try 1`.
    pub(super) const fn bytes(self) -> [u8; 2] {
        match self {
            Self::Posts(n) => [1, n],
            Self::Voids(n) => [2, n],
            Self::Waits => [3, 0],
            Self::Doubtful => [4, 0],
            Self::Settled => [5, 0],
            Self::Contradicts => [6, 0],
        }
    }

    pub(super) const fn from_bytes(bytes: [u8; 2]) -> Option<Self> {
        match bytes {
            [1, n] => Some(Self::Posts(n)),
            [2, n] => Some(Self::Voids(n)),
            [3, 0] => Some(Self::Waits),
            [4, 0] => Some(Self::Doubtful),
            [5, 0] => Some(Self::Settled),
            [6, 0] => Some(Self::Contradicts),
            _ => None,
        }
    }

    /// The transfer that settles the hold, if it is settled now: all of it, or none.
    #[must_use]
    pub fn transfer(self, record: &ExportRecord, hold: u128) -> Option<Transfer> {
        let (is_paid, n) = match self {
            Self::Posts(n) => (true, n),
            Self::Voids(n) => (false, n),
            Self::Waits | Self::Doubtful | Self::Settled | Self::Contradicts => return None,
        };
        let id = settling_id(record, hold, is_paid, u32::from(n));
        Some(settling(hold, is_paid, id))
    }
}

/// The post or void of all that is held.
pub(super) fn settling(hold: u128, is_paid: bool, id: u128) -> Transfer {
    let (flags, amount) = if is_paid {
        (TransferFlags::POST_PENDING_TRANSFER, u128::MAX)
    } else {
        (TransferFlags::VOID_PENDING_TRANSFER, 0)
    };
    Transfer {
        id,
        pending_id: hold,
        amount,
        flags,
        ..Transfer::default()
    }
}

/// The id of try `n` to post or void the hold of a payout. From the second on it depends on the file,
/// which callers of the ledger do not have, so that they cannot take all of them.
#[must_use]
pub fn settling_id(record: &ExportRecord, hold: u128, is_paid: bool, n: u32) -> u128 {
    let mut hasher =
        blake3::Hasher::new_derive_key("khlong.network 2026-11 gateway payout settlement v1");
    hasher
        .update(&hold.to_be_bytes())
        .update(&[u8::from(is_paid)]);
    if n > 0 {
        hasher.update(&n.to_be_bytes()).update(&record.file_digest);
    }
    first_16(hasher.finalize().as_bytes())
}

/// What became of the ids for a post or void.
enum Tried {
    /// The first that stands for nothing.
    Free(u8),
    /// It settled the hold.
    Done(Transfer),
    /// All of them stand for something else.
    Spent,
}

fn tried(
    rows: &dyn Rows,
    record: &ExportRecord,
    hold: u128,
    is_paid: bool,
) -> Result<Tried, StoreError> {
    for n in 0..=u8::MAX {
        let id = settling_id(record, hold, is_paid, u32::from(n));
        if ledger::id_state(rows, id)?.is_none() {
            return Ok(Tried::Free(n));
        }
        match ledger::transfer(rows, id)? {
            Some((done, _, _)) if done.pending_id == hold => return Ok(Tried::Done(done)),
            // It failed, or is somebody's.
            Some(_) | None => {}
        }
    }
    Ok(Tried::Spent)
}

/// What becomes of a hold of the batch. What the books decided is final: until the ledger has carried it out, every
/// word is told what it would be told afterwards, and one that agrees carries it out. So nothing that comes between
/// (a crash, another operator) changes the end.
///
/// A hold that closes an account cannot be posted while it is closed, so from [`Logic::V4`] on that is not decided
/// either: nothing could open the account again.
pub(super) fn fate(
    rows: &dyn Rows,
    logic: Logic,
    record: &ExportRecord,
    hold: u128,
    status: PaymentStatus,
) -> Result<Fate, StoreError> {
    let Some((held, _, state)) = ledger::transfer(rows, hold)? else {
        return Ok(Fate::Contradicts);
    };
    let decided = item(rows, hold)?.and_then(|item| item.decided);
    let decided = decided.map(|(is_paid, _)| is_paid);
    Ok(match (state, status) {
        (_, PaymentStatus::Waiting) => Fate::Waits,
        (TransferState::Pending, PaymentStatus::Paid)
            if decided.is_none() && logic >= Logic::V4 && closes(&held) =>
        {
            Fate::Contradicts
        }
        (TransferState::Pending, PaymentStatus::Paid) => match decided {
            None | Some(true) => next(rows, record, hold, true)?,
            Some(false) => Fate::Contradicts,
        },
        (TransferState::Pending, PaymentStatus::Rejected) => match decided {
            None | Some(false) => next(rows, record, hold, false)?,
            Some(true) => Fate::Contradicts,
        },
        (TransferState::Pending, PaymentStatus::Doubtful) => match decided {
            None => Fate::Doubtful,
            // What was paid by one file is refused as a duplicate in another.
            Some(true) => next(rows, record, hold, true)?,
            Some(false) => Fate::Contradicts,
        },
        (TransferState::Posted, PaymentStatus::Paid | PaymentStatus::Doubtful) => {
            match tried(rows, record, hold, true)? {
                Tried::Done(post) if post.amount == held.amount => Fate::Settled,
                // Somebody else posted it, or a part of it.
                Tried::Done(_) | Tried::Free(_) | Tried::Spent => Fate::Contradicts,
            }
        }
        (TransferState::Voided | TransferState::Expired, PaymentStatus::Rejected) => Fate::Settled,
        (
            TransferState::Posted
            | TransferState::Voided
            | TransferState::Expired
            | TransferState::Final,
            _,
        ) => Fate::Contradicts,
    })
}

/// The post or void of a hold that waits, under the first id that is free.
fn next(
    rows: &dyn Rows,
    record: &ExportRecord,
    hold: u128,
    is_paid: bool,
) -> Result<Fate, StoreError> {
    Ok(match tried(rows, record, hold, is_paid)? {
        Tried::Free(n) if is_paid => Fate::Posts(n),
        Tried::Free(n) => Fate::Voids(n),
        Tried::Done(_) | Tried::Spent => Fate::Contradicts,
    })
}
