//! What a bank's report does to a batch: a command of the ledger, which posts what was paid and gives back
//! what was rejected.
//!
//! The ids of its transfers follow from the batch, so a report that comes twice settles nothing twice. One
//! that failed, or that somebody took, is passed over.

use khlong_store::rows::Rows;

use super::PayoutError;
use super::answer::AnswerRecord;
use super::batch::PayoutFormat;
use super::export::{ExportRecord, exported};
use super::fate::{Fate, fate};
use super::pain002::StatusReport;
use crate::domains::ledger::{Failures, Transfer, TransferResult};
use crate::kernel::Logic;

/// What a report comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settlement {
    /// For `LedgerCommand::CreateTransfers`: posts and voids of holds that wait, in the batch's order.
    pub transfers: Vec<Transfer>,
    /// Paid.
    pub posted: Vec<u128>,
    /// Rejected.
    pub voided: Vec<u128>,
    /// Of these two what the ledger did not settle, and why: see [`Self::note`].
    pub failed: Vec<(u128, TransferResult)>,
    /// The bank has not decided.
    pub waiting: Vec<u128>,
    /// Refused as a duplicate, or as a whole without a reason that is known: another file of the batch may
    /// be paid. They wait, for a person to look at.
    pub doubtful: Vec<u128>,
    /// Settled before, and the bank says the same.
    pub settled: Vec<u128>,
    /// Settled before, or decided so, and the bank says the opposite or another amount was posted; or it cannot be
    /// settled at all: for a person to look at.
    pub contradicted: Vec<u128>,
    /// What the report names and the batch does not hold: for a person to look at.
    pub foreign: Vec<String>,
}

/// What `report` does to its batch, as the ledger stands.
///
/// # Errors
/// [`PayoutError::UnknownBatch`], [`PayoutError::OtherMessage`], or from the disk.
pub fn settle(rows: &dyn Rows, report: &StatusReport) -> Result<Settlement, PayoutError> {
    let (record, answer) = answered(rows, report)?;
    let mut fates = Vec::new();
    for (hold, status) in record.transfers.iter().zip(&answer.statuses) {
        fates.push(fate(rows, Logic::CURRENT, &record, *hold, *status)?);
    }
    Ok(Settlement::of(&record, &fates, report))
}

/// The batch that a report answers, and the answer as a command records it.
///
/// # Errors
/// As [`settle`].
pub fn answered(
    rows: &dyn Rows,
    report: &StatusReport,
) -> Result<(ExportRecord, AnswerRecord), PayoutError> {
    let batch = report.batch;
    let record = exported(rows, batch)?
        .ok_or(PayoutError::UnknownBatch { batch })?
        .record;
    if record.format == PayoutFormat::Pain001
        && let Some(found) = report.other_message()
    {
        return Err(PayoutError::OtherMessage { batch, found });
    }
    let statuses = record.transfers.iter().map(|hold| report.status_of(*hold));
    let answer = AnswerRecord {
        batch,
        report_digest: report.digest,
        statuses: statuses.collect(),
    };
    Ok((record, answer))
}

impl Settlement {
    /// What these fates of its holds, in order, do to the batch.
    #[must_use]
    pub fn of(record: &ExportRecord, fates: &[Fate], report: &StatusReport) -> Self {
        let mut told = Self {
            foreign: report.foreign(&record.transfers),
            ..Self::default()
        };
        for (hold, fate) in record.transfers.iter().zip(fates) {
            told.transfers.extend(fate.transfer(record, *hold));
            let list = match fate {
                Fate::Posts(_) => &mut told.posted,
                Fate::Voids(_) => &mut told.voided,
                Fate::Waits => &mut told.waiting,
                Fate::Doubtful => &mut told.doubtful,
                Fate::Settled => &mut told.settled,
                Fate::Contradicts => &mut told.contradicted,
            };
            list.push(*hold);
        }
        told
    }

    /// Takes in what the ledger answered to [`Self::transfers`]; `None` if it is no answer to them.
    #[must_use]
    pub fn note(mut self, failures: &Failures) -> Option<Self> {
        for (index, code) in &failures.0 {
            let transfer = self.transfers.get(usize::from(*index))?;
            let result = TransferResult::from_code(*code)?;
            // Of another request with this report, after a crash.
            if result != TransferResult::Exists {
                self.failed.push((transfer.pending_id, result));
            }
        }
        let failed = &self.failed;
        let is_done = |hold: &u128| failed.iter().all(|(failed, _)| failed != hold);
        self.posted.retain(is_done);
        self.voided.retain(is_done);
        Some(self)
    }
}
