//! Rows of a gateway with right checksums and anything inside: what a faulty program of
//! ours, or of another version, would have left.

use std::path::Path;
use std::sync::OnceLock;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::all;
use khlong_gateway::domains::books::BOOKS_DOMAIN;
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

use crate::fixture::{JOURNAL, THB, command, hold, options, pay, post, with};
use crate::fuzzing::{Seeds, fuzz};
use crate::office::{HOUR, Office};
use crate::shelves::{self, Shelves};

const CHECKPOINT: &str = "golden";
/// The account with a history.
const HISTORIC: u128 = 7;

struct Golden {
    disk: MemoryDisk,
    now: i64,
    rows: Vec<(Table, Vec<u8>, Vec<u8>)>,
    shelves: Shelves,
    /// The last command.
    last: JournalSeq,
}

/// Accounts with a history, a transfer that is held, one that will expire, one that was posted; and
/// all that the books keep.
fn golden() -> &'static Golden {
    static GOLDEN: OnceLock<Golden> = OnceLock::new();
    GOLDEN.get_or_init(|| {
        let mut office = Office::new();
        let flags = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
        office
            .bank
            .open(HISTORIC, flags.with(AccountFlags::HISTORY));
        office.pay(&[
            pay(100, 1, HISTORIC, 10_000),
            hold(101, HISTORIC, 2, 500, 0),
            hold(102, HISTORIC, 2, 700, 0),
        ]);
        office.bank.now += 1_000;
        office.pay(&[post(103, 102, 300), pay(104, 2, HISTORIC, 1)]);
        let shelves = shelves::fill(&mut office);
        office.pay(&[hold(105, HISTORIC, 2, 400, 60)]);
        let store = office.store();
        store.checkpoint(Path::new(CHECKPOINT)).unwrap();
        let mut rows = Vec::new();
        store
            .for_each_row(&mut |table, key, payload| {
                rows.push((table, key.to_vec(), payload.to_vec()));
                Ok(())
            })
            .unwrap();
        Golden {
            disk: office.bank.disk.clone(),
            now: office.bank.now,
            rows,
            shelves,
            last: office.bank.kernel.head().seq,
        }
    })
}

fuzz!(fuzz_gateway_row, 120, rows(), row);

/// Table, length of the key, key, payload.
fn rows() -> Seeds {
    let row = |table: Table, key: &[u8], payload: &[u8]| {
        let length = u8::try_from(key.len()).unwrap();
        [&[table.number(), length][..], key, payload].concat()
    };
    let (mut genuine, mut seeds) = (Vec::new(), Vec::new());
    for (table, key, payload) in &golden().rows {
        genuine.push(row(*table, key, payload));
        // Numbers as high as there are, none at all, and a key that is cut short.
        seeds.push(row(*table, key, &vec![u8::MAX; payload.len()]));
        seeds.push(row(*table, key, &vec![0; payload.len()]));
        seeds.push(row(*table, &key[..key.len() - 1], payload));
    }
    let tables = golden().rows.iter().map(|(table, ..)| *table);
    let tables: Vec<Table> = tables.collect();
    for table in shelves::TABLES {
        assert!(tables.contains(&table), "{table:?} has no row");
    }
    let (table, key, payload) = golden().shelves.open_day(golden().last);
    genuine.push(row(table, &key, &payload));
    Seeds::and(genuine, seeds)
}

/// Whether everything is read, and more is decided.
fn row(input: &[u8]) -> bool {
    let Some(([table, length], rest)) = input.split_first_chunk() else {
        return false;
    };
    let Some(table) = Table::from_number(*table) else {
        return false;
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
        return false;
    };
    let Ok(mut kernel) = Kernel::open(store, all(), Logic::CURRENT, JOURNAL) else {
        return false;
    };
    let is_read = read_everything(kernel.store());
    let is_decided = decide_more(&mut kernel);
    is_read && is_decided
}

/// Whether all of them could be read.
pub(crate) struct Readers(bool);

impl Readers {
    /// Takes one answer; what it says does not matter here.
    pub(crate) fn note<T, E>(&mut self, answer: Result<T, E>) -> Option<T> {
        self.0 &= answer.is_ok();
        answer.ok()
    }
}

/// Every query, and that they end. Returns whether none met a row that it refuses.
fn read_everything(store: &Store) -> bool {
    let mut readers = Readers(true);
    let period = Period {
        start: UnixMillis(0),
        end: UnixMillis(i64::MAX),
    };
    for id in [0, 1, 2, HISTORIC] {
        readers.note(account(store, id));
        readers.note(statement(store, id, period, 10));
        for direction in [Direction::Forward, Direction::Reverse] {
            let mut after = None;
            for _ in 0..16 {
                let page = readers.note(lines(store, id, period, direction, after, 2));
                match page.and_then(|page| page.next) {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
    }
    for id in 100..106 {
        readers.note(transfer(store, id));
    }
    readers.note(asset(store, THB));
    readers.note(totals(store));
    readers.note(waiting_outbox(store, 10));
    golden().shelves.read(store, &mut readers);
    state_hash(store).unwrap();
    readers.0
}

/// A kernel decides or says what is damaged; code of its own that fails is neither. A day later, so
/// that there is one to be closed. Returns whether it decides everything.
fn decide_more(kernel: &mut Kernel) -> bool {
    let now = golden().now + 24 * HOUR;
    if kernel.accept_time(UnixMillis(now)).is_err() {
        return false;
    }
    let transfers = LedgerCommand::CreateTransfers(vec![
        pay(200, 1, HISTORIC, 5),
        pay(201, HISTORIC, 2, 6),
        post(202, 101, 100),
        hold(203, 2, HISTORIC, 1, 1),
        with(pay(204, 1, HISTORIC, 9), TransferFlags::BALANCING_DEBIT),
        pay(104, 2, HISTORIC, 1),
    ]);
    let evict = Housekeeping::Evict {
        before: UnixMillis(now),
    };
    let settle = Housekeeping::Settle {
        seq: JournalSeq(1),
        n: 0,
    };
    let mut commands = vec![
        ("sweep", LEDGER_DOMAIN, LedgerCommand::Sweep.encode()),
        ("transfers", LEDGER_DOMAIN, transfers.encode()),
        ("evict", KERNEL_DOMAIN, evict.encode()),
        ("settle", KERNEL_DOMAIN, settle.encode()),
    ];
    let of_books = golden().shelves.commands().into_iter();
    commands.extend(of_books.map(|(key, it)| (key, BOOKS_DOMAIN, it.encode())));
    for (key, domain, body) in commands {
        let Ok(_) = kernel.apply(&command(key, now, domain, body)) else {
            return false;
        };
        if kernel.commit().is_err() {
            return false;
        }
        for output in kernel.release() {
            let panicked = Outcome::Rejected(Rejection::Panicked);
            assert_ne!(output.decided.outcome(), Some(panicked), "{key}");
        }
    }
    read_everything(kernel.store())
}
