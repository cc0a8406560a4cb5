//! Transfers a second by the kernel alone, each batch fsynced before the next.

use std::path::Path;
use std::time::{Duration, Instant};

use khlong_crdt::id::LogId;
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{
    Account, Asset, LEDGER_DOMAIN, Ledger, LedgerCommand, Totals, Transfer, totals,
};
use khlong_gateway::kernel::{Command, Domain, Kernel, KernelError, Logic, Outcome};
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::journal::{Journal, JournalId, LocalJournal};
use khlong_store::store::{OpenOptions, Store};

use crate::figures::{Figures, quantile};
use crate::processes::Failure;
use crate::{disk, scratch};

/// The number of the baht in ISO 4217.
const BAHT: u32 = 764;
/// Accounts that are spread over.
const SPREAD: u64 = 10_000;
/// The account on one side of every transfer where one is hot.
const HOT: u64 = 1;

/// Transfers of one command: each command is fsynced by itself.
pub(crate) const BATCHES: [u64; 3] = [1, 100, 8_000];

/// Between whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accounts {
    /// One account is a side of all.
    Hot,
    /// Both sides are among [`SPREAD`].
    Spread,
}

impl Accounts {
    pub(crate) const ALL: [Self; 2] = [Self::Hot, Self::Spread];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hot => "one hot account",
            Self::Spread => "10,000 accounts",
        }
    }

    /// Who pays and who is paid in the `n`th transfer.
    pub(crate) fn pair(self, n: u64) -> (u64, u64) {
        let spread = n.wrapping_mul(7_919) % SPREAD;
        match self {
            Self::Hot => (HOT, 2 + spread),
            Self::Spread => (1 + spread, 1 + (spread + 4_999) % SPREAD),
        }
    }
}

pub(crate) fn name(batch: u64, accounts: Accounts) -> String {
    format!("ledger, batches of {batch}, {}", accounts.name())
}

pub(crate) fn measure(
    batch: u64,
    accounts: Accounts,
    binaries: &Path,
    length: Duration,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let folder = scratch(binaries)?;
    let syncs = disk::syncs_per_second(folder.path())?;
    let mut books = Books::create(folder.path())?;
    let name = name(batch, accounts);
    let p99 = books.measure(batch, accounts, length, &name, figures)?;
    if batch == 1 {
        figures.add(
            format!("{name}: p99 in fsyncs"),
            "fsyncs",
            p99 * syncs / 1_000.0,
        );
    }
    figures.add("disk: fdatasync of 4 KiB".to_owned(), "/s", syncs);
    Ok(())
}

/// How a hot account stands to many, run by run.
pub(crate) fn ratios(figures: &mut Figures) {
    for batch in BATCHES {
        let samples = |accounts| {
            figures
                .samples(&format!("{}: transfers", name(batch, accounts)))
                .map(<[f64]>::to_vec)
        };
        let (Some(hot), Some(spread)) = (samples(Accounts::Hot), samples(Accounts::Spread)) else {
            continue;
        };
        for (hot, spread) in hot.iter().zip(&spread) {
            let name = format!("ledger, batches of {batch}: hot / spread");
            figures.add(name, "times", hot / spread);
        }
    }
}

/// A kernel on a fresh folder, with its accounts.
pub(crate) struct Books {
    pub(crate) kernel: Kernel,
    /// Of commands, for their keys.
    number: u64,
    at: UnixMillis,
}

impl Books {
    pub(crate) fn create(folder: &Path) -> Result<Self, Failure> {
        Self::on(open(folder)?, UnixMillis(1))
    }

    /// On a kernel whose journal is empty; all is admitted at `at`.
    pub(crate) fn on(kernel: Kernel, at: UnixMillis) -> Result<Self, Failure> {
        let mut books = Self {
            kernel,
            number: 0,
            at,
        };
        let baht = Asset {
            ledger: BAHT,
            scale: 2,
            symbol: *b"THB\0\0\0\0\0",
        };
        books.give(&LedgerCommand::CreateAssets(vec![baht]))?;
        let accounts: Vec<Account> = (1..=SPREAD + 1)
            .map(|id| Account {
                id: id.into(),
                ledger: BAHT,
                code: 1,
                ..Account::default()
            })
            .collect();
        for part in accounts.chunks(8_000) {
            books.give(&LedgerCommand::CreateAccounts(part.to_vec()))?;
        }
        Ok(books)
    }

    /// Encodes, decides, commits with a sync, and looks at the answer: what one request costs.
    pub(crate) fn give(&mut self, ledger: &LedgerCommand) -> Result<(), Failure> {
        self.number += 1;
        let command = Command {
            caller: b"bench".to_vec(),
            scope: b"ledger".to_vec(),
            key: self.number.to_be_bytes().to_vec(),
            admitted_at: self.at,
            domain: LEDGER_DOMAIN,
            body: ledger.encode(),
        };
        self.kernel.apply(&command)?;
        loop {
            match self.kernel.commit() {
                Ok(_) => break,
                Err(KernelError::Store(error)) if error.is_retryable() => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error.into()),
            }
        }
        for output in self.kernel.release() {
            // Two zero bytes: no item failed.
            if output.decided.outcome() != Some(Outcome::Done(vec![0, 0])) {
                return Err(format!("not done: {:?}", output.decided.outcome()).into());
            }
        }
        Ok(())
    }

    /// Batches one after another for so long; returns the 99th percentile of their waits in
    /// milliseconds.
    pub(crate) fn measure(
        &mut self,
        batch: u64,
        accounts: Accounts,
        length: Duration,
        name: &str,
        figures: &mut Figures,
    ) -> Result<f64, Failure> {
        let mut made = 0;
        let mut waits = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < length {
            let transfers = (made..made + batch)
                .map(|n| transfer(n, accounts))
                .collect();
            let asked = Instant::now();
            self.give(&LedgerCommand::CreateTransfers(transfers))?;
            waits.push(asked.elapsed().as_secs_f64() * 1_000.0);
            made += batch;
        }
        let took = begun.elapsed().as_secs_f64();
        self.check(made)?;
        waits.sort_by(f64::total_cmp);
        figures.add(format!("{name}: transfers"), "/s", made as f64 / took);
        figures.add(format!("{name}: p50"), "ms", quantile(&waits, 0.5));
        let p99 = quantile(&waits, 0.99);
        figures.add(format!("{name}: p99"), "ms", p99);
        Ok(p99)
    }

    /// All `made` transfers of one satang are in the books, which balance.
    fn check(&self, made: u64) -> Result<(), Failure> {
        let totals = totals(self.kernel.store())?;
        let moved: u128 = totals.values().map(|sums| sums.debits_posted.low).sum();
        if moved == u128::from(made) && totals.values().all(Totals::is_balanced) {
            return Ok(());
        }
        Err(format!("{made} transfers were acknowledged, the books say {moved}").into())
    }
}

/// Ids grow as those of a client that makes them from its clock would.
pub(crate) fn transfer(n: u64, accounts: Accounts) -> Transfer {
    let (debit, credit) = accounts.pair(n);
    Transfer {
        id: u128::from(n) + 1,
        debit_account_id: debit.into(),
        credit_account_id: credit.into(),
        amount: 1,
        ledger: BAHT,
        code: 1,
        ..Transfer::default()
    }
}

pub(crate) fn open(folder: &Path) -> Result<Kernel, Failure> {
    open_with(
        folder,
        Box::new(LocalJournal),
        vec![Box::new(Ledger::without_owners())],
    )
}

pub(crate) fn open_with(
    folder: &Path,
    journal: Box<dyn Journal>,
    domains: Vec<Box<dyn Domain>>,
) -> Result<Kernel, Failure> {
    let options = OpenOptions {
        role: Role::Gateway,
        fresh_log_id: LogId::from_bytes([1; 16]),
        accept_loss: false,
        sizes: RocksOptions {
            // A batch of 8,000 is 3 MB: twenty of them, so that flushes keep up.
            write_buffer_bytes: 64 * 1024 * 1024,
            ..RocksOptions::default()
        },
    };
    let store = Store::open(folder, &options)?;
    let id = JournalId::from_bytes([2; 16]);
    Ok(Kernel::open_with(
        journal,
        store,
        domains,
        Logic::CURRENT,
        id,
    )?)
}
