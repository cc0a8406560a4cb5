//! Transfers a second with the journal on PostgreSQL, beside the journal in the folder, each
//! group durable before the next:
//!
//! `PGPASSWORD=… cargo run --release --example bench_postgres -- "host=/run/postgresql dbname=bench user=bench" [FOLDER]`
//!
//! The database must have no journal; one is begun there, and more is appended in each round.
//! A command has 1 or 1,000 transfers, or a group has 100 commands of one each, as 100 clients
//! that wait together make it. Folders are made in FOLDER (default: the current one): name one
//! on the same disk as the database.
#![expect(
    clippy::float_arithmetic,
    clippy::unwrap_used,
    reason = "figures for people; a measurement stops at the first surprise"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use khlong_crdt::id::LogId;
use khlong_crdt::time::UnixMillis;
use khlong_gateway::app::postgres::{PostgresJournal, PostgresOptions, WITHIN_DEFAULT};
use khlong_gateway::domains::ledger::{
    Account, Asset, LEDGER_DOMAIN, Ledger, LedgerCommand, Transfer,
};
use khlong_gateway::kernel::{Command, Kernel, Logic, Outcome};
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::journal::{Journal, JournalId, LocalJournal};
use khlong_store::store::{OpenOptions, Store};

const THB: u32 = 764;
const ACCOUNTS: u128 = 1_000;
const EACH: Duration = Duration::from_secs(5);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let database = arguments.next().expect("name a database");
    let place = arguments.next().unwrap_or_else(|| ".".to_owned());
    let password = std::env::var("PGPASSWORD").ok();
    let options =
        PostgresOptions::parse(&database, password.as_deref(), None, WITHIN_DEFAULT).unwrap();
    println!("journal     transfers  commands  transfers/s  group p50  group p99");
    for round in 0..3 {
        for (transfers, commands) in [(1, 1), (1, 100), (1_000, 1)] {
            for name in ["folder", "PostgreSQL"] {
                let folder = tempfile::tempdir_in(&place).unwrap();
                let journal: Box<dyn Journal> = if name == "folder" {
                    Box::new(LocalJournal)
                } else {
                    Box::new(PostgresJournal::new(options.clone()).unwrap())
                };
                let mut bench = Bench::open(folder.path(), journal);
                let figures = bench.measure(transfers, commands);
                println!("{name:10}  {transfers:9}  {commands:8}  {figures}  (round {round})");
            }
        }
    }
}

struct Bench {
    kernel: Kernel,
    /// Of commands and transfers: those of earlier rounds are in the database.
    next: u128,
}

impl Bench {
    fn open(folder: &Path, journal: Box<dyn Journal>) -> Self {
        let options = OpenOptions {
            role: Role::Gateway,
            fresh_log_id: LogId::from_bytes([1; 16]),
            accept_loss: false,
            sizes: RocksOptions::default(),
        };
        let store = Store::open(folder, &options).unwrap();
        let domains: Vec<_> = vec![Box::new(Ledger::without_owners()) as _];
        let id = JournalId::from_bytes([2; 16]);
        let kernel = Kernel::open_with(journal, store, domains, Logic::CURRENT, id).unwrap();
        let next = u128::from(kernel.head().seq.0 + 1) << 32;
        let mut bench = Self { kernel, next };
        let baht = Asset {
            ledger: THB,
            scale: 2,
            symbol: *b"THB\0\0\0\0\0",
        };
        let account = |id| Account {
            id,
            ledger: THB,
            code: 1,
            ..Account::default()
        };
        bench.apply("assets", &LedgerCommand::CreateAssets(vec![baht]));
        let accounts = (1..=ACCOUNTS).map(account).collect();
        bench.apply("accounts", &LedgerCommand::CreateAccounts(accounts));
        bench.commit();
        bench
    }

    fn measure(&mut self, transfers: u32, commands: u32) -> String {
        let (mut waits, mut made) = (Vec::new(), 0_u32);
        let begin = Instant::now();
        while begin.elapsed() < EACH {
            let asked = Instant::now();
            for _ in 0..commands {
                let group = (0..transfers).map(|_| self.transfer()).collect();
                let key = self.next.to_string();
                self.apply(&key, &LedgerCommand::CreateTransfers(group));
            }
            self.commit();
            waits.push(asked.elapsed().as_secs_f64() * 1_000.0);
            made += transfers * commands;
        }
        let rate = f64::from(made) / begin.elapsed().as_secs_f64();
        waits.sort_by(f64::total_cmp);
        let quantile = |percent: usize| waits.get(waits.len() * percent / 100).copied();
        let [p50, p99] = [50, 99].map(|it| quantile(it).unwrap_or(0.0));
        format!("{rate:11.0}  {p50:6.2} ms  {p99:6.2} ms")
    }

    fn transfer(&mut self) -> Transfer {
        self.next += 1;
        Transfer {
            id: self.next,
            debit_account_id: 1 + self.next % ACCOUNTS,
            credit_account_id: 1 + (self.next + 1) % ACCOUNTS,
            amount: 1,
            ledger: THB,
            code: 1,
            ..Transfer::default()
        }
    }

    fn apply(&mut self, key: &str, ledger: &LedgerCommand) {
        let command = Command {
            caller: b"bench".to_vec(),
            scope: b"ledger".to_vec(),
            key: key.as_bytes().to_vec(),
            admitted_at: UnixMillis(1),
            domain: LEDGER_DOMAIN,
            body: ledger.encode(),
        };
        self.kernel.apply(&command).unwrap();
    }

    fn commit(&mut self) {
        self.kernel.commit().unwrap();
        for output in self.kernel.release() {
            assert_eq!(output.decided.outcome(), Some(Outcome::Done(vec![0, 0])));
        }
    }
}
