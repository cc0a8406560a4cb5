//! What each class of accounts moved.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use khlong_store::error::StoreError;
use khlong_store::key::{Decoder, Encoder};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use crate::domains::ledger::{Effect, Sum, Transfer, account_fields, effect};

/// Accounts of one asset and one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountClass {
    /// The asset.
    pub ledger: u32,
    /// The code of the accounts.
    pub code: u16,
}

/// What a class moved. Amounts are in the asset's smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassTotals {
    /// Sides of records: one that moves two accounts of the class counts twice.
    pub sides: u64,
    /// Debited.
    pub debits_posted: Sum,
    /// Credited.
    pub credits_posted: Sum,
    /// Held, to be debited.
    pub debits_held: Sum,
    /// Held, to be credited.
    pub credits_held: Sum,
    /// Of what was held to be debited, what is so no longer: posted, voided or expired.
    pub debits_released: Sum,
    /// The same of credits.
    pub credits_released: Sum,
}

impl ClassTotals {
    fn sums(&self) -> [Sum; 6] {
        [
            self.debits_posted,
            self.credits_posted,
            self.debits_held,
            self.credits_held,
            self.debits_released,
            self.credits_released,
        ]
    }

    /// `sides 8 ‖ (carries 8 ‖ low 16)·6`, in the order of the fields.
    pub(super) fn encode(&self) -> Vec<u8> {
        self.sums()
            .iter()
            .fold(Encoder::new().u64(self.sides), |row, sum| {
                row.u64(sum.carries).fixed(&sum.low.to_be_bytes())
            })
            .finish()
    }

    pub(super) fn decode(row: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(row);
        let sides = fields.u64()?;
        let mut sum = || {
            Some(Sum {
                carries: fields.u64()?,
                low: u128::from_be_bytes(fields.fixed()?),
            })
        };
        let totals = Self {
            sides,
            debits_posted: sum()?,
            credits_posted: sum()?,
            debits_held: sum()?,
            credits_held: sum()?,
            debits_released: sum()?,
            credits_released: sum()?,
        };
        fields.end()?;
        Some(totals)
    }

    fn debit(&mut self, effect: Effect) {
        self.sides += 1;
        self.debits_posted.add(effect.posts);
        self.debits_held.add(effect.holds);
        self.debits_released.add(effect.releases);
    }

    fn credit(&mut self, effect: Effect) {
        self.sides += 1;
        self.credits_posted.add(effect.posts);
        self.credits_held.add(effect.holds);
        self.credits_released.add(effect.releases);
    }
}

/// What all classes moved, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DayTotals(pub BTreeMap<AccountClass, ClassTotals>);

impl DayTotals {
    /// Whether in each asset what was debited was credited, in each of the three ways.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let mut assets: BTreeMap<u32, ([Sum; 3], [Sum; 3])> = BTreeMap::new();
        for (class, totals) in &self.0 {
            let (debits, credits) = assets.entry(class.ledger).or_default();
            for (to, of) in debits.iter_mut().zip([
                totals.debits_posted,
                totals.debits_held,
                totals.debits_released,
            ]) {
                to.plus(of);
            }
            for (to, of) in credits.iter_mut().zip([
                totals.credits_posted,
                totals.credits_held,
                totals.credits_released,
            ]) {
                to.plus(of);
            }
        }
        assets.values().all(|(debits, credits)| debits == credits)
    }
}

/// Adds records up. The codes of accounts are looked up once each.
pub(super) struct Adder<'t> {
    pub(super) totals: &'t mut DayTotals,
    codes: BTreeMap<u128, u16>,
}

impl<'t> Adder<'t> {
    pub(super) fn new(totals: &'t mut DayTotals) -> Self {
        Self {
            totals,
            codes: BTreeMap::new(),
        }
    }

    /// `load` gives what a class has moved before.
    pub(super) fn add(
        &mut self,
        rows: &dyn Rows,
        record: &Transfer,
        load: &dyn Fn(AccountClass) -> Result<ClassTotals, StoreError>,
    ) -> Result<(), StoreError> {
        let effect = effect(rows, record)?.ok_or_else(|| {
            StoreError::corrupt(
                Table::LedgerTransferId,
                &record.pending_id.to_be_bytes(),
                "the hold that a record ends is missing",
            )
        })?;
        for (id, is_debit) in [
            (record.debit_account_id, true),
            (record.credit_account_id, false),
        ] {
            let class = AccountClass {
                ledger: record.ledger,
                code: self.code(rows, id)?,
            };
            let totals = match self.totals.0.entry(class) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(load(class)?),
            };
            if is_debit {
                totals.debit(effect);
            } else {
                totals.credit(effect);
            }
        }
        Ok(())
    }

    fn code(&mut self, rows: &dyn Rows, id: u128) -> Result<u16, StoreError> {
        if let Some(code) = self.codes.get(&id) {
            return Ok(*code);
        }
        let found = account_fields(rows, id)?.ok_or_else(|| {
            StoreError::corrupt(
                Table::LedgerAccount,
                &id.to_be_bytes(),
                "the account of a record is missing",
            )
        })?;
        if self.codes.len() >= CODES_KEPT_MAX {
            self.codes.clear();
        }
        self.codes.insert(id, found.code);
        Ok(found.code)
    }
}

/// Codes that are kept while records are added up (some 50 bytes each).
const CODES_KEPT_MAX: usize = 65_536;
