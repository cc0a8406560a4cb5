//! Transfers a second, each batch fsynced before the next: `cargo run --release --example bench_ledger`.
//!
//! Batches of 1, 100 and 8,000 transfers, each with 1 and with 10,000 hot accounts. Every
//! figure is of a fresh folder in the directory that is named (default: the current one), so
//! name one on the disk that is meant. `--seconds N` for each, default 5.
#![expect(
    clippy::float_arithmetic,
    clippy::unwrap_used,
    reason = "figures for people; a measurement stops at the first surprise"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use khlong_crdt::id::LogId;
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{
    Account, Asset, LEDGER_DOMAIN, Ledger, LedgerCommand, Transfer, totals,
};
use khlong_gateway::kernel::{Command, Kernel, KernelError, Logic, Outcome};
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::journal::JournalId;
use khlong_store::store::{OpenOptions, Store};

const THB: u32 = 764;
/// The account on the other side of every transfer when one is hot.
const HOT: u128 = 1;

fn main() {
    let mut seconds = 5;
    let mut place = ".".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap();
        } else {
            place = argument;
        }
    }
    println!("batch  hot accounts  transfers/s  batch p50  batch p99  one fsync p50");
    for batch in [1, 100, 8_000] {
        for hot in [1, 10_000] {
            let folder = tempfile::Builder::new()
                .prefix("khlong-bench-ledger")
                .tempdir_in(&place)
                .unwrap();
            let fsync = fsync_p50(folder.path());
            let figures = measure(folder.path(), batch, hot, Duration::from_secs(seconds));
            println!(
                "{batch:5}  {hot:12}  {:11.0}  {:>9}  {:>9}  {:>13}",
                figures.rate,
                format!("{:.2} ms", figures.p50),
                format!("{:.2} ms", figures.p99),
                format!("{fsync:.2} ms"),
            );
        }
    }
}

struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
}

fn measure(folder: &Path, batch: u128, hot: u128, length: Duration) -> Figures {
    let mut kernel = open(folder);
    let accounts: Vec<Account> = (1..=10_001)
        .map(|id| Account {
            id,
            ledger: THB,
            code: 1,
            ..Account::default()
        })
        .collect();
    let baht = Asset {
        ledger: THB,
        scale: 2,
        symbol: *b"THB\0\0\0\0\0",
    };
    let mut number = 0;
    give(
        &mut kernel,
        &mut number,
        &LedgerCommand::CreateAssets(vec![baht]),
    );
    for part in accounts.chunks(8_000) {
        give(
            &mut kernel,
            &mut number,
            &LedgerCommand::CreateAccounts(part.to_vec()),
        );
    }
    let mut made: u128 = 0;
    let mut waits = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < length {
        let transfers = (0..batch).map(|n| transfer(made + n, hot)).collect();
        let command = LedgerCommand::CreateTransfers(transfers);
        let asked = Instant::now();
        give(&mut kernel, &mut number, &command);
        waits.push(asked.elapsed().as_secs_f64() * 1_000.0);
        made += batch;
    }
    let took = begin.elapsed().as_secs_f64();
    let totals = totals(kernel.store()).unwrap();
    assert!(
        totals
            .values()
            .all(khlong_gateway::domains::ledger::Totals::is_balanced)
    );
    assert_eq!(
        totals
            .values()
            .map(|sums| sums.debits_posted.low)
            .sum::<u128>(),
        made
    );
    Figures {
        rate: u32::try_from(made).map_or(0.0, f64::from) / took,
        p50: quantile(&mut waits, 50),
        p99: quantile(&mut waits, 99),
    }
}

/// Ids grow as those of a client that makes them from its clock would; accounts are spread.
fn transfer(n: u128, hot: u128) -> Transfer {
    let spread = n.wrapping_mul(7_919) % 10_000;
    let debit = if hot == 1 { HOT } else { 1 + spread };
    Transfer {
        id: n + 1,
        debit_account_id: debit,
        credit_account_id: if hot == 1 {
            2 + spread
        } else {
            1 + (spread + 4_999) % 10_000
        },
        amount: 1,
        ledger: THB,
        code: 1,
        ..Transfer::default()
    }
}

fn open(folder: &Path) -> Kernel {
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
    let store = Store::open(folder, &options).unwrap();
    let journal = JournalId::from_bytes([2; 16]);
    Kernel::open(
        store,
        vec![Box::new(Ledger::new())],
        Logic::CURRENT,
        journal,
    )
    .unwrap()
}

/// Encodes, decides, commits with a sync, and looks at the answer: what one request costs.
fn give(kernel: &mut Kernel, number: &mut u64, ledger: &LedgerCommand) {
    *number += 1;
    let command = Command {
        caller: b"bench".to_vec(),
        scope: b"ledger".to_vec(),
        key: number.to_be_bytes().to_vec(),
        admitted_at: UnixMillis(1),
        domain: LEDGER_DOMAIN,
        body: ledger.encode(),
    };
    kernel.apply(&command).unwrap();
    loop {
        match kernel.commit() {
            Ok(_) => break,
            Err(KernelError::Store(error)) if error.is_retryable() => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
    for output in kernel.release() {
        assert_eq!(output.decided.outcome(), Some(Outcome::Done(vec![0, 0])));
    }
}

fn fsync_p50(folder: &Path) -> f64 {
    use std::io::Write as _;
    let mut file = std::fs::File::create(folder.join("probe")).unwrap();
    let mut waits: Vec<f64> = (0..50)
        .map(|_| {
            let asked = Instant::now();
            file.write_all(&[1; 512]).unwrap();
            file.sync_data().unwrap();
            asked.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    quantile(&mut waits, 50)
}

fn quantile(waits: &mut [f64], percent: usize) -> f64 {
    waits.sort_by(f64::total_cmp);
    waits
        .get(waits.len() * percent / 100)
        .copied()
        .unwrap_or(0.0)
}
