//! `GET /v1/books/reconciliations`: the comparisons that were recorded. A report itself is not kept: it can be made
//! again from the ledger and the bank's file, and comes to the digest.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery};
use axum::http::HeaderMap;
use axum::response::Response;
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{DayText, hex};
use crate::domains::books::reconciliation::{Recorded, reconciliations, recorded};
use crate::http::keys::Scheme;
use crate::http::ledger::number::{Decimal, Decimal128};
use crate::http::ledger::{answer, moment};
use crate::http::limits::{LINES_DEFAULT, LINES_MAX};
use crate::http::listing::Listing;
use crate::http::problem::{Problem, ProblemBody, ProblemKind};
use crate::http::service::Shared;

/// Some comparisons.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ReconciliationsPage {
    /// By `digest`, which is not the order of time.
    reconciliations: Vec<RecordedAnswer>,
    /// Pass it as `after` for what follows; null when nothing does.
    next: Option<String>,
}

/// A comparison with a bank's file, as it was recorded.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct RecordedAnswer {
    /// Over all of the report, in hexadecimal.
    digest: String,
    /// The entry that recorded it first.
    recorded: u64,
    /// When, RFC 3339.
    time: String,
    #[schema(value_type = String)]
    account_id: Decimal128,
    #[schema(value_type = String, example = "2026-11-27")]
    from: DayText,
    #[schema(value_type = String, example = "2026-11-27")]
    to: DayText,
    /// The hash of the close of the last day, in hexadecimal.
    close: String,
    /// BLAKE3 of the bank's file, in hexadecimal.
    file: String,
    /// Pairs without a difference.
    matched: u32,
    /// How many differences.
    differences: u32,
}

impl From<Recorded> for RecordedAnswer {
    fn from(found: Recorded) -> Self {
        let record = found.record;
        Self {
            digest: hex(&record.report_digest),
            recorded: found.seq.0,
            time: moment(found.at),
            account_id: Decimal(record.account),
            from: DayText(record.from),
            to: DayText(record.to),
            close: hex(&record.close_hash),
            file: hex(&record.file_digest),
            matched: record.matched,
            differences: record.differences,
        }
    }
}

/// The comparisons with the bank that were recorded, by their digests.
#[utoipa::path(get, path = "/v1/books/reconciliations", tag = "books", operation_id = "list_reconciliations",
    params(("after" = Option<String>, Query, description = "`next` of the page before, or any digest"),
        ("limit" = Option<usize>, Query, description = "Comparisons of the page: 1 to 1,000, 100 if not said")),
    responses((status = 200, description = "The comparisons", body = ReconciliationsPage),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn list(
    service: Shared,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let listing = Listing {
        cursor: digest,
        rule: "a digest, of 64 hexadecimal digits",
        default: LINES_DEFAULT,
        max: LINES_MAX,
    };
    let query = query.as_deref();
    let page = listing.page(&service, &headers, query, reconciliations, |it| {
        hex(&it.record.report_digest)
    });
    let (found, next) = page.await?;
    Ok(answer(&ReconciliationsPage {
        reconciliations: found.into_iter().map(RecordedAnswer::from).collect(),
        next,
    }))
}

/// A comparison with the bank that was recorded.
#[utoipa::path(get, path = "/v1/books/reconciliations/{id}", tag = "books", operation_id = "get_reconciliation",
    params(("id" = String, Path, description = "The digest of the report, as 64 hexadecimal digits")),
    responses((status = 200, description = "What was recorded of it", body = RecordedAnswer),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn get(
    service: Shared,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    service.admit(&headers, Scheme::Bearer)?;
    let digest = path
        .ok()
        .and_then(|Path(text)| digest(&text))
        .ok_or_else(|| {
            Problem::malformed("a comparison is named by its digest: 64 hexadecimal digits")
        })?;
    let found = service
        .read(move |committed| recorded(committed.store, &digest))
        .await?
        .ok_or_else(|| {
            Problem::new(
                ProblemKind::NotFound,
                "no comparison with this digest was recorded",
            )
        })?;
    Ok(answer(&RecordedAnswer::from(found)))
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok()
}
