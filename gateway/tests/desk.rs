//! Commands that write to a folder whose gateway does not run: which they refuse, and one in which much
//! has ended meanwhile.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;
mod program;

use fixture::{JOURNAL, command, hold, opening, options};
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains;
use khlong_gateway::domains::books::Day;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand, Transfer};
use khlong_gateway::kernel::{Kernel, KernelError, Logic};
use khlong_store::journal;
use khlong_store::peek::Peek;
use khlong_store::store::Store;
use program::{object, refused};

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
