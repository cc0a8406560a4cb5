//! Rows of a gateway with right checksums and anything inside: what a faulty program of
//! ours, or of another version, would have left.

use std::path::Path;
use std::sync::OnceLock;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{
    AccountFlags, Direction, LEDGER_DOMAIN, LedgerCommand, Period, TransferFlags, account, asset,
    lines, statement, totals, transfer,
};
use khlong_gateway::kernel::{
    Housekeeping, KERNEL_DOMAIN, Kernel, Logic, Outcome, Rejection, state_hash, waiting_outbox,
};
use khlong_store::engine::memory::{MemoryDisk, MemoryEngine};
use khlong_store::engine::{Durability, Engine as _};
use khlong_store::journal::JournalSeq;
use khlong_store::limits::KEY_BYTES_MAX;
use khlong_store::record;
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::write_set::WriteSet;

use crate::fixture::{Bank, JOURNAL, THB, command, domains, hold, options, pay, post, with};
use crate::fuzzing::fuzz;

const CHECKPOINT: &str = "golden";

struct Golden {
    disk: MemoryDisk,
    now: i64,
    rows: Vec<(Table, Vec<u8>, Vec<u8>)>,
}

/// Accounts with a history, a transfer that is held, one that will expire, one that was posted.
fn golden() -> &'static Golden {
    static GOLDEN: OnceLock<Golden> = OnceLock::new();
    GOLDEN.get_or_init(|| {
        let mut bank = Bank::new(2);
        let flags = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
        bank.open(3, flags.with(AccountFlags::HISTORY));
        bank.send(&[
            pay(100, 1, 3, 10_000),
            hold(101, 3, 2, 500, 60),
            hold(102, 3, 2, 700, 0),
        ]);
        bank.now += 1_000;
        bank.send(&[post(103, 102, 300), pay(104, 2, 3, 1)]);
        let store = bank.kernel.store();
        store.checkpoint(Path::new(CHECKPOINT)).unwrap();
        let mut rows = Vec::new();
        store
            .for_each_row(&mut |table, key, payload| {
                rows.push((table, key.to_vec(), payload.to_vec()));
                Ok(())
            })
            .unwrap();
        Golden {
            disk: bank.disk.clone(),
            now: bank.now,
            rows,
        }
    })
}

fuzz!(fuzz_gateway_row, 120, rows(), row);

/// Table, length of the key, key, payload.
fn rows() -> Vec<Vec<u8>> {
    let row = |table: Table, key: &[u8], payload: &[u8]| {
        let length = u8::try_from(key.len()).unwrap();
        [&[table.number(), length][..], key, payload].concat()
    };
    let mut seeds = Vec::new();
    for (table, key, payload) in &golden().rows {
        seeds.push(row(*table, key, payload));
        // Numbers as high as there are, none at all, and a key that is cut short.
        seeds.push(row(*table, key, &vec![u8::MAX; payload.len()]));
        seeds.push(row(*table, key, &vec![0; payload.len()]));
        seeds.push(row(*table, &key[..key.len() - 1], payload));
    }
    seeds
}

fn row(input: &[u8]) {
    let Some(([table, length], rest)) = input.split_first_chunk() else {
        return;
    };
    let Some(table) = Table::from_number(*table) else {
        return;
    };
    let (key, payload) = rest.split_at(rest.len().min(usize::from(*length).min(KEY_BYTES_MAX)));
    let disk = golden()
        .disk
        .from_checkpoint(Path::new(CHECKPOINT))
        .unwrap();
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    let mut writes = WriteSet::new();
    let sealed = record::seal(table, key, payload.to_vec());
    writes.put(table, key.to_vec(), sealed);
    engine.commit(&writes, Durability::Synced).unwrap();
    drop(engine);
    let mut options = options();
    options.accept_loss = true;
    let Ok(store) = Store::in_memory(&disk, &options) else {
        return;
    };
    let Ok(mut kernel) = Kernel::open(store, domains(), Logic::CURRENT, JOURNAL) else {
        return;
    };
    read_everything(kernel.store());
    decide_more(&mut kernel);
}

/// Every query; what they say does not matter here, but that they end.
fn read_everything(store: &Store) {
    let period = Period {
        start: UnixMillis(0),
        end: UnixMillis(i64::MAX),
    };
    for id in [0, 1, 2, 3] {
        let _ = account(store, id);
        let _ = statement(store, id, period, 10);
        for direction in [Direction::Forward, Direction::Reverse] {
            let mut after = None;
            for _ in 0..16 {
                match lines(store, id, period, direction, after, 2) {
                    Ok(page) if page.next.is_some() => after = page.next,
                    Ok(_) | Err(_) => break,
                }
            }
        }
    }
    for id in 100..105 {
        let _ = transfer(store, id);
    }
    let _ = asset(store, THB);
    let _ = totals(store);
    let _ = waiting_outbox(store, 10);
    state_hash(store).unwrap();
}

/// A kernel decides or says what is damaged; code of its own that fails is neither.
fn decide_more(kernel: &mut Kernel) {
    let now = golden().now + 120_000;
    let transfers = LedgerCommand::CreateTransfers(vec![
        pay(200, 1, 3, 5),
        pay(201, 3, 2, 6),
        post(202, 101, 100),
        hold(203, 2, 3, 1, 1),
        with(pay(204, 1, 3, 9), TransferFlags::BALANCING_DEBIT),
        pay(104, 2, 3, 1),
    ]);
    let evict = Housekeeping::Evict {
        before: UnixMillis(now),
    };
    let settle = Housekeeping::Settle {
        seq: JournalSeq(1),
        n: 0,
    };
    let commands = [
        ("sweep", LEDGER_DOMAIN, LedgerCommand::Sweep.encode()),
        ("transfers", LEDGER_DOMAIN, transfers.encode()),
        ("evict", KERNEL_DOMAIN, evict.encode()),
        ("settle", KERNEL_DOMAIN, settle.encode()),
    ];
    for (key, domain, body) in commands {
        let Ok(_) = kernel.apply(&command(key, now, domain, body)) else {
            return;
        };
        if kernel.commit().is_err() {
            return;
        }
        for output in kernel.release() {
            let panicked = Outcome::Rejected(Rejection::Panicked);
            assert_ne!(output.decided.outcome(), Some(panicked), "{key}");
        }
    }
    read_everything(kernel.store());
}
