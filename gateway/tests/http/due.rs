//! What the driver does by itself: more than one commit holds, what is rejected, and what takes long.

use std::future::Future as _;
use std::task::{Poll, Waker};
use std::time::Duration;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::app::limits::{FOLLOWER_DRAW, FOLLOWER_WAITS, OWN_PAUSE_MAX, OWN_PAUSE_MIN};
use khlong_gateway::domains;
use khlong_gateway::domains::books::Day;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, Ledger, LedgerCommand, transfer};
use khlong_gateway::kernel::{ApplyError, Context, Domain, Kernel, KernelError, Logic, Rejection};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::table::Table;
use serde_json::json;

use crate::days::{TODAY, Time, closes, kernel, start, start_on, start_with};
use crate::fixture::elsewhere::Elsewhere;
use crate::fixture::{JOURNAL, command, hold, opening, store};
use crate::server::{Server, pay, set_up};
use crate::until::until;

/// More than one commit sweeps.
const HOLDS: u128 = 50_000;
/// More than two.
const MANY_HOLDS: u128 = 120_000;

/// Holds that wait for a minute, at noon of a day.
fn hold_many(kernel: &mut Kernel, day: Day, holds: u128) {
    let mut commands = opening(2).to_vec();
    let ids: Vec<u128> = (1..=holds).collect();
    for some in ids.chunks(8_000) {
        let held = some.iter().map(|id| hold(*id, 1, 2, 1, 60));
        commands.push(LedgerCommand::CreateTransfers(held.collect()));
    }
    let noon = day.start().0 + 12 * 3_600_000;
    for (n, ledger) in commands.iter().enumerate() {
        kernel
            .apply(&command(
                &n.to_string(),
                noon,
                LEDGER_DOMAIN,
                ledger.encode(),
            ))
            .unwrap();
        kernel.commit().unwrap();
    }
}

#[test]
fn holds_that_ended_while_it_was_off_are_swept_and_the_day_is_closed() {
    let disk = MemoryDisk::new();
    let mut before = kernel(&disk, domains::all());
    hold_many(&mut before, TODAY, HOLDS);
    let later = TODAY.end().0;
    before.accept_time(UnixMillis(later)).unwrap();
    let sweep = LedgerCommand::Sweep.encode();
    let full = before.apply(&command("full", later, LEDGER_DOMAIN, sweep));
    assert!(matches!(full, Err(KernelError::GroupFull)), "{full:?}");
    drop(before);
    // No client writes, and no time passes.
    let server = start(&disk, &Time::at(later));
    until("the day is closed", || {
        server.get("/v1/books/closes").json()["closes"] != json!([])
    });
    let close = closes(&server, 1).remove(0);
    assert_eq!(close["records"].as_u64().unwrap(), HOLDS as u64);
    assert_eq!(server.balance(1, "debits_pending"), "0");
    server.stop().unwrap();
}

/// Who asks before all is swept waits, and is not told that the gateway is busy; a read comes between,
/// and those who wait are answered in the order in which they came.
#[test]
fn a_client_waits_for_what_expires_before_it_however_much_that_is() {
    let disk = MemoryDisk::new();
    let mut before = kernel(&disk, domains::all());
    hold_many(&mut before, TODAY, MANY_HOLDS);
    let entry = before.head().seq.0;
    drop(before);
    let noon = TODAY.start().0 + 12 * 3_600_000;
    let time = Time::at(noon + 30_000);
    let server = start(&disk, &time);
    let held = server.hold_driver();
    time.pass(60_000);
    let handle = server.handle.clone();
    let mut writes: Vec<_> = (1..=3_u128)
        .map(|n| {
            let asked =
                LedgerCommand::CreateTransfers(vec![crate::fixture::pay(1_000_000 + n, 1, 2, n)]);
            let key = format!("late {n}");
            Box::pin(handle.write(command(&key, 0, LEDGER_DOMAIN, asked.encode())))
        })
        .collect();
    let mut context = std::task::Context::from_waker(Waker::noop());
    for write in &mut writes {
        assert!(write.as_mut().poll(&mut context).is_pending());
    }
    // By its place in the queue it belongs to the same turn.
    let read = server
        .handle
        .begin_read(|committed| transfer(committed.store, 1_000_001).unwrap().is_some())
        .unwrap();
    held.let_go();
    assert!(!read.blocking_recv().unwrap(), "reads come between");
    let mut decided = Vec::new();
    until("all are answered", || {
        let first = writes
            .first_mut()
            .map(|write| write.as_mut().poll(&mut context));
        if let Some(Poll::Ready(answer)) = first {
            drop(writes.remove(0));
            decided.push(answer.unwrap().seq.0);
        }
        writes.is_empty()
    });
    // Each sweep is an entry.
    let swept = u64::try_from(MANY_HOLDS).unwrap() / 2_048;
    assert!(decided[0] > entry + swept, "{decided:?}");
    assert_eq!(decided[1..], [decided[0] + 1, decided[0] + 2]);
    assert_eq!(server.balance(1, "debits_pending"), "0");
    assert_eq!(server.balance(1, "debits_posted"), "6");
    server.stop().unwrap();
}

/// A domain that always wants something, and always rejects it.
struct Stubborn;

/// One that always wants something that takes ten seconds.
struct Slow(Time);

impl Domain for Stubborn {
    fn number(&self) -> u8 {
        200
    }

    fn tables(&self) -> &'static [Table] {
        &[]
    }

    fn apply(&mut self, _: &mut Context<'_, '_>, _: &[u8]) -> Result<Vec<u8>, ApplyError> {
        Err(ApplyError::Rejected(Rejection::Invariant))
    }

    fn roll_back(&mut self) {}

    fn next_deadline(&self, _: &dyn Rows) -> Result<Option<UnixMillis>, StoreError> {
        Ok(Some(UnixMillis(0)))
    }

    fn due(&self) -> Option<Vec<u8>> {
        Some(Vec::new())
    }
}

impl Domain for Slow {
    fn number(&self) -> u8 {
        Stubborn.number()
    }

    fn tables(&self) -> &'static [Table] {
        Stubborn.tables()
    }

    fn apply(&mut self, _: &mut Context<'_, '_>, _: &[u8]) -> Result<Vec<u8>, ApplyError> {
        self.0.pass(10_000);
        Ok(Vec::new())
    }

    fn roll_back(&mut self) {}

    fn next_deadline(&self, rows: &dyn Rows) -> Result<Option<UnixMillis>, StoreError> {
        Stubborn.next_deadline(rows)
    }

    fn due(&self) -> Option<Vec<u8>> {
        Stubborn.due()
    }
}

/// How many entries there are. The driver has looked at its clock before it tells.
pub(crate) fn entries(server: &Server) -> u64 {
    let head = server.get("/v1/journal/head").json();
    head["entry"].as_u64().unwrap()
}

/// In steps that a clock may take.
pub(crate) fn pass(server: &Server, time: &Time, length: Duration) {
    let mut left = i64::try_from(length.as_millis()).unwrap();
    while left > 0 {
        let step = left.min(14 * 60_000);
        time.pass(step);
        entries(server);
        left -= step;
    }
}

#[test]
fn what_is_rejected_is_tried_again_after_a_pause_that_grows() {
    let time = Time::at(TODAY.start().0);
    let server = start_with(&MemoryDisk::new(), &time, || vec![Box::new(Stubborn)]);
    assert_eq!(entries(&server), 1);
    let second = Duration::from_secs(1);
    let minutes = [1, 2, 4, 8, 16, 32, 60, 60].map(|minutes| Duration::from_secs(60 * minutes));
    for (tries, pause) in (1..).zip(minutes) {
        pass(&server, &time, pause - second);
        assert_eq!(entries(&server), tries, "before {pause:?} are over");
        pass(&server, &time, second);
        assert_eq!(entries(&server), tries + 1, "after {pause:?}");
    }
    assert_eq!((minutes[0], minutes[7]), (OWN_PAUSE_MIN, OWN_PAUSE_MAX));
    server.stop().unwrap();
}

#[test]
fn what_takes_long_is_followed_by_a_rest_as_long() {
    let time = Time::at(TODAY.start().0);
    let slow = Slow(time.clone());
    let server = start_with(&MemoryDisk::new(), &time, || vec![Box::new(slow)]);
    assert_eq!(entries(&server), 1);
    for done in 1..4 {
        time.pass(9_999);
        assert_eq!(entries(&server), done);
        time.pass(1);
        assert_eq!(entries(&server), done + 1);
    }
    server.stop().unwrap();
}

#[test]
fn a_domain_that_rejects_what_is_due_keeps_no_other_from_it() {
    let time = Time::at(TODAY.start().0);
    let server = start_with(&MemoryDisk::new(), &time, || {
        vec![Box::new(Stubborn), Box::new(Ledger::without_owners())]
    });
    set_up(server.address, 2);
    let mut hold = pay(1, 1, 2, 100);
    hold["flags"] = json!(["pending"]);
    hold["timeout"] = json!(1);
    assert_eq!(server.send("hold", json!([hold])).results(), ["ok"]);
    let before = entries(&server);
    time.pass(1_000);
    // Nobody writes: the driver sweeps by itself.
    until("the hold expires", || {
        server.get("/v1/ledger/transfers/1").json()["state"] == "expired"
    });
    assert_eq!(entries(&server), before + 1, "the other is left alone");
    server.stop().unwrap();
}

fn beside(disk: &MemoryDisk, elsewhere: &Elsewhere, time: &Time) -> Server {
    let (disk, journal) = (disk.clone(), Box::new(elsewhere.clone()));
    start_on(time, move || {
        Kernel::open_with(
            journal,
            store(&disk),
            domains::all(),
            Logic::CURRENT,
            JOURNAL,
        )
        .unwrap()
    })
}

/// What was missed is due for both at once. Neither does it before the other had its time to, and
/// who is late leaves it to the one that began.
#[test]
fn of_two_on_one_journal_one_closes_the_days_that_both_missed() {
    let (elsewhere, time) = (Elsewhere::new(), Time::at(TODAY.start().0 + 12 * 3_600_000));
    let disks = [MemoryDisk::new(), MemoryDisk::new()];
    let first = beside(&disks[0], &elsewhere, &time);
    set_up(first.address, 2);
    assert_eq!(
        first.send("one", json!([pay(1, 1, 2, 5)])).results(),
        ["ok"]
    );
    let before = entries(&first);
    first.stop().unwrap();
    time.pass(2 * 86_400_000);
    let both = disks.map(|disk| beside(&disk, &elsewhere, &time));
    let closed = |server: &Server| {
        let page = server.get("/v1/books/closes").json();
        page["closes"].as_array().unwrap().len()
    };
    for _ in 0..10 {
        for server in &both {
            assert_eq!(closed(server), 0);
        }
        time.pass(FOLLOWER_WAITS.as_millis() as i64 / 10 - 1);
    }
    // Now both have waited: whoever comes second looks first whether the other one has acted.
    time.pass(FOLLOWER_DRAW.as_millis() as i64 + 100);
    for server in &both {
        closes(server, 2);
        assert_eq!(entries(server), before + 2, "each day once");
    }
    for server in both {
        server.stop().unwrap();
    }
}
