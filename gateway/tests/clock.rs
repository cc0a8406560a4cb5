//! A wrong reading of the clock does not get into the journal.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;
mod program;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use fixture::{command, decide, kernel};
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{
    BEHIND_MS_MAX, Command, Doubt, EARLIEST_MS, IDLE_MS_MAX, JUMP_MS_MAX, Kernel, KernelError,
    Logic, QUIET_MS_MAX, STILL_MS_MAX,
};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::JournalSeq;
use khlong_store::store::Store;

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

/// Nothing else tells whether it is right.
#[test]
fn the_first_reading_beside_an_empty_journal_is_not_before_gateways_were() {
    for at in [-1, 0, EARLIEST_MS - 1] {
        let mut kernel = kernel(&MemoryDisk::new(), Logic::CURRENT);
        let refused = kernel.begin_time(UnixMillis(at)).unwrap_err();
        assert!(matches!(refused, KernelError::Early { read } if read == at));
        assert_eq!(refused.exit_code(), 3);
        let told = kernel.begin_time(UnixMillis(EARLIEST_MS)).unwrap();
        assert_eq!(told, Some(Doubt::Alone));
    }
}

/// Who starts again acknowledges it, and must be able to know.
#[test]
fn a_first_reading_that_is_taken_is_told_if_it_is_odd() {
    let disk = MemoryDisk::new();
    decide(&mut kernel(&disk, Logic::CURRENT), &sweep("a", DAY));
    for (at, expected) in [
        (DAY, None),
        (DAY - STILL_MS_MAX, None),
        (
            DAY - STILL_MS_MAX - 1,
            Some(Doubt::Behind(STILL_MS_MAX + 1)),
        ),
        (DAY - BEHIND_MS_MAX, Some(Doubt::Behind(BEHIND_MS_MAX))),
        (DAY + QUIET_MS_MAX, None),
        (DAY + QUIET_MS_MAX + 1, Some(Doubt::Ahead(QUIET_MS_MAX + 1))),
        (DAY + IDLE_MS_MAX, Some(Doubt::Ahead(IDLE_MS_MAX))),
    ] {
        let mut kernel = kernel(&disk, Logic::CURRENT);
        assert_eq!(kernel.begin_time(UnixMillis(at)).unwrap(), expected, "{at}");
    }
    for at in [DAY - BEHIND_MS_MAX - 1, DAY + IDLE_MS_MAX + 1] {
        let mut kernel = kernel(&disk, Logic::CURRENT);
        assert!(kernel.begin_time(UnixMillis(at)).is_err(), "{at}");
    }
}

/// A gateway whose last entry is `ahead` milliseconds ahead of this machine's clock; returns its time.
fn gateway(place: &Path, ahead: i64) -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = i64::try_from(since.as_millis()).unwrap();
    let store = Store::open(&place.join("data"), &fixture::options()).unwrap();
    let domains = khlong_gateway::domains::all();
    let mut kernel = Kernel::open(store, domains, Logic::CURRENT, fixture::JOURNAL).unwrap();
    decide(&mut kernel, &sweep("last", now + ahead));
    let text =
        "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[store]\nreserve = \"1MiB\"\n";
    std::fs::write(place.join("gateway.toml"), text).unwrap();
    now + ahead
}

/// What it logs up to the moment in which it serves.
fn logged(place: &Path) -> String {
    let mut child = Process::new(env!("CARGO_BIN_EXE_khlong-gateway"))
        .current_dir(place)
        .args(["run", "--config", "gateway.toml"])
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut words = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        words.push_str(&line);
        words.push('\n');
        if line.contains("the kernel is ready") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    words
}

const HOUR: i64 = 60 * 60 * 1_000;

#[test]
fn a_start_tells_what_is_odd_about_the_clock() {
    for (ahead, words) in [
        (-HOUR, None),
        (-5 * 24 * HOUR, Some("120 hours ahead")),
        (HOUR / 6, Some("time stands still")),
    ] {
        let place = tempfile::tempdir().unwrap();
        gateway(place.path(), ahead);
        let logged = logged(place.path());
        assert!(logged.contains("the kernel is ready"), "{logged}");
        match words {
            Some(words) => assert!(logged.contains(words), "{logged}"),
            None => assert!(!logged.contains("of the last entry"), "{logged}"),
        }
    }
}

#[test]
fn a_start_with_a_clock_that_cannot_be_right_ends_and_says_both_times() {
    for ahead in [HOUR, -31 * 24 * HOUR] {
        let place = tempfile::tempdir().unwrap();
        let last = gateway(place.path(), ahead);
        let run = ["run", "--config", "gateway.toml"];
        let (code, words) = program::refused(place.path(), &run);
        assert_eq!(code, 3, "{words}");
        assert!(words.contains("--accept-time"), "{words}");
        // The clock's, to the hour, and that of the last entry.
        let told = words.split_once("the clock says ").unwrap().1;
        let (read, rest) = told.split_once(", and the time was ").unwrap();
        let known = rest.split_once(';').unwrap().0;
        let [read, known] = [read, known].map(|it| it.parse::<jiff::Timestamp>().unwrap());
        assert_eq!(known.as_millisecond(), last);
        let off = (read.as_millisecond() - (last - ahead)).abs();
        assert!(off < HOUR / 2, "{words}");
    }
}

/// A command that writes is a start as well.
#[test]
fn a_command_that_writes_tells_what_is_odd_about_the_clock() {
    for (ahead, is_told) in [(-5 * 24 * HOUR, true), (-HOUR, false)] {
        let place = tempfile::tempdir().unwrap();
        gateway(place.path(), ahead);
        let done = program::run(place.path(), &["close", "data"]);
        let words = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{words}");
        let told = words.contains("120 hours ahead of the last entry");
        assert_eq!(told, is_told, "{words}");
    }
}
