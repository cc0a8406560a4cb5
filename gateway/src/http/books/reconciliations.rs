//! `/v1/books/reconciliations`.

use std::convert::Infallible;

use axum::extract::Request;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::fields::DayText;
use super::report::ReconciliationAnswer;
use super::{decoded, impossible, not_compared};
use crate::domains::books::reconciliation::{
    BankFile, OUR_ENTRIES_MAX, OurEntry, Reconciliation, ReconciliationError, RecordAnswer,
    closed_for, our_page,
};
use crate::domains::books::{BOOKS_DOMAIN, BooksCommand, Close, Day};
use crate::http::keys::Role;
use crate::http::ledger::answer;
use crate::http::ledger::number::Id;
use crate::http::limits::LINES_MAX;
use crate::http::problem::{Problem, ProblemBody, ProblemKind};
use crate::http::service::{Service, Shared, busy};

const SCOPE: &str = "POST /v1/books/reconciliations";

/// A bank's file to compare with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NewReconciliation {
    /// The account that stands for the one at the bank.
    #[schema(value_type = String)]
    account_id: Id,
    /// The first day.
    #[schema(value_type = String, example = "2026-11-27")]
    from: DayText,
    /// The last day, included; it must be closed.
    #[schema(value_type = String, example = "2026-11-27")]
    to: DayText,
    /// The file, as CSV with the columns date, time, amount, reference and direction.
    file: String,
}

/// Compares an account with a bank's file over days that are closed, and records the digests.
/// Nothing is moved.
#[utoipa::path(post, path = "/v1/books/reconciliations", tag = "books", operation_id = "create_reconciliation",
    request_body = NewReconciliation,
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters, in quotes")),
    responses((status = 200, description = "The report", body = ReconciliationAnswer),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("operator"))))]
pub(in crate::http) async fn create(
    service: Shared,
    request: Request,
) -> Result<Response, Problem> {
    let write = service
        .admit_write::<NewReconciliation>(request, Role::Operator)
        .await?;
    let (account, from, to) = (write.body.account_id.0, write.body.from.0, write.body.to.0);
    let _place = service
        .comparisons
        .try_acquire()
        .map_err(|_| busy("other comparisons are being made"))?;
    let file = BankFile::parse(write.body.file.as_bytes())
        .map_err(|refused| Problem::new(ProblemKind::ReconciliationRefused, refused.to_string()))?;
    let close = closed(&service, from, to, file.clone()).await?;
    let ours = entries(&service, account, from, to).await?;
    let comparing =
        tokio::task::spawn_blocking(move || Reconciliation::of(account, from, close, &file, ours));
    let told = comparing
        .await
        .map_err(|_| Problem::new(ProblemKind::Fault, "the comparison failed; report it"))?;
    let record = BooksCommand::RecordReconciliation(told.record());
    let command = write.command(SCOPE, BOOKS_DOMAIN, record.encode());
    drop(write);
    let decided = service.write(command).await?;
    match decoded(&decided, RecordAnswer::decode)? {
        RecordAnswer::Recorded(seq, at) => {
            let body = ReconciliationAnswer::new(&told, &decided, seq, at);
            Ok(answer(&body))
        }
        RecordAnswer::OtherClose | RecordAnswer::UnknownAccount | RecordAnswer::Differs => {
            Err(impossible(&decided))
        }
    }
}

async fn closed(service: &Service, from: Day, to: Day, file: BankFile) -> Result<Close, Problem> {
    service
        .read(move |committed| Ok::<_, Infallible>(closed_for(committed.store, from, to, &file)))
        .await?
        .map_err(|error| not_compared(&error))
}

/// The days are closed, so that no page changes while the next is read; others are served between
/// two of them.
async fn entries(
    service: &Service,
    account: u128,
    from: Day,
    to: Day,
) -> Result<Vec<OurEntry>, Problem> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = service
            .read(move |committed| {
                let days = (from, to);
                Ok::<_, Infallible>(our_page(committed.store, account, days, after, LINES_MAX))
            })
            .await?
            .map_err(|error| not_compared(&error))?;
        found.extend(page.entries);
        if found.len() > OUR_ENTRIES_MAX {
            return Err(not_compared(&ReconciliationError::TooMany));
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}
