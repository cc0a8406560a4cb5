//! The double-entry ledger: the only part that writes balances.
//!
//! Semantics, names and flags are those of TigerBeetle (docs.tigerbeetle.com), so that who
//! knows it knows this: accounts that only transfers move, transfers with ids that the
//! client makes, two-phase transfers, linked chains, balancing and closing transfers.
//!
//! Invariants, which [`totals`] checks: debits equal credits in each asset, posted and
//! pending; an id stands for one transfer or for none, for ever.

mod accounts;
mod commands;
pub mod limits;
mod lists;
mod model;
mod query;
mod records;
mod results;
mod settle;
mod tables;
mod totals;
mod transfers;
mod upcoming;
mod working;

pub use commands::{Failures, LedgerCommand};
pub use lists::{accounts, assets};
pub use model::{
    Account, AccountFlags, AccountState, Asset, Balances, IdState, Place, Transfer, TransferFlags,
    TransferState,
};
pub use query::{
    Direction, Line, Page, Period, Statement, account, account_fields, asset, balances_after,
    id_state, lines, statement, transfer,
};
pub use records::{Effect, RecordVisitor, effect, first_records, last_records_before, records};
pub use results::{AccountResult, AssetResult, TransferResult};
pub use totals::{Count, Sum, Totals, totals};

use khlong_crdt::time::UnixMillis;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use crate::kernel::{ApplyError, Context, Domain, Logic, Rejection};
use limits::EXPIRIES_MAX;
use working::{Cache, Working};

/// The ledger's number among the domains.
pub const LEDGER_DOMAIN: u8 = 1;

/// Nobody else writes them.
const TABLES: [Table; 6] = [
    Table::LedgerAccount,
    Table::LedgerTransfer,
    Table::LedgerTransferId,
    Table::LedgerBalance,
    Table::LedgerExpiry,
    Table::LedgerAsset,
];

/// Whether a post or void of a hold that waits may happen: a part of a higher layer says so of holds that it owns,
/// from its own rows.
pub type MaySettle = fn(&dyn Rows, &Transfer) -> Result<bool, StoreError>;

/// The ledger as a part of the gateway.
#[derive(Debug)]
pub struct Ledger {
    cache: Cache,
    may_settle: Option<MaySettle>,
}

impl Ledger {
    /// One that has read nothing yet. Others own holds, and say who settles those: from [`Logic::V4`] on they are
    /// asked.
    #[must_use]
    pub fn with_owners(may_settle: MaySettle) -> Self {
        Self {
            cache: Cache::default(),
            may_settle: Some(may_settle),
        }
    }

    /// One alone: whoever may write settles any hold. Where there are other domains, entries are decided otherwise than
    /// in a gateway, whose domains are `domains::all()`.
    #[must_use]
    pub fn without_owners() -> Self {
        Self {
            cache: Cache::default(),
            may_settle: None,
        }
    }
}

impl Domain for Ledger {
    fn number(&self) -> u8 {
        LEDGER_DOMAIN
    }

    fn tables(&self) -> &'static [Table] {
        &TABLES
    }

    fn apply(&mut self, context: &mut Context<'_, '_>, body: &[u8]) -> Result<Vec<u8>, ApplyError> {
        let command =
            LedgerCommand::decode(body).ok_or(ApplyError::Rejected(Rejection::Malformed))?;
        let may_settle = self.may_settle.filter(|_| context.logic() >= Logic::V4);
        let mut working = Working::new(context, &mut self.cache, may_settle);
        settle::sweep(&mut working)?;
        let failures = match &command {
            LedgerCommand::CreateTransfers(transfers) => {
                transfers::create_transfers(&mut working, transfers)?
            }
            LedgerCommand::CreateAssets(_)
            | LedgerCommand::CreateAccounts(_)
            | LedgerCommand::Sweep => Failures::default(),
        };
        working.write()?;
        self.cache.upcoming.read_on(context.rows())?;
        let failures = match command {
            LedgerCommand::CreateAssets(assets) => accounts::create_assets(context, &assets)?,
            LedgerCommand::CreateAccounts(items) => accounts::create_accounts(context, &items)?,
            LedgerCommand::CreateTransfers(_) | LedgerCommand::Sweep => failures,
        };
        Ok(failures.encode())
    }

    fn roll_back(&mut self) {
        self.cache = Cache::default();
    }

    fn next_deadline(&self, rows: &dyn Rows) -> Result<Option<UnixMillis>, StoreError> {
        self.cache.upcoming.first(rows)
    }

    fn is_overdue(&self, rows: &dyn Rows, now: UnixMillis) -> Result<bool, StoreError> {
        let due = self.cache.upcoming.due(rows, now, EXPIRIES_MAX + 1)?;
        Ok(due.len() > EXPIRIES_MAX)
    }

    fn due(&self) -> Option<Vec<u8>> {
        Some(LedgerCommand::Sweep.encode())
    }
}
