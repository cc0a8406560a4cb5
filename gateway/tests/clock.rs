//! A wrong reading of the clock does not get into the journal.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use fixture::{command, decide, kernel};
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{
    BEHIND_MS_MAX, Command, IDLE_MS_MAX, JUMP_MS_MAX, Kernel, KernelError, Logic,
};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::JournalSeq;

/// A day of 2026.
const DAY: i64 = 1_795_000_000_000;

fn sweep(key: &str, at: i64) -> Command {
    command(key, at, LEDGER_DOMAIN, LedgerCommand::Sweep.encode())
}

fn refuses(kernel: &mut Kernel, at: i64) {
    let head = kernel.head();
    let refused = kernel.apply(&sweep("refused", at)).unwrap_err();
    assert!(matches!(refused, KernelError::Clock { read, .. } if read == at));
    assert!(!refused.is_fatal());
    assert_eq!(refused.exit_code(), 3);
    assert_eq!(kernel.head(), head);
    assert!(kernel.commit().unwrap().is_none());
}

#[test]
fn time_never_goes_back() {
    let disk = MemoryDisk::new();
    let mut kernel = kernel(&disk, Logic::CURRENT);
    for (key, at, time) in [("a", 10, 10), ("b", 4, 10), ("c", 11, 11)] {
        decide(&mut kernel, &sweep(key, at));
        assert_eq!(kernel.applied().time, UnixMillis(time));
    }
}

#[test]
fn a_reading_that_jumps_is_refused_and_the_next_right_one_is_not() {
    let disk = MemoryDisk::new();
    let mut kernel = kernel(&disk, Logic::CURRENT);
    refuses(&mut kernel, -1);
    decide(&mut kernel, &sweep("a", DAY));
    refuses(&mut kernel, DAY + JUMP_MS_MAX + 1);
    refuses(&mut kernel, i64::MAX);
    refuses(&mut kernel, i64::MIN);
    decide(&mut kernel, &sweep("b", DAY + JUMP_MS_MAX));
    assert_eq!(kernel.applied().time, UnixMillis(DAY + JUMP_MS_MAX));
}

/// Time would stand still, holds would not end, and nobody would notice.
#[test]
fn a_clock_that_is_set_back_is_refused_while_it_runs() {
    let disk = MemoryDisk::new();
    let mut kernel = kernel(&disk, Logic::CURRENT);
    decide(&mut kernel, &sweep("a", DAY));
    decide(&mut kernel, &sweep("b", DAY - BEHIND_MS_MAX));
    refuses(&mut kernel, DAY - BEHIND_MS_MAX - 1);
    decide(&mut kernel, &sweep("c", DAY + 1));
}

#[test]
fn a_jump_that_was_taken_and_set_right_keeps_nobody_from_starting() {
    let disk = MemoryDisk::new();
    let mut first = kernel(&disk, Logic::CURRENT);
    decide(&mut first, &sweep("a", DAY));
    decide(&mut first, &sweep("b", DAY + JUMP_MS_MAX));
    drop(first);
    let mut kernel = kernel(&disk, Logic::CURRENT);
    decide(&mut kernel, &sweep("c", DAY));
    assert_eq!(kernel.applied().time, UnixMillis(DAY + JUMP_MS_MAX));
}

#[test]
fn a_weekend_without_commands_is_no_jump() {
    let disk = MemoryDisk::new();
    let mut kernel = kernel(&disk, Logic::CURRENT);
    decide(&mut kernel, &sweep("a", DAY));
    for quarter in 1..=240 {
        kernel
            .tick(UnixMillis(DAY + quarter * JUMP_MS_MAX))
            .unwrap();
    }
    decide(&mut kernel, &sweep("b", DAY + 240 * JUMP_MS_MAX));
    assert_eq!(kernel.head().seq, JournalSeq(2));
}

#[test]
fn the_first_reading_is_compared_with_the_journal() {
    let disk = MemoryDisk::new();
    let mut first = kernel(&disk, Logic::CURRENT);
    decide(&mut first, &sweep("a", DAY));
    drop(first);
    let mut kernel = kernel(&disk, Logic::CURRENT);
    refuses(&mut kernel, DAY - BEHIND_MS_MAX - 1);
    refuses(&mut kernel, DAY + IDLE_MS_MAX + 1);
    kernel.tick(UnixMillis(DAY - BEHIND_MS_MAX)).unwrap();
    drop(kernel);
    let mut kernel = fixture::kernel(&disk, Logic::CURRENT);
    kernel.tick(UnixMillis(DAY + IDLE_MS_MAX)).unwrap();
}

#[test]
fn an_accepted_time_goes_on_where_the_journal_stands() {
    let disk = MemoryDisk::new();
    let mut first = kernel(&disk, Logic::CURRENT);
    decide(&mut first, &sweep("a", DAY));
    drop(first);
    let mut kernel = kernel(&disk, Logic::CURRENT);
    let early = DAY - 90 * IDLE_MS_MAX / 30;
    refuses(&mut kernel, early);
    assert!(kernel.accept_time(UnixMillis(-1)).is_err());
    kernel.accept_time(UnixMillis(early)).unwrap();
    decide(&mut kernel, &sweep("b", early));
    assert_eq!(kernel.applied().time, UnixMillis(DAY));
}
