//! Pages of an account's lines.

use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::rows::Rows;
use serde::Serialize;
use utoipa::ToSchema;

use super::accounts::BalancesAnswer;
use super::number::{moment, parse};
use super::transfers::TransferFields;
use crate::domains::ledger::{Direction, Line, Page, Period, Place, TransferFlags, lines};
use crate::http::limits::{LINES_DEFAULT, LINES_MAX};
use crate::http::problem::Problem;
use crate::http::query::Query;

/// Some lines of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct LinesPage {
    /// The oldest first, or the newest, as was asked.
    lines: Vec<LineAnswer>,
    /// Pass it as `after`, all else as before, for what follows; null when nothing does.
    next: Option<String>,
}

/// One movement of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct LineAnswer {
    /// Where it stands: a cursor.
    cursor: String,
    /// When, RFC 3339.
    time: String,
    /// Whether it is the end of a hold, by time: `transfer` has id 0 then.
    expiry: bool,
    /// What moved.
    transfer: TransferFields,
    /// The account's balances after it.
    balances: BalancesAnswer,
}

impl From<Page> for LinesPage {
    fn from(page: Page) -> Self {
        Self {
            lines: page.lines.into_iter().map(LineAnswer::from).collect(),
            next: page.next.map(cursor),
        }
    }
}

impl From<Line> for LineAnswer {
    fn from(line: Line) -> Self {
        Self {
            cursor: cursor(line.place),
            time: moment(line.time),
            expiry: line.record.flags.has(TransferFlags::EXPIRED),
            transfer: line.record.into(),
            balances: line.balances.into(),
        }
    }
}

/// `entry-index`.
pub(in crate::http) fn cursor(place: Place) -> String {
    format!("{}-{}", place.seq.0, place.index)
}

/// Reads what [`cursor`] wrote.
pub(in crate::http) fn place(cursor: &str) -> Option<Place> {
    let (seq, index) = cursor.split_once('-')?;
    let seq = parse(seq)?;
    // A place behind the last number has no place after it.
    (seq < u64::MAX).then_some(Place {
        seq: JournalSeq(seq),
        index: parse(index)?,
    })
}

/// What the address asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinesQuery {
    period: Period,
    direction: Direction,
    after: Option<Place>,
    limit: usize,
}

impl LinesQuery {
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let query = Query::parse(query, &["from", "to", "order", "after", "limit"])?;
        let always = Period::ALWAYS;
        let period = Period {
            start: query.moment("from")?.unwrap_or(always.start),
            end: query.moment("to")?.unwrap_or(always.end),
        };
        if period.start > period.end {
            return Err(Problem::malformed("`from` is after `to`"));
        }
        let order = |text: &str| match text {
            "oldest" => Some(Direction::Forward),
            "newest" => Some(Direction::Reverse),
            _ => None,
        };
        let direction = query.get("order", order, "`oldest` or `newest`, whichever is first")?;
        Ok(Self {
            period,
            direction: direction.unwrap_or(Direction::Forward),
            after: query.get("after", place, "the `next` or `cursor` of an earlier page")?,
            limit: query.limit(LINES_DEFAULT, LINES_MAX)?,
        })
    }

    pub(super) fn read(self, rows: &dyn Rows, account: u128) -> Result<Page, StoreError> {
        let Self {
            period,
            direction,
            after,
            limit,
        } = self;
        lines(rows, account, period, direction, after, limit)
    }
}
