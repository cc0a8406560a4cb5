//! What the page tells of the books: the last close, the days that are due, and what the bank says
//! otherwise.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use khlong_store::error::StoreError;

use crate::app::Committed;
use crate::domains::books::reconciliation::{Recorded, latest};
use crate::domains::books::{Close, DueDays, due_days, last_close};

/// The books as the last entry left them.
pub(super) struct Closes {
    last: Option<Close>,
    due: Option<DueDays>,
    /// Of each account that was compared with the bank the last comparison.
    compared: Vec<Recorded>,
}

impl Closes {
    pub(super) fn read(committed: &Committed<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            last: last_close(committed.store)?,
            due: due_days(committed.store, committed.now)?,
            compared: latest(committed.store)?.into_values().collect(),
        })
    }

    pub(super) fn html(&self, page: &mut String) {
        page.push_str("<h2>Closes</h2>\n");
        // Writing to a String does not fail.
        let _ = match &self.last {
            Some(close) => writeln!(
                page,
                "<p>Last close: {}, {} records, hash <code>{}</code></p>",
                close.day,
                close.records,
                HEXLOWER.encode(&close.hash),
            ),
            None => writeln!(page, "<p>Last close: none yet</p>"),
        };
        let _ = match &self.due {
            None => writeln!(page, "<p>Days that are due: none</p>"),
            Some(due) if due.from == due.to => writeln!(
                page,
                "<p>Days that are due: {}, {} records added up so far</p>",
                due.from, due.records,
            ),
            Some(due) => writeln!(
                page,
                "<p>Days that are due: {} to {}, {} records of the first added up so far</p>",
                due.from, due.to, due.records,
            ),
        };
        self.compared_html(page);
    }

    fn compared_html(&self, page: &mut String) {
        let counts = self
            .compared
            .iter()
            .map(|it| u64::from(it.record.differences));
        let open: u64 = counts.sum();
        let _ = writeln!(
            page,
            "<h2>Bank</h2>\n<p>Open differences: {open}</p>\n<table>\n<caption>The last comparison of each account</caption>\n\
            <thead><tr><th scope=\"col\">Account</th><th scope=\"col\">From</th><th scope=\"col\">To</th>\
            <th scope=\"col\">Matched</th><th scope=\"col\">Differences</th><th scope=\"col\">Entry</th></tr></thead>\n<tbody>"
        );
        for compared in &self.compared {
            let record = &compared.record;
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                record.account,
                record.from,
                record.to,
                record.matched,
                record.differences,
                compared.seq.0,
            );
        }
        if self.compared.is_empty() {
            page.push_str("<tr><td colspan=\"6\">Nothing was compared yet</td></tr>\n");
        }
        page.push_str("</tbody>\n</table>\n");
    }
}
