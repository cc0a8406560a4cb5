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

/// Some lines of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct LinesPage {
    /// The oldest first.
    lines: Vec<LineAnswer>,
    /// Pass it as `after` for what follows; null when nothing does.
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
    after: Option<Place>,
    limit: usize,
}

impl LinesQuery {
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let mut asked = Self {
            after: None,
            limit: LINES_DEFAULT,
        };
        let (mut has_after, mut has_limit) = (false, false);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("after", cursor)) if !has_after => {
                    let after = place(cursor).ok_or_else(|| {
                        Problem::malformed("`after` is the `next` or `cursor` of an earlier page")
                    })?;
                    (asked.after, has_after) = (Some(after), true);
                }
                Some(("limit", limit)) if !has_limit => {
                    let limit = parse(limit).filter(|limit| (1..=LINES_MAX).contains(limit));
                    asked.limit = limit
                        .ok_or_else(|| Problem::malformed("`limit` is a number from 1 to 1000"))?;
                    has_limit = true;
                }
                Some(_) | None => {
                    return Err(Problem::malformed(
                        "only `after` and `limit` are known here, each once",
                    ));
                }
            }
        }
        Ok(asked)
    }

    pub(super) fn read(self, rows: &dyn Rows, account: u128) -> Result<Page, StoreError> {
        let forward = Direction::Forward;
        lines(
            rows,
            account,
            Period::ALWAYS,
            forward,
            self.after,
            self.limit,
        )
    }
}
