//! The invariant of double entry, over all accounts.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::KeyRange;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::limits::ACCOUNTS_AT_ONCE_MAX;
use super::model::Balances;
use super::query::balances_after;
use super::tables;

/// A sum that cannot overflow: amounts of 128 bits, any number of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Sum {
    /// How often the lower part went over.
    pub carries: u64,
    /// The lower 128 bits.
    pub low: u128,
}

impl Sum {
    /// Adds an amount.
    pub fn add(&mut self, amount: u128) {
        let (low, carried) = self.low.overflowing_add(amount);
        self.low = low;
        self.carries += u64::from(carried);
    }

    /// How far both lie apart, at most 2¹²⁸ − 1.
    fn apart(self, other: Self) -> u128 {
        let (larger, smaller) = (self.max(other), self.min(other));
        let (difference, borrowed) = larger.low.overflowing_sub(smaller.low);
        if larger.carries == smaller.carries + u64::from(borrowed) {
            difference
        } else {
            u128::MAX
        }
    }

    /// Adds another sum.
    pub fn plus(&mut self, other: Self) {
        self.add(other.low);
        self.carries += other.carries;
    }
}

/// In decimal.
impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.carries == 0 {
            return self.low.fmt(f);
        }
        // 64 bits at a time, the highest first; each rest and what follows it fit into 128.
        const PART: u128 = 1_000_000_000_000_000_000;
        const LOW: u128 = u64::MAX as u128;
        let mut limbs = [self.carries.into(), self.low >> 64, self.low & LOW];
        let mut text = String::new();
        while limbs != [0, 0, 0] {
            let rest = limbs.iter_mut().fold(0, |rest, limb| {
                let all = rest << 64 | *limb;
                *limb = all / PART;
                all % PART
            });
            text = format!("{rest:018}{text}");
        }
        f.write_str(text.trim_start_matches('0'))
    }
}

/// What the accounts of one asset come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// How many accounts.
    pub accounts: u64,
    /// Sum of all.
    pub debits_pending: Sum,
    /// Sum of all.
    pub debits_posted: Sum,
    /// Sum of all.
    pub credits_pending: Sum,
    /// Sum of all.
    pub credits_posted: Sum,
}

impl Totals {
    fn add(&mut self, balances: &Balances) {
        self.accounts += 1;
        self.debits_pending.add(balances.debits_pending);
        self.debits_posted.add(balances.debits_posted);
        self.credits_pending.add(balances.credits_pending);
        self.credits_posted.add(balances.credits_posted);
    }

    /// Whether what was taken is what was given.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.debits_posted == self.credits_posted && self.debits_pending == self.credits_pending
    }

    /// By how much debits and credits differ, posted and pending ones added: 0 if, and only
    /// if, they balance. At most 2¹²⁸ − 1.
    #[must_use]
    pub fn imbalance(&self) -> u128 {
        let posted = self.debits_posted.apart(self.credits_posted);
        posted.saturating_add(self.debits_pending.apart(self.credits_pending))
    }
}

/// The totals of each asset. Reads every account, and holds [`ACCOUNTS_AT_ONCE_MAX`] ids of them at most.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn totals(rows: &dyn Rows) -> Result<BTreeMap<u32, Totals>, StoreError> {
    // Behind every row that there is.
    let mut count = Count::after(JournalSeq(u64::MAX - 1));
    while !count.step(rows, ACCOUNTS_AT_ONCE_MAX)? {}
    Ok(count.totals)
}

/// The totals of each asset as they were after one command, some accounts at a time: what moves
/// between two steps does not count, since old balances stay.
#[derive(Debug)]
pub struct Count {
    last: JournalSeq,
    /// From which account on; `None`: behind the last one.
    next: Option<u128>,
    totals: BTreeMap<u32, Totals>,
}

impl Count {
    /// After command `last`.
    #[must_use]
    pub fn after(last: JournalSeq) -> Self {
        Self {
            last,
            next: Some(0),
            totals: BTreeMap::new(),
        }
    }

    /// Reads at most `max` accounts more, at least one, and at most [`ACCOUNTS_AT_ONCE_MAX`]; returns whether all are
    /// read. Accounts that came later are among them, with nothing on them.
    ///
    /// # Errors
    /// From the disk, or a damaged row.
    pub fn step(&mut self, rows: &dyn Rows, max: usize) -> Result<bool, StoreError> {
        let Some(next) = self.next else {
            return Ok(true);
        };
        let max = max.clamp(1, ACCOUNTS_AT_ONCE_MAX);
        let range = KeyRange {
            start: next.to_be_bytes().to_vec(),
            end: None,
        };
        let mut ids = Vec::new();
        rows.scan(
            Table::LedgerAccount,
            &range,
            Direction::Forward,
            &mut |key, _| {
                if ids.len() >= max {
                    return Ok(ControlFlow::Break(()));
                }
                if let Ok(id) = key.try_into() {
                    ids.push(u128::from_be_bytes(id));
                }
                Ok(ControlFlow::Continue(()))
            },
        )?;
        for id in &ids {
            if let Some(account) = tables::account_fields(rows, *id)? {
                let balances = balances_after(rows, *id, self.last)?;
                self.totals
                    .entry(account.ledger)
                    .or_default()
                    .add(&balances);
            }
        }
        let last = ids.last().filter(|_| ids.len() == max);
        self.next = last.and_then(|id| id.checked_add(1));
        Ok(self.next.is_none())
    }

    /// Of the accounts that were read.
    #[must_use]
    pub fn totals(&self) -> &BTreeMap<u32, Totals> {
        &self.totals
    }
}
