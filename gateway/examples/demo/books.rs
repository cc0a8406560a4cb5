//! The gateway of the demo: a kernel on a folder, and words for what is asked of it.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use khlong_crdt::id::LogId;
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains;
use khlong_gateway::domains::books::Day;
use khlong_gateway::domains::l10n::Satang;
use khlong_gateway::domains::ledger::{
    Account, AccountFlags, Balances, Failures, LEDGER_DOMAIN, LedgerCommand, Transfer, account,
};
use khlong_gateway::kernel::{Command, Kernel, Logic, Outcome};
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::journal::JournalId;
use khlong_store::store::{OpenOptions, Store};

use crate::Failure;

/// The number of the baht in ISO 4217.
pub(crate) const BAHT: u32 = 764;
/// What lies at the gateway's own bank.
pub(crate) const BANK: u128 = 1;
/// What the gateway earns.
pub(crate) const FEES: u128 = 2;
pub(crate) const SHOPPER: u128 = 10;
pub(crate) const MERCHANT: u128 = 20;
/// Other people, whose deposits the bank tells of in its file.
pub(crate) const OTHERS: u128 = 30;

/// A day can be closed when it is over. So all that the demo books is dated yesterday, from noon of
/// Bangkok on, and the system's clock says that it is over.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    began: Instant,
    from: i64,
}

impl Clock {
    pub(crate) fn yesterday() -> Result<Self, Failure> {
        let yesterday = Day(Self::today()?.day().0 - 1);
        Ok(Self::at(yesterday.start().0 + 12 * 60 * 60 * 1_000))
    }

    /// Shows what the system's clock shows.
    pub(crate) fn today() -> Result<Self, Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        Ok(Self::at(i64::try_from(now)?))
    }

    /// Shows `from` now.
    pub(crate) fn at(from: i64) -> Self {
        let began = Instant::now();
        Self { began, from }
    }

    pub(crate) fn now(self) -> Result<i64, Failure> {
        Ok(self.from + i64::try_from(self.began.elapsed().as_millis())?)
    }

    pub(crate) fn day(self) -> Day {
        Day::of(UnixMillis(self.from))
    }
}

pub(crate) struct Books {
    kernel: Kernel,
    clock: Clock,
}

impl Books {
    /// Opens a folder that `khlong-gateway init` made.
    pub(crate) fn open(folder: &Path, clock: Clock) -> Result<Self, Failure> {
        let options = OpenOptions {
            role: Role::Gateway,
            // Of a folder that is there both names are its own.
            fresh_log_id: LogId::from_bytes([0; 16]),
            accept_loss: false,
            sizes: RocksOptions::default(),
        };
        let store = Store::open(folder, &options)?;
        let fresh = JournalId::from_bytes([0; 16]);
        let kernel = Kernel::open(store, domains::all(), Logic::CURRENT, fresh)?;
        Ok(Self { kernel, clock })
    }

    /// Asks under an idempotency key, waits until it is durable, and returns the entry's
    /// number and the items that failed.
    pub(crate) fn ask(
        &mut self,
        key: &str,
        asked: &LedgerCommand,
    ) -> Result<(u64, Failures), Failure> {
        let command = Command {
            caller: b"demo".to_vec(),
            scope: b"ledger".to_vec(),
            key: key.as_bytes().to_vec(),
            admitted_at: UnixMillis(self.clock.now()?),
            domain: LEDGER_DOMAIN,
            body: asked.encode(),
        };
        self.kernel.apply(&command)?;
        self.kernel.commit()?;
        let decided = self.kernel.release().pop().ok_or("no answer")?.decided;
        match decided.outcome() {
            Some(Outcome::Done(payload)) => {
                let failures = Failures::decode(&payload).ok_or("an answer of another layout")?;
                Ok((decided.seq.0, failures))
            }
            other => Err(format!("{key}: {other:?}").into()),
        }
    }

    /// Transfers, all of which must happen.
    pub(crate) fn send(&mut self, key: &str, transfers: &[Transfer]) -> Result<u64, Failure> {
        let asked = LedgerCommand::CreateTransfers(transfers.to_vec());
        match self.ask(key, &asked)? {
            (seq, Failures(failed)) if failed.is_empty() => Ok(seq),
            (_, Failures(failed)) => Err(format!("{key}: {failed:?}").into()),
        }
    }

    pub(crate) fn balances(&self, id: u128) -> Result<Balances, Failure> {
        let found = account(self.kernel.store(), id)?.ok_or("an account is not there")?;
        Ok(found.balances)
    }

    /// What an account that is owed money has: credits less debits.
    pub(crate) fn owed(&self, id: u128) -> Result<Satang, Failure> {
        let balances = self.balances(id)?;
        satang(balances.credits_posted, balances.debits_posted)
    }

    pub(crate) fn store(&self) -> &Store {
        self.kernel.store()
    }
}

/// Exactly, or not at all.
pub(crate) fn satang(plus: u128, minus: u128) -> Result<Satang, Failure> {
    Ok(Satang(i64::try_from(plus)? - i64::try_from(minus)?))
}

/// An account from which nobody takes more than there is, but for the bank's.
pub(crate) fn opened(id: u128) -> Account {
    Account {
        id,
        ledger: BAHT,
        code: 1,
        flags: if id == BANK {
            AccountFlags::default()
        } else {
            AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS
        },
        ..Account::default()
    }
}

/// `amount` satang from one account to another.
pub(crate) fn pay(id: u128, from: u128, to: u128, amount: u128) -> Transfer {
    Transfer {
        id,
        debit_account_id: from,
        credit_account_id: to,
        amount,
        ledger: BAHT,
        code: 1,
        ..Transfer::default()
    }
}
