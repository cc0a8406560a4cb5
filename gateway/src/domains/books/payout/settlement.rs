//! What a bank's report does to a batch: a command of the ledger, which posts what was paid and gives back
//! what was rejected.
//!
//! The ids of its transfers follow from the batch, so a report that comes twice settles nothing twice. One
//! that failed, or that somebody took, is passed over.

use khlong_store::rows::Rows;

use super::PayoutError;
use super::batch::{PayoutFormat, first_16};
use super::export::{ExportRecord, exported};
use super::pain002::{PaymentStatus, StatusReport};
use crate::domains::ledger::{self, Transfer, TransferFlags, TransferState};

/// What a report comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settlement {
    /// For `LedgerCommand::CreateTransfers`: posts and voids of holds that wait, in the batch's order.
    pub transfers: Vec<Transfer>,
    /// Paid.
    pub posted: Vec<u128>,
    /// Rejected.
    pub voided: Vec<u128>,
    /// The bank has not decided.
    pub waiting: Vec<u128>,
    /// Refused as a duplicate, or as a whole without a reason that is known: another file of the batch may
    /// be paid. They wait, for a person to look at.
    pub doubtful: Vec<u128>,
    /// Settled before, and the bank says the same.
    pub settled: Vec<u128>,
    /// Settled before, and the bank says the opposite or another amount was posted; or it cannot be settled
    /// at all: for a person to look at.
    pub contradicted: Vec<u128>,
    /// What the report names and the batch does not hold: for a person to look at.
    pub foreign: Vec<String>,
}

/// Ids that are tried for a post or void of one hold.
pub const SETTLING_IDS_MAX: u32 = 256;

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
    Free(u128),
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
) -> Result<Tried, PayoutError> {
    for n in 0..SETTLING_IDS_MAX {
        let id = settling_id(record, hold, is_paid, n);
        if ledger::id_state(rows, id)?.is_none() {
            return Ok(Tried::Free(id));
        }
        match ledger::transfer(rows, id)? {
            Some((done, _, _)) if done.pending_id == hold => return Ok(Tried::Done(done)),
            // It failed, or is somebody's.
            Some(_) | None => {}
        }
    }
    Ok(Tried::Spent)
}

/// What `report` does to its batch.
///
/// # Errors
/// [`PayoutError::UnknownBatch`], [`PayoutError::OtherMessage`], or from the disk.
pub fn settle(rows: &dyn Rows, report: &StatusReport) -> Result<Settlement, PayoutError> {
    let batch = report.batch;
    let record = exported(rows, batch)?
        .ok_or(PayoutError::UnknownBatch { batch })?
        .record;
    if record.format == PayoutFormat::Pain001
        && let Some(found) = report.other_message()
    {
        return Err(PayoutError::OtherMessage { batch, found });
    }
    let mut told = Settlement::default();
    for hold in &record.transfers {
        add(rows, &record, *hold, report.status_of(*hold), &mut told)?;
    }
    told.foreign = report.foreign(&record.transfers);
    Ok(told)
}

/// What becomes of one hold.
fn add(
    rows: &dyn Rows,
    record: &ExportRecord,
    hold: u128,
    status: PaymentStatus,
    told: &mut Settlement,
) -> Result<(), PayoutError> {
    let Some((held, _, state)) = ledger::transfer(rows, hold)? else {
        told.contradicted.push(hold);
        return Ok(());
    };
    let list = match (state, status) {
        (_, PaymentStatus::Waiting) => &mut told.waiting,
        (TransferState::Pending, PaymentStatus::Doubtful) => &mut told.doubtful,
        (TransferState::Pending, PaymentStatus::Paid | PaymentStatus::Rejected) => {
            let is_paid = status == PaymentStatus::Paid;
            match tried(rows, record, hold, is_paid)? {
                Tried::Free(id) => {
                    told.transfers.push(settling(id, hold, is_paid));
                    if is_paid {
                        &mut told.posted
                    } else {
                        &mut told.voided
                    }
                }
                Tried::Done(_) | Tried::Spent => &mut told.contradicted,
            }
        }
        // What was paid by one file is refused as a duplicate in another.
        (TransferState::Posted, PaymentStatus::Paid | PaymentStatus::Doubtful) => {
            match tried(rows, record, hold, true)? {
                Tried::Done(post) if post.amount == held.amount => &mut told.settled,
                // Somebody else posted it, or a part of it.
                Tried::Done(_) | Tried::Free(_) | Tried::Spent => &mut told.contradicted,
            }
        }
        (TransferState::Voided | TransferState::Expired, PaymentStatus::Rejected) => {
            &mut told.settled
        }
        (
            TransferState::Posted
            | TransferState::Voided
            | TransferState::Expired
            | TransferState::Final,
            _,
        ) => &mut told.contradicted,
    };
    list.push(hold);
    Ok(())
}

/// All of the hold, or none of it.
fn settling(id: u128, hold: u128, is_paid: bool) -> Transfer {
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
