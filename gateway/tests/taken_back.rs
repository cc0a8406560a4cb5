//! A journal that is made its folder's own again, cut off at each write: the folder is nothing that a
//! gateway starts on before the journal says from where it goes on, and it says so once.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use fixture::{JOURNAL, command, decide, store};
use khlong_crdt::time::UnixMillis;
use khlong_gateway::app::postgres::{Home, home, mark_copy};
use khlong_gateway::app::taking_back::make_own;
use khlong_gateway::domains;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{Kernel, Logic, epochs};
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{self, JournalSeq};

/// When the call was made that is cut off, and the one that ends it.
const FIRST: UnixMillis = UnixMillis(2_000_000_000_000);
const SECOND: UnixMillis = UnixMillis(2_000_000_060_000);

/// A folder with three entries of a journal that lay in a database.
fn copy() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let opened = Kernel::open(store(&disk), domains::all(), Logic::CURRENT, JOURNAL);
    let mut kernel = opened.unwrap();
    for key in ["first", "second", "third"] {
        let body = LedgerCommand::Sweep.encode();
        decide(&mut kernel, &command(key, 1_000_000, LEDGER_DOMAIN, body));
    }
    mark_copy(&mut kernel.into_store()).unwrap();
    disk
}

/// Begins with a failure of this write; whether the disk has it nevertheless is chosen. False if
/// there are not so many.
fn is_cut_off(write: u64, persisted: bool) -> bool {
    let disk = copy();
    let before = store(&disk);
    disk.inject_after(write, Fault::SyncError { persisted });
    let made = make_own(before, FIRST, JOURNAL);
    let is_cut_off = disk.fired(FaultKind::SyncError) > 0;
    assert_eq!(made.is_err(), is_cut_off, "{write} {persisted}");
    disk.forget_faults();
    disk.crash();
    let left = store(&disk);
    let mark = home(&left).unwrap();
    if mark == Home::Folder {
        drop(left);
    } else {
        let own = make_own(left, SECOND, JOURNAL).unwrap();
        // It goes on with the epoch of the first call, if that wrote it down.
        if let Home::Returning(epoch) = mark {
            assert_eq!(own.epoch, epoch, "{write} {persisted}");
        }
    }
    let after = store(&disk);
    assert_eq!(home(&after).unwrap(), Home::Folder, "{write} {persisted}");
    let begun: Vec<_> = epochs(&after).unwrap();
    let begun: Vec<_> = begun.iter().map(|it| (it.seq, it.number)).collect();
    let told = [(JournalSeq(4), after.identity().epoch)];
    assert_eq!(begun, told, "{write} {persisted}");
    assert!(after.identity().epoch >= 2_000_000_000);
    let head = journal::head(&after).unwrap().unwrap();
    assert_eq!(head.seq, JournalSeq(4), "{write} {persisted}");
    is_cut_off
}

#[test]
fn cut_off_at_any_write_the_folder_is_not_its_own_before_the_journal_says_so() {
    for persisted in [false, true] {
        let writes = (0..).find(|write| !is_cut_off(*write, persisted));
        // The mark, the log's epoch, the entry, and the mark again.
        assert!(writes >= Some(4), "{writes:?}");
    }
}
