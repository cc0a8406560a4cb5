//! The ledger's side of a comparison.

use khlong_store::rows::Rows;

use super::ReconciliationError;
use super::bank_file::Flow;
use crate::domains::books::day::Day;
use crate::domains::books::statement::{StatementQuery, statement};
use crate::domains::ledger::limits::PAGE_LINES_MAX;
use crate::domains::ledger::{Line, Place, TransferFlags};

/// Entries of one comparison.
pub const OUR_ENTRIES_MAX: usize = 100_000;

/// A posted movement of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OurEntry {
    /// Where its record stands.
    pub place: Place,
    /// The transfer.
    pub id: u128,
    /// The hold that it posts, else 0.
    pub pending_id: u128,
    /// By what others refer to it, else 0; see [`reference_key`].
    pub reference: u128,
    /// When.
    pub day: Day,
    /// How many satang, more than 0.
    pub amount: u128,
    /// A debit of ours is money that came in.
    pub flow: Flow,
}

/// What goes into `user_data_128` of a transfer that the bank refers to by this text.
#[must_use]
pub fn reference_key(text: &str) -> u128 {
    let hash = blake3::derive_key(
        "khlong.network 2026-11 gateway bank reference v1",
        text.as_bytes(),
    );
    let (key, _) = hash.split_at(16);
    key.iter()
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Some of what moved an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OurPage {
    /// The oldest first. A transfer of nothing moves nothing at the bank, and is not among them.
    pub entries: Vec<OurEntry>,
    /// Behind which line the next page begins; `None` on the last one.
    pub next: Option<Place>,
}

/// Of what moved the account from one day to another, what is in the next `max` lines behind `after`.
///
/// # Errors
/// [`ReconciliationError::NotBaht`], or there is no statement.
pub fn our_page(
    rows: &dyn Rows,
    account: u128,
    (from, to): (Day, Day),
    after: Option<Place>,
    max: usize,
) -> Result<OurPage, ReconciliationError> {
    let query = StatementQuery {
        account,
        from,
        to,
        after,
        max,
    };
    let page = statement(rows, query)?;
    let symbol = page.asset.symbol;
    if page.asset.scale != 2 || !symbol.starts_with(b"THB\0") {
        return Err(ReconciliationError::NotBaht);
    }
    Ok(OurPage {
        entries: page
            .lines
            .iter()
            .filter_map(|line| entry(account, line))
            .collect(),
        next: page.next,
    })
}

/// All pages.
pub(super) fn entries(
    rows: &dyn Rows,
    account: u128,
    from: Day,
    to: Day,
) -> Result<Vec<OurEntry>, ReconciliationError> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = our_page(rows, account, (from, to), after, PAGE_LINES_MAX)?;
        found.extend(page.entries);
        if found.len() > OUR_ENTRIES_MAX {
            return Err(ReconciliationError::TooMany);
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

fn entry(account: u128, line: &Line) -> Option<OurEntry> {
    let record = &line.record;
    let unposted = TransferFlags::PENDING
        .with(TransferFlags::VOID_PENDING_TRANSFER)
        .with(TransferFlags::EXPIRED);
    if record.flags.has_any(unposted) || record.amount == 0 {
        return None;
    }
    Some(OurEntry {
        place: line.place,
        id: record.id,
        pending_id: record.pending_id,
        reference: record.user_data_128,
        day: Day::of(line.time),
        amount: record.amount,
        flow: if record.debit_account_id == account {
            Flow::In
        } else {
            Flow::Out
        },
    })
}
