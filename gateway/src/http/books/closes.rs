//! `/v1/books/closes`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{DayText, hex};
use crate::domains::books::{
    AccountClass, ClassTotals, Close, Day, DueDays, close_classes, close_of, closes, due_days,
};
use crate::http::keys::Scheme;
use crate::http::ledger::answer;
use crate::http::ledger::number::parse;
use crate::http::limits::{LINES_DEFAULT, LINES_MAX};
use crate::http::problem::{Problem, ProblemBody, ProblemKind};
use crate::http::query::{Query, cut};
use crate::http::service::Shared;

/// Some closes.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ClosesPage {
    /// By day.
    closes: Vec<ClosedDay>,
    /// Pass it as `after` for what follows; null when nothing does.
    #[schema(value_type = Option<String>, example = "2026-11-27")]
    next: Option<DayText>,
    /// The days that are over and not closed yet; null when there are none.
    due: Option<DueAnswer>,
}

/// Days that are over and not closed yet. The gateway closes them by itself.
#[derive(Debug, Serialize, ToSchema)]
struct DueAnswer {
    /// The first.
    #[schema(value_type = String, example = "2026-11-27")]
    from: DayText,
    /// The last.
    #[schema(value_type = String, example = "2026-11-27")]
    to: DayText,
    /// Records of the first that are added up so far.
    records: u64,
}

/// A day that is closed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ClosedDay {
    /// Which day, of Bangkok.
    #[schema(value_type = String, example = "2026-11-27")]
    day: DayText,
    /// It covers what the journal's entries behind this one recorded.
    after: u64,
    /// The last entry that it covers.
    last: u64,
    /// Records: transfers, and ends of holds.
    records: u64,
    /// The journal's hash at `last`, in hexadecimal.
    journal_hash: String,
    /// The hash of the close of the day before, in hexadecimal.
    former_hash: String,
    /// The hash over all of this and the sums, in hexadecimal: publish it.
    hash: String,
}

impl From<Close> for ClosedDay {
    fn from(close: Close) -> Self {
        Self {
            day: DayText(close.day),
            after: close.after.0,
            last: close.last.0,
            records: close.records,
            journal_hash: hex(&close.journal_hash),
            former_hash: hex(&close.former_hash),
            hash: hex(&close.hash),
        }
    }
}

impl From<DueDays> for DueAnswer {
    fn from(due: DueDays) -> Self {
        Self {
            from: DayText(due.from),
            to: DayText(due.to),
            records: due.records,
        }
    }
}

/// A day that is closed, with what moved on it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct CloseAnswer {
    close: ClosedDay,
    /// What each class of accounts moved, by asset and code.
    totals: Vec<ClassAnswer>,
    /// Pass it as `after` for what follows; null when nothing does.
    next: Option<String>,
}

/// What the accounts of one asset and code moved, in the asset's smallest unit.
#[derive(Debug, Serialize, ToSchema)]
struct ClassAnswer {
    /// The asset.
    #[schema(example = 764)]
    ledger: u32,
    /// The code of the accounts.
    #[schema(example = 1)]
    code: u16,
    /// Sides of records: one that moves two accounts of the class counts twice.
    sides: u64,
    debits_posted: String,
    credits_posted: String,
    /// What became pending.
    debits_held: String,
    /// What became pending.
    credits_held: String,
    /// What is pending no longer: posted, voided or expired.
    debits_released: String,
    /// What is pending no longer: posted, voided or expired.
    credits_released: String,
}

impl From<(AccountClass, ClassTotals)> for ClassAnswer {
    fn from((class, totals): (AccountClass, ClassTotals)) -> Self {
        Self {
            ledger: class.ledger,
            code: class.code,
            sides: totals.sides,
            debits_posted: totals.debits_posted.to_string(),
            credits_posted: totals.credits_posted.to_string(),
            debits_held: totals.debits_held.to_string(),
            credits_held: totals.credits_held.to_string(),
            debits_released: totals.debits_released.to_string(),
            credits_released: totals.credits_released.to_string(),
        }
    }
}

/// The days that are closed, the earliest first, and those that are due.
#[utoipa::path(get, path = "/v1/books/closes", tag = "books", operation_id = "list_closes",
    params(("after" = Option<String>, Query, description = "`next` of the page before, or any day"),
        ("limit" = Option<usize>, Query, description = "Closes of the page: 1 to 1,000, 100 if not said")),
    responses((status = 200, description = "The closes", body = ClosesPage),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn list(
    service: Shared,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    service.admit(&headers, Scheme::Bearer)?;
    let query = Query::parse(query.as_deref(), &["after", "limit"])?;
    let from = query.day("after")?.map_or(Day(0), Day::next);
    let limit = query.limit(LINES_DEFAULT, LINES_MAX)?;
    let (found, due) = service
        .read(move |committed| {
            let found = closes(committed.store, from, limit + 1)?;
            Ok::<_, khlong_store::error::StoreError>((
                found,
                due_days(committed.store, committed.now)?,
            ))
        })
        .await?;
    let (found, next) = cut(found, limit, |close| DayText(close.day));
    Ok(answer(&ClosesPage {
        next,
        closes: found.into_iter().map(ClosedDay::from).collect(),
        due: due.map(DueAnswer::from),
    }))
}

/// A day that is closed, and what each class of accounts moved on it.
#[utoipa::path(get, path = "/v1/books/closes/{day}", tag = "books", operation_id = "get_close",
    params(("day" = String, Path, description = "The day, as 2026-11-27"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "Classes of the page: 1 to 1,000, 1,000 if not said")),
    responses((status = 200, description = "The close", body = CloseAnswer),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn get(
    service: Shared,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    service.admit(&headers, Scheme::Bearer)?;
    let day: Day = path
        .ok()
        .and_then(|Path(text)| text.parse().ok())
        .ok_or_else(|| Problem::malformed("a day is written as 2026-11-27"))?;
    let query = Query::parse(query.as_deref(), &["after", "limit"])?;
    let after = query.get("after", class, "the `next` of an earlier page")?;
    let limit = query.limit(LINES_MAX, LINES_MAX)?;
    let found = service
        .read(move |committed| {
            let close = close_of(committed.store, day)?;
            let classes = close_classes(committed.store, day, after, limit + 1)?;
            Ok::<_, khlong_store::error::StoreError>(close.zip(classes))
        })
        .await?;
    let (close, classes) = found.ok_or_else(|| {
        Problem::new(
            ProblemKind::NotFound,
            format!("{day} is not closed; GET /v1/books/closes tells which days are"),
        )
    })?;
    let (classes, next) = cut(classes, limit, |(class, _)| {
        format!("{}-{}", class.ledger, class.code)
    });
    Ok(answer(&CloseAnswer {
        close: close.into(),
        next,
        totals: classes.into_iter().map(ClassAnswer::from).collect(),
    }))
}

/// `ledger-code`.
fn class(cursor: &str) -> Option<AccountClass> {
    let (ledger, code) = cursor.split_once('-')?;
    Some(AccountClass {
        ledger: parse(ledger)?,
        code: parse(code)?,
    })
}
