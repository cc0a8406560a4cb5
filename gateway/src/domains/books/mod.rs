//! The books over the ledger: what a day came to, what an account did, and whether the bank says the same.
//!
//! Reads the ledger and moves nothing in it: what a report asks for is given back as a command of the ledger.
//!
//! Invariants: every record of the ledger is in exactly one day; days are closed in order and none is
//! left out; a day that is closed never changes, and its hash is over that of the day before it.

mod amount;
pub mod audit;
mod close;
mod closes;
mod commands;
mod day;
pub mod limits;
pub mod payout;
pub mod reconciliation;
mod statement;
mod statement_text;
mod tables;
mod totals;

pub use amount::decimal;
pub use close::DAY_CLOSED;
pub use closes::{
    CloseError, DueDays, close_classes, close_of, close_totals, closes, due_day, due_days,
    last_close, verify_closes,
};
pub use commands::{BooksCommand, CloseAnswer};
pub use day::{Day, NoDay};
pub use statement::{
    AccountStatement, StatementError, StatementQuery, cursor, parse_cursor, statement,
};
pub use statement_text::{statement_csv, statement_json};
pub use tables::Close;
pub use totals::{AccountClass, ClassTotals, DayTotals};

use khlong_crdt::time::UnixMillis;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use crate::kernel::{ApplyError, Context, Domain, Rejection};

/// The number of the books among the domains.
pub const BOOKS_DOMAIN: u8 = 2;

/// Nobody else writes them.
const TABLES: [Table; 5] = [
    Table::BooksClose,
    Table::BooksCloseTotal,
    Table::BooksReconciliation,
    Table::BooksPayout,
    Table::BooksPayoutItem,
];

/// The books as a part of the gateway. Keeps nothing in memory.
#[derive(Debug, Default)]
pub struct Books;

impl Domain for Books {
    fn number(&self) -> u8 {
        BOOKS_DOMAIN
    }

    fn tables(&self) -> &'static [Table] {
        &TABLES
    }

    fn apply(&mut self, context: &mut Context<'_, '_>, body: &[u8]) -> Result<Vec<u8>, ApplyError> {
        match BooksCommand::decode(body).ok_or(ApplyError::Rejected(Rejection::Malformed))? {
            BooksCommand::CloseDay(day) => Ok(close::close(context, Some(day))?.encode()),
            BooksCommand::CloseNext => Ok(close::close(context, None)?.encode()),
            BooksCommand::RecordReconciliation(record) => {
                Ok(reconciliation::record(context, &record)?.encode())
            }
            BooksCommand::ExportPayouts(record) => Ok(payout::export(context, &record)?.encode()),
            BooksCommand::AnswerPayouts(record) => Ok(payout::answer(context, &record)?.encode()),
        }
    }

    fn roll_back(&mut self) {}

    /// The end of the day that is to be closed next: in the past if that was missed, or is not finished.
    /// It also stays there if a close is rejected, so a driver tries again after a pause that grows.
    fn next_deadline(&self, rows: &dyn Rows) -> Result<Option<UnixMillis>, StoreError> {
        Ok(due_day(rows)?.map(Day::end))
    }

    fn due(&self) -> Option<Vec<u8>> {
        Some(BooksCommand::CloseNext.encode())
    }
}
