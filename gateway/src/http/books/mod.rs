//! `/v1/books`: closes, statements, comparisons with the bank and payouts as JSON.
//!
//! What a report says of days that are closed never changes, so it is made beside the driver, from
//! pages that are read one after another; what is recorded of it is a command like any other.

pub(super) mod answers;
pub(super) mod batches;
pub(super) mod closes;
pub(super) mod comparisons;
mod fields;
pub(super) mod payouts;
pub(super) mod reconciliations;
mod report;
pub(super) mod statements;

use khlong_store::error::StoreError;

use super::ledger::rejected;
use super::problem::{Problem, ProblemKind};
use super::service::unreadable;
use crate::domains::books::StatementError;
use crate::domains::books::payout::PayoutError;
use crate::domains::books::reconciliation::ReconciliationError;
use crate::kernel::{Decided, Outcome};

/// What the books answered to a command.
fn decoded<T>(decided: &Decided, decode: fn(&[u8]) -> Option<T>) -> Result<T, Problem> {
    match decided.outcome() {
        Some(Outcome::Rejected(rejection)) => Err(rejected(rejection)),
        Some(Outcome::Done(payload)) => decode(&payload).ok_or_else(|| unknown(decided)),
        None => Err(unknown(decided)),
    }
}

fn unknown(decided: &Decided) -> Problem {
    Problem::new(
        ProblemKind::Fault,
        format!(
            "entry {} holds an answer that this version cannot read; use a newer gateway",
            decided.seq.0
        ),
    )
}

/// An answer that the same request cannot have: what it was made from never changes.
fn impossible(decided: &Decided) -> Problem {
    Problem::new(
        ProblemKind::Fault,
        format!(
            "entry {} refuses what was read before it; report it",
            decided.seq.0
        ),
    )
}

fn not_stated(error: &StatementError) -> Problem {
    match error {
        StatementError::Store(error) => unreadable(error),
        StatementError::UnknownAccount { .. } => {
            Problem::new(ProblemKind::NotFound, "there is no account with this id")
        }
        StatementError::Period { .. } | StatementError::Era { .. } => {
            Problem::malformed(error.to_string())
        }
        StatementError::Differs { .. } => unreadable(error),
    }
}

fn not_compared(error: &ReconciliationError) -> Problem {
    match error {
        ReconciliationError::Store(error) => unreadable(error),
        ReconciliationError::Statement(error) => not_stated(error),
        ReconciliationError::NotClosed { .. } => {
            Problem::new(ProblemKind::DayNotClosed, error.to_string())
        }
        ReconciliationError::NotBaht
        | ReconciliationError::OutsidePeriod { .. }
        | ReconciliationError::TooMany => {
            Problem::new(ProblemKind::ReconciliationRefused, error.to_string())
        }
    }
}

fn not_paid_out(error: &PayoutError) -> Problem {
    match error {
        PayoutError::Store(error) => unreadable::<StoreError>(error),
        PayoutError::Write(_) => unreadable(error),
        PayoutError::UnknownBatch { .. } => Problem::new(ProblemKind::NotFound, error.to_string()),
        PayoutError::OtherMessage { .. } => {
            Problem::new(ProblemKind::ReportRefused, error.to_string())
        }
        // Ids are in decimal here, as elsewhere over HTTP.
        PayoutError::Twice { transfer } => Problem::new(
            ProblemKind::PayoutRefused,
            format!("transfer {transfer} is in the list twice"),
        ),
        PayoutError::Unfit { transfer, why } => Problem::new(
            ProblemKind::PayoutRefused,
            format!("transfer {transfer} cannot be paid out: {why}"),
        ),
        PayoutError::Text { .. }
        | PayoutError::Execution { .. }
        | PayoutError::Count { .. }
        | PayoutError::Named { .. }
        | PayoutError::OtherFile { .. } => {
            Problem::new(ProblemKind::PayoutRefused, error.to_string())
        }
    }
}
