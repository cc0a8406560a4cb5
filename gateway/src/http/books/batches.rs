//! `GET /v1/books/payouts`: the batches that were recorded. Their files are not told: those leave once.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery};
use axum::http::HeaderMap;
use axum::response::Response;
use khlong_store::error::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{DayText, batch_text, hex, parse_batch};
use super::payouts::FormatName;
use crate::domains::books::payout::{ExportRecord, Exported, PayoutHold, exported, exports, holds};
use crate::http::keys::Scheme;
use crate::http::ledger::number::{Decimal, Decimal128, parse};
use crate::http::ledger::transfers::StateAnswer;
use crate::http::ledger::{answer, moment};
use crate::http::limits::{BATCHES_MAX, HOLDS_DEFAULT, HOLDS_MAX};
use crate::http::listing::Listing;
use crate::http::problem::{Problem, ProblemBody, ProblemKind};
use crate::http::query::{Query, cut};
use crate::http::service::Shared;

/// Some batches.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PayoutsPage {
    /// By `batch`, which is not the order of time.
    payouts: Vec<PayoutSummary>,
    /// Pass it as `after` for what follows; null when nothing does.
    next: Option<String>,
}

/// A batch that was recorded.
#[derive(Debug, Serialize, ToSchema)]
struct PayoutSummary {
    /// The batch, as in its file: 32 hexadecimal digits.
    batch: String,
    /// The journal's entry that recorded it.
    entry: u64,
    /// When, RFC 3339.
    time: String,
    #[schema(value_type = String)]
    clearing_account_id: Decimal128,
    /// When it was made, as its maker said, RFC 3339.
    created_at: String,
    /// The day on which the bank shall pay.
    #[schema(value_type = String, example = "2026-11-28")]
    execution: DayText,
    format: FormatName,
    /// How many payments.
    payments: usize,
    /// What they come to, in satang.
    #[schema(value_type = String)]
    sum: Decimal128,
    /// BLAKE3 of the file, in hexadecimal.
    file_digest: String,
}

/// A batch and some of its holds.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PayoutStanding {
    payout: PayoutSummary,
    /// By id.
    holds: Vec<HoldStanding>,
    /// Pass it as `after` for what follows; null when nothing does.
    #[schema(value_type = Option<String>)]
    next: Option<Decimal128>,
}

/// A hold of a batch.
#[derive(Debug, Serialize, ToSchema)]
struct HoldStanding {
    #[schema(value_type = String)]
    transfer_id: Decimal128,
    /// In satang.
    #[schema(value_type = String)]
    amount: Decimal128,
    /// What became of it in the ledger.
    state: StateAnswer,
    /// What was decided, for good: `paid`, `returned`, or null while the bank has said neither. The ledger follows.
    decided: Option<DecidedName>,
}

/// What was decided of a payment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DecidedName {
    /// It was made: the hold is posted.
    Paid,
    /// It was not: the hold is voided.
    Returned,
}

impl PayoutSummary {
    fn new(exported: &Exported) -> Self {
        let record: &ExportRecord = &exported.record;
        Self {
            batch: batch_text(record.batch),
            entry: exported.seq.0,
            time: moment(exported.at),
            clearing_account_id: Decimal(record.clearing),
            created_at: moment(record.created_at),
            execution: DayText(record.execution),
            format: record.format.into(),
            payments: record.transfers.len(),
            sum: Decimal(record.sum),
            file_digest: hex(&record.file_digest),
        }
    }
}

impl From<PayoutHold> for HoldStanding {
    fn from(hold: PayoutHold) -> Self {
        Self {
            transfer_id: Decimal(hold.transfer),
            amount: Decimal(hold.satang),
            state: hold.state.into(),
            decided: hold.is_paid.map(|is_paid| {
                if is_paid {
                    DecidedName::Paid
                } else {
                    DecidedName::Returned
                }
            }),
        }
    }
}

/// The batches that were recorded, by their ids.
#[utoipa::path(get, path = "/v1/books/payouts", tag = "books", operation_id = "list_payouts",
    params(("after" = Option<String>, Query, description = "`next` of the page before, or any batch"),
        ("limit" = Option<usize>, Query, description = "Batches of the page: 1 to 20, 20 if not said")),
    responses((status = 200, description = "The batches", body = PayoutsPage),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn list(
    service: Shared,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let listing = Listing {
        cursor: parse_batch,
        rule: "a batch, of 32 hexadecimal digits",
        default: BATCHES_MAX,
        max: BATCHES_MAX,
    };
    let query = query.as_deref();
    let page = listing.page(&service, &headers, query, exports, |it| {
        batch_text(it.record.batch)
    });
    let (found, next) = page.await?;
    Ok(answer(&PayoutsPage {
        payouts: found.iter().map(PayoutSummary::new).collect(),
        next,
    }))
}

/// A batch, and what became of its holds, a page of them at a time.
#[utoipa::path(get, path = "/v1/books/payouts/{id}", tag = "books", operation_id = "get_payout",
    params(("id" = String, Path, description = "The batch, as 32 hexadecimal digits"),
        ("after" = Option<String>, Query, description = "`next` of the page before, or any hold"),
        ("limit" = Option<usize>, Query, description = "Holds of the page: 1 to 1,000, 100 if not said")),
    responses((status = 200, description = "The batch", body = PayoutStanding),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn get(
    service: Shared,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    service.admit(&headers, Scheme::Bearer)?;
    let batch = batch(path)?;
    let query = Query::parse(query.as_deref(), &["after", "limit"])?;
    let after = query.get("after", parse, "the id of a hold, in decimal")?;
    let limit = query.limit(HOLDS_DEFAULT, HOLDS_MAX)?;
    let found = service
        .read(move |committed| {
            let Some(found) = exported(committed.store, batch)? else {
                return Ok::<_, StoreError>(None);
            };
            let holds = holds(committed.store, &found.record, after, limit + 1)?;
            Ok(Some((found, holds)))
        })
        .await?;
    let (found, holds) = found
        .ok_or_else(|| Problem::new(ProblemKind::NotFound, "there is no batch with this id"))?;
    let (holds, next) = cut(holds, limit, |hold| Decimal(hold.transfer));
    Ok(answer(&PayoutStanding {
        payout: PayoutSummary::new(&found),
        holds: holds.into_iter().map(HoldStanding::from).collect(),
        next,
    }))
}

/// The part of an address that is a batch.
pub(super) fn batch(path: Result<Path<String>, PathRejection>) -> Result<u128, Problem> {
    path.ok()
        .and_then(|Path(text)| parse_batch(&text))
        .ok_or_else(|| {
            Problem::malformed("a batch is written as in its file: 32 hexadecimal digits")
        })
}
