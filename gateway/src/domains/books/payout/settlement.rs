//! What a bank's report does to a batch: a command of the ledger, which posts what was paid and gives back
//! what was rejected.
//!
//! The ids of its transfers follow from the holds, so a report that comes twice settles nothing twice.

use khlong_store::rows::Rows;

use super::PayoutError;
use super::batch::first_16;
use super::export::exported;
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
    /// Settled before, and the bank says the same.
    pub settled: Vec<u128>,
    /// Settled before, and the bank says the opposite: for a person to look at.
    pub contradicted: Vec<u128>,
    /// What the report names and the batch does not hold: for a person to look at.
    pub foreign: Vec<String>,
}

/// The id of the transfer that posts or voids the hold of a payout.
#[must_use]
pub fn settling_id(hold: u128, is_paid: bool) -> u128 {
    let mut hasher =
        blake3::Hasher::new_derive_key("khlong.network 2026-11 gateway payout settlement v1");
    hasher
        .update(&hold.to_be_bytes())
        .update(&[u8::from(is_paid)]);
    first_16(hasher.finalize().as_bytes())
}

/// What `report` does to its batch.
///
/// # Errors
/// [`PayoutError::UnknownBatch`], or from the disk.
pub fn settle(rows: &dyn Rows, report: &StatusReport) -> Result<Settlement, PayoutError> {
    let batch = report.batch;
    let record = exported(rows, batch)?
        .ok_or(PayoutError::UnknownBatch { batch })?
        .record;
    let mut told = Settlement::default();
    for hold in &record.transfers {
        let state = match ledger::transfer(rows, *hold)? {
            Some((_, _, state)) => state,
            None => continue,
        };
        let is_paid = match report.status_of(*hold) {
            PaymentStatus::Paid => true,
            PaymentStatus::Rejected => false,
            PaymentStatus::Waiting => {
                told.waiting.push(*hold);
                continue;
            }
        };
        match (state, is_paid) {
            (TransferState::Pending, _) => {
                told.transfers.push(settling(*hold, is_paid));
                let list = if is_paid {
                    &mut told.posted
                } else {
                    &mut told.voided
                };
                list.push(*hold);
            }
            (TransferState::Posted, true)
            | (TransferState::Voided | TransferState::Expired, false) => told.settled.push(*hold),
            (
                TransferState::Posted
                | TransferState::Voided
                | TransferState::Expired
                | TransferState::Final,
                _,
            ) => told.contradicted.push(*hold),
        }
    }
    told.foreign = report.foreign(&record.transfers);
    Ok(told)
}

/// All of the hold, or none of it.
fn settling(hold: u128, is_paid: bool) -> Transfer {
    let (flags, amount) = if is_paid {
        (TransferFlags::POST_PENDING_TRANSFER, u128::MAX)
    } else {
        (TransferFlags::VOID_PENDING_TRANSFER, 0)
    };
    Transfer {
        id: settling_id(hold, is_paid),
        pending_id: hold,
        amount,
        flags,
        ..Transfer::default()
    }
}
