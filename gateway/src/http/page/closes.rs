//! What the page tells of the books: the last close, the days that are due, and what the bank says
//! otherwise.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use khlong_store::error::StoreError;

use crate::app::Committed;
use crate::domains::books::reconciliation::{Recorded, standing};
use crate::domains::books::{Close, DueDays, due_days, last_close};
use crate::http::limits::{COMPARISONS_READ_MAX, COMPARISONS_SHOWN_MAX};

/// The books as the last entry left them.
pub(super) struct Closes {
    last: Option<Close>,
    due: Option<DueDays>,
    /// Comparisons with the bank that a later one does not replace; `None`: too many to read.
    compared: Option<Vec<Recorded>>,
}

impl Closes {
    pub(super) fn read(committed: &Committed<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            last: last_close(committed.store)?,
            due: due_days(committed.store, committed.now)?,
            compared: standing(committed.store, COMPARISONS_READ_MAX)?,
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

    /// A comparison counts until each of its days was compared again.
    fn compared_html(&self, page: &mut String) {
        page.push_str("<h2>Bank</h2>\n");
        let Some(compared) = &self.compared else {
            let _ = writeln!(
                page,
                "<p>Open differences: not counted, since more than {COMPARISONS_READ_MAX} comparisons are recorded</p>"
            );
            return;
        };
        let is_open = |it: &&Recorded| it.record.differences > 0;
        let open = compared.iter().filter(is_open);
        let sum: u64 = open
            .clone()
            .map(|it| u64::from(it.record.differences))
            .sum();
        let last = compared.first().map_or("none yet".to_owned(), |it| {
            let record = &it.record;
            format!(
                "account {}, {} to {}",
                record.account, record.from, record.to
            )
        });
        let _ = writeln!(
            page,
            "<p>Open differences: {sum}</p>\n<p>Last comparison: {last}</p>\n<table>\n\
            <caption>Comparisons with differences, until each of their days was compared again: the last {COMPARISONS_SHOWN_MAX}</caption>\n\
            <thead><tr><th scope=\"col\">Account</th><th scope=\"col\">From</th><th scope=\"col\">To</th>\
            <th scope=\"col\">Matched</th><th scope=\"col\">Differences</th><th scope=\"col\">Entry</th></tr></thead>\n<tbody>"
        );
        for compared in open.take(COMPARISONS_SHOWN_MAX) {
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
        if sum == 0 {
            page.push_str("<tr><td colspan=\"6\">None</td></tr>\n");
        }
        page.push_str("</tbody>\n</table>\n");
    }
}
