//! `/v1/books/statements`.

use std::convert::Infallible;

use axum::extract::RawQuery;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::closes::ClosedDay;
use super::fields::DayText;
use super::not_stated;
use crate::domains::books::{AccountStatement, StatementQuery, statement};
use crate::http::keys::Scheme;
use crate::http::ledger::accounts::BalancesAnswer;
use crate::http::ledger::lines::{LineAnswer, cursor, place};
use crate::http::ledger::number::{Decimal, Decimal128};
use crate::http::ledger::{IdPath, answer, id};
use crate::http::limits::{LINES_DEFAULT, LINES_MAX};
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::Query;
use crate::http::service::Shared;

/// What an account did, by whole days of Bangkok.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StatementAnswer {
    #[schema(value_type = String)]
    account_id: Decimal128,
    /// Which asset.
    #[schema(example = 764)]
    ledger: u32,
    #[schema(value_type = String, example = "2026-11-01")]
    from: DayText,
    #[schema(value_type = String, example = "2026-11-30")]
    to: DayText,
    /// Before the first day.
    opening: BalancesAnswer,
    /// After the last day.
    closing: BalancesAnswer,
    /// The oldest first.
    lines: Vec<LineAnswer>,
    /// Pass it as `after` for what follows; null when nothing does.
    next: Option<String>,
    /// The last close of these days; null if all of them are open.
    close: Option<ClosedDay>,
}

impl From<AccountStatement> for StatementAnswer {
    fn from(told: AccountStatement) -> Self {
        Self {
            account_id: Decimal(told.account.id),
            ledger: told.account.ledger,
            from: DayText(told.query.from),
            to: DayText(told.query.to),
            opening: told.opening.into(),
            closing: told.closing.into(),
            lines: told.lines.into_iter().map(LineAnswer::from).collect(),
            next: told.next.map(cursor),
            close: told.close.map(ClosedDay::from),
        }
    }
}

/// What an account did from one day to another. Where days are closed it agrees with their closes.
#[utoipa::path(get, path = "/v1/books/statements/{id}", tag = "books", operation_id = "get_statement",
    params(("id" = String, Path, description = "The account"),
        ("from" = String, Query, description = "The first day, as 2026-11-01"),
        ("to" = String, Query, description = "The last day, included"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "Lines of the page: 1 to 1,000, 100 if not said")),
    responses((status = 200, description = "The statement", body = StatementAnswer),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn get(
    service: Shared,
    path: IdPath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    service.admit(&headers, Scheme::Bearer)?;
    let account = id(path)?;
    let query = Query::parse(query.as_deref(), &["from", "to", "after", "limit"])?;
    let (Some(from), Some(to)) = (query.day("from")?, query.day("to")?) else {
        return Err(Problem::malformed(
            "say from and to which day, as `from=2026-11-01&to=2026-11-30`",
        ));
    };
    let asked = StatementQuery {
        account,
        from,
        to,
        after: query.get("after", place, "the `next` or `cursor` of an earlier page")?,
        max: query.limit(LINES_DEFAULT, LINES_MAX)?,
    };
    let told = service
        .read(move |committed| Ok::<_, Infallible>(statement(committed.store, asked)))
        .await?
        .map_err(|error| not_stated(&error))?;
    Ok(answer(&StatementAnswer::from(told)))
}
