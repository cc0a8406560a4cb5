//! `/v1/books/payouts/{id}/answers`.
//!
//! Two commands: the books note what the bank says and decide, as the ledger stands, what is to
//! become of each hold; the ledger is asked for just that. The second has its key from the first,
//! so a retry, also after a crash between the two, carries out what was decided and nothing else.

use std::convert::Infallible;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::batches;
use super::fields::batch_text;
use super::{decoded, impossible, not_paid_out};
use crate::domains::books::payout::{
    FatesAnswer, PAIN002_BYTES_MAX, PAYOUTS_MAX, Settlement, StatusReport, answered,
};
use crate::domains::books::{BOOKS_DOMAIN, BooksCommand};
use crate::domains::ledger::{Failures, LEDGER_DOMAIN, LedgerCommand};
use crate::http::keys::Role;
use crate::http::ledger::answer;
use crate::http::ledger::number::{Decimal, Decimal128, Id, bounded};
use crate::http::limits::BODY_BYTES_MAX;
use crate::http::problem::{Problem, ProblemBody, ProblemKind};
use crate::http::service::{Service, Shared, Write};

const SCOPE: &str = "POST /v1/books/payouts/{id}/answers";

/// Its key is the number of the entry that decided.
const SETTLE_SCOPE: &str = "POST /v1/books/payouts/{id}/answers settle";

const _: () = assert!(BODY_BYTES_MAX <= PAIN002_BYTES_MAX);

/// What a bank says of a batch: either `report`, or at least one of `paid` and `returned`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NewAnswer {
    /// The bank's report, a pain.002.001 of ISO 20022; if it is there, nothing else is.
    #[serde(default)]
    report: Option<String>,
    /// Without a report: holds whose payments the bank made, as a person knows. In decimal, as all ids here; a payment
    /// file has them as 32 hexadecimal digits.
    #[serde(default, deserialize_with = "bounded::<_, _, 0, PAYOUTS_MAX>")]
    #[schema(value_type = Vec<String>)]
    paid: Vec<Id>,
    /// Without a report: holds whose payments the bank did not make and will not make, as a person knows.
    #[serde(default, deserialize_with = "bounded::<_, _, 0, PAYOUTS_MAX>")]
    #[schema(value_type = Vec<String>)]
    returned: Vec<Id>,
}

impl NewAnswer {
    fn read(&self, batch: u128) -> Result<StatusReport, Problem> {
        let said = !self.paid.is_empty() || !self.returned.is_empty();
        match &self.report {
            Some(report) if !said => StatusReport::parse(report.as_bytes())
                .map_err(|error| Problem::new(ProblemKind::ReportRefused, error.to_string())),
            None if said => {
                let ids = |holds: &[Id]| holds.iter().map(|it| it.0).collect::<Vec<_>>();
                StatusReport::of_person(batch, &ids(&self.paid), &ids(&self.returned))
                    .map_err(|error| not_paid_out(&error))
            }
            Some(_) | None => Err(Problem::malformed(
                "an answer has a report, or payments that were paid or returned",
            )),
        }
    }
}

/// What came of a report. Each hold of the batch is in one list.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AnswerAnswer {
    /// The journal's entry that noted the report.
    entry: u64,
    /// The entry that settled what it settles; null if that is nothing.
    settled_by: Option<u64>,
    /// The batch.
    batch: String,
    /// Paid: posted.
    #[schema(value_type = Vec<String>)]
    posted: Vec<Decimal128>,
    /// Rejected: the money came back.
    #[schema(value_type = Vec<String>)]
    voided: Vec<Decimal128>,
    /// The ledger did not settle them, and why. Open an account that is closed first, since each try spends one of 256
    /// ids; then send the same again under a fresh key.
    failed: Vec<FailedHold>,
    /// The bank has not decided.
    #[schema(value_type = Vec<String>)]
    waiting: Vec<Decimal128>,
    /// Rejected, perhaps as a duplicate, and not given back: for a person to look at.
    #[schema(value_type = Vec<String>)]
    doubtful: Vec<Decimal128>,
    /// Settled before, as the bank says.
    #[schema(value_type = Vec<String>)]
    settled: Vec<Decimal128>,
    /// The bank says something else than the ledger, or than it said before: for a person to look at.
    #[schema(value_type = Vec<String>)]
    contradicted: Vec<Decimal128>,
    /// Names of the report that are none of the batch, as in a payment file, where a hold is 32 hexadecimal digits: for a
    /// person to look at.
    foreign: Vec<String>,
}

/// A hold that was not settled.
#[derive(Debug, Serialize, ToSchema)]
struct FailedHold {
    #[schema(value_type = String)]
    transfer_id: Decimal128,
    #[schema(value_type = String, example = "pending_transfer_already_posted")]
    result: &'static str,
}

/// What a bank, or a person who asked it, says of a batch: posts what was paid, and gives back what was rejected.
#[utoipa::path(post, path = "/v1/books/payouts/{id}/answers", tag = "books", operation_id = "answer_payouts",
    request_body = NewAnswer,
    params(("id" = String, Path, description = "The batch, as 32 hexadecimal digits"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters, in quotes")),
    responses((status = 200, description = "What came of each hold", body = AnswerAnswer),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("operator"))))]
pub(in crate::http) async fn create(
    service: Shared,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let write = service
        .admit_write::<NewAnswer>(request, Role::Operator)
        .await?;
    let batch = batches::batch(path)?;
    let report = write.body.read(batch)?;
    if report.batch != batch {
        return Err(Problem::new(
            ProblemKind::ReportRefused,
            format!("the report answers batch {}", batch_text(report.batch)),
        ));
    }
    let asked = report.clone();
    let (record, said) = service
        .read(move |committed| Ok::<_, Infallible>(answered(committed.store, &asked)))
        .await?
        .map_err(|error| not_paid_out(&error))?;
    let noted = BooksCommand::AnswerPayouts(said).encode();
    let decided = service
        .write(write.command(SCOPE, BOOKS_DOMAIN, noted))
        .await?;
    let fates = match decoded(&decided, FatesAnswer::decode)? {
        FatesAnswer::Fates(fates) => fates,
        FatesAnswer::UnknownBatch | FatesAnswer::Differs => return Err(impossible(&decided)),
    };
    let told = Settlement::of(&record, &fates, &report);
    let entry = decided.seq.0;
    let (settled_by, told) = settle(&service, &write, entry, told).await?;
    Ok(answer(&body(batch, entry, settled_by, told)))
}

/// Asks the ledger. Returns the entry too.
async fn settle(
    service: &Service,
    write: &Write<NewAnswer>,
    entry: u64,
    told: Settlement,
) -> Result<(Option<u64>, Settlement), Problem> {
    if told.transfers.is_empty() {
        return Ok((None, told));
    }
    let body = LedgerCommand::CreateTransfers(told.transfers.clone()).encode();
    let mut command = write.command(SETTLE_SCOPE, LEDGER_DOMAIN, body);
    command.key = entry.to_string().into_bytes();
    let decided = service.write(command).await?;
    let failures = decoded(&decided, Failures::decode)?;
    let told = told.note(&failures);
    let told = told.ok_or_else(|| super::unknown(&decided))?;
    Ok((Some(decided.seq.0), told))
}

fn body(batch: u128, entry: u64, settled_by: Option<u64>, told: Settlement) -> AnswerAnswer {
    let all = |holds: Vec<u128>| holds.into_iter().map(Decimal).collect::<Vec<_>>();
    AnswerAnswer {
        entry,
        settled_by,
        batch: batch_text(batch),
        posted: all(told.posted),
        voided: all(told.voided),
        failed: told
            .failed
            .iter()
            .map(|(hold, result)| FailedHold {
                transfer_id: Decimal(*hold),
                result: result.name(),
            })
            .collect(),
        waiting: all(told.waiting),
        doubtful: all(told.doubtful),
        settled: all(told.settled),
        contradicted: all(told.contradicted),
        foreign: told.foreign,
    }
}
