//! A journal that was written once, and replays to the same state in every later release.
//!
//! `testdata/journal-1.txt` has an entry on each line: header, command and outcome, in
//! hexadecimal. Its first half was decided by the first rules, the second by the next ones,
//! with a transfer among them that the two decide differently.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;
mod golden_file;

use fixture::{Bank, JOURNAL, hold, kernel, options, pay, post, void, with};
use golden_file::{appended, assert_makes, hex};
use khlong_gateway::domains::all;
use khlong_gateway::domains::ledger::{
    AccountFlags, LedgerCommand, Transfer, TransferFlags, TransferResult as R,
};
use khlong_gateway::kernel::{Kernel, Logic, replay, state_hash};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::store::Store;

const GOLDEN: &str = include_str!("../testdata/journal-1.txt");
const HEAD: &str = "cf0b4a96c9af1a3ab28282ce4700670c37ffc76c47d2727936b96b0c737bdba5";
const STATE: &str = "c7576f008c2817f4364c069a86b9a3b6ea08ecdb77cf65f4e3b1d59a14c0c329";

#[test]
fn the_golden_journal_replays_to_a_fixed_state() {
    let (golden, head) = appended(GOLDEN);
    let disk = MemoryDisk::new();
    let mut again = kernel(&disk, Logic::CURRENT);
    assert_eq!(replay(&golden, &mut again).unwrap(), head);
    assert_eq!(hex(&head.hash), HEAD);
    assert_eq!(hex(&state_hash(again.store()).unwrap()), STATE);
    // On a disk it is the same, and for a release with domains that came later.
    let folder = tempfile::tempdir().unwrap();
    let other = Store::open(folder.path(), &options()).unwrap();
    let mut other = Kernel::open(other, all(), Logic::CURRENT, JOURNAL).unwrap();
    assert_eq!(replay(&golden, &mut other).unwrap(), head);
    assert_eq!(hex(&state_hash(other.store()).unwrap()), STATE);
}

fn act(bank: &mut Bank, first: u128) {
    let id = |n: u128| first + n;
    bank.send(&[
        pay(id(1), 1, 2, 10_000),
        pay(id(2), 2, 3, 3_000),
        hold(id(3), 2, 3, 5_000, 60),
        hold(id(4), 1, 3, 500, 2),
        pay(id(5), 2, 3, 99_900),
        pay(id(6), 1, 1, 1),
    ]);
    bank.now += 1_000;
    bank.send(&[
        with(post(id(7), id(3), 2_000), TransferFlags::LINKED),
        pay(id(8), 3, 1, 100),
        with(pay(id(9), 1, 2, 7), TransferFlags::LINKED),
        Transfer {
            code: 0,
            ..pay(id(10), 1, 2, 8)
        },
    ]);
    bank.now += 1_000;
    bank.send(&[hold(id(11), 3, 1, 200, 0), void(id(12), id(11))]);
    bank.ask(&LedgerCommand::Sweep);
}

/// The same commands make the same journal: what is written today is what was written then.
#[test]
fn the_golden_journal_is_what_its_commands_make() {
    let mut bank = Bank::under(Logic::V1, 1);
    bank.open(2, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
    bank.open(3, AccountFlags::HISTORY);
    act(&mut bank, 100);
    let nothing = with(pay(200, 1, 2, 9), TransferFlags::BALANCING_DEBIT);
    assert_eq!(bank.send_one(nothing), R::ExceedsCredits);
    let mut bank = bank.restart_under(Logic::V2);
    act(&mut bank, 300);
    assert_eq!(bank.send_one(Transfer { id: 201, ..nothing }), R::Ok);
    assert_makes(bank.kernel.store(), GOLDEN, "journal-1.txt");
}
