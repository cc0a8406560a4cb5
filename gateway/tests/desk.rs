//! Commands that write to a folder whose gateway does not run: which they refuse, and one in which much
//! has ended meanwhile.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;
mod program;

use fixture::{JOURNAL, command, hold, opening, options, pay};
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains;
use khlong_gateway::domains::books::Day;
use khlong_gateway::domains::ledger::limits::EXPIRIES_MAX;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand, Transfer};
use khlong_gateway::kernel::{Kernel, KernelError, Logic};
use khlong_store::engine::rocks::RocksEngine;
use khlong_store::engine::{Durability, Engine as _};
use khlong_store::folder::DATABASE_FOLDER;
use khlong_store::journal;
use khlong_store::key::Encoder;
use khlong_store::peek::Peek;
use khlong_store::record;
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::write_set::WriteSet;
use program::{object, refused, run};

/// Long ago: any clock says that it is over.
const DAY: Day = Day(20_000);

/// As `init` leaves it when it is killed halfway.
#[test]
fn a_folder_without_a_journal_gets_none() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = folder.path().join("gateway");
    drop(Store::open(&gateway, &options()).unwrap());
    let (code, words) = refused(folder.path(), &["close", "gateway"]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("is not the folder of a gateway"), "{words}");
    let peek = Peek::open(&gateway).unwrap();
    assert!(journal::head(&peek).unwrap().is_none());
    let (code, words) = refused(folder.path(), &["close", "elsewhere"]);
    assert_eq!(code, 3, "{words}");
    assert!(!folder.path().join("elsewhere").exists());
}

/// More holds than one commit sweeps.
#[test]
fn a_day_is_closed_behind_all_that_ended_since() {
    const HOLDS: u128 = 50_000;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("gateway"), &options()).unwrap();
    let mut kernel = Kernel::open(store, domains::all(), Logic::CURRENT, JOURNAL).unwrap();
    let mut commands = opening(2).to_vec();
    let holds: Vec<Transfer> = (1..=HOLDS).map(|id| hold(id, 1, 2, 1, 60)).collect();
    let chunks = holds.chunks(8_000);
    commands.extend(chunks.map(|some| LedgerCommand::CreateTransfers(some.to_vec())));
    let noon = DAY.start().0 + 12 * 3_600_000;
    for (n, ledger) in commands.iter().enumerate() {
        let asked = command(&n.to_string(), noon, LEDGER_DOMAIN, ledger.encode());
        kernel.apply(&asked).unwrap();
        kernel.commit().unwrap();
    }
    let later = DAY.end().0;
    kernel.accept_time(UnixMillis(later)).unwrap();
    let sweep = LedgerCommand::Sweep.encode();
    let full = kernel.apply(&command("full", later, LEDGER_DOMAIN, sweep));
    assert!(matches!(full, Err(KernelError::GroupFull)), "{full:?}");
    drop(kernel);
    let through = DAY.to_string();
    let asked = ["close", "gateway", "--through", &through, "--accept-time"];
    let told = object(folder.path(), &[&asked[..], &["--json"]].concat());
    let close = told.pointer("/closes/0").unwrap();
    assert_eq!(close.pointer("/day").unwrap(), &through);
    assert_eq!(close.pointer("/records").unwrap(), HOLDS as u64);
    let audit = object(folder.path(), &["audit", "gateway", "--json"]);
    assert_eq!(audit.pointer("/close/hash"), close.pointer("/hash"));
}

/// Deadlines of holds that are not there: more than one command lets happen, and each sweep is rejected.
#[test]
fn what_is_overdue_and_rejected_is_told() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("gateway");
    let store = Store::open(&folder, &options()).unwrap();
    let mut kernel = Kernel::open(store, domains::all(), Logic::CURRENT, JOURNAL).unwrap();
    let mut commands = opening(2).to_vec();
    commands.push(LedgerCommand::CreateTransfers(vec![pay(1, 1, 2, 5)]));
    let noon = DAY.start().0 + 12 * 3_600_000;
    for (n, ledger) in commands.iter().enumerate() {
        let asked = command(&n.to_string(), noon, LEDGER_DOMAIN, ledger.encode());
        kernel.apply(&asked).unwrap();
    }
    kernel.commit().unwrap();
    drop(kernel);
    let mut writes = WriteSet::new();
    let at = u64::try_from(noon).unwrap();
    for id in 0..=EXPIRIES_MAX as u128 {
        let key = Encoder::new().u64(at).fixed(&id.to_be_bytes()).finish();
        let row = record::seal(Table::LedgerExpiry, &key, Vec::new());
        writes.put(Table::LedgerExpiry, key, row);
    }
    let database = folder.join(DATABASE_FOLDER);
    let mut engine = RocksEngine::open(&database, options().sizes).unwrap();
    engine.commit(&writes, Durability::Synced).unwrap();
    drop(engine);
    let through = DAY.to_string();
    let asked = ["close", "gateway", "--through", &through, "--accept-time"];
    let done = run(place.path(), &asked);
    let words = String::from_utf8_lossy(&done.stderr);
    let told = words
        .lines()
        .filter(|line| line.contains("what is overdue was rejected (entry "));
    assert_eq!(told.count(), 1, "{words}");
}
