//! What runs and clients tell beside the auditor is planted once each, and found; an honest run is
//! told to be one. Here, since nobody outside reaches a gateway's disk or an answer on its way; the
//! rules of the auditor are planted in `simulations/tests/ledger`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use khlong_gateway::domains::ledger::LedgerCommand;
use khlong_gateway::kernel::Decided;
use khlong_store::engine::faults::Fault;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::{Direction, Durability};
use khlong_store::journal::JournalSeq;
use khlong_store::key::KeyRange;
use khlong_store::rows::Rows as _;
use khlong_store::store::Store;
use khlong_store::table::Table;

use super::finish::{compare, end, finish};
use super::gateway::{Answer, Committed, Reply, options};
use super::meaning::ASSETS;
use super::plan::{Doing, LedgerPlan, Moved, Opened, SCHEMA_VERSION, Step, Swarm, WORKLOAD};
use super::run::Run;
use crate::kernel::SECOND;
use crate::units::Span;

/// One client opens two accounts, and pays once; nothing goes wrong.
fn plan(gateways: u8, remote: bool, amount: u32) -> LedgerPlan {
    let ledger = ASSETS[0].0;
    let accounts = [1, 2].map(|id| Opened {
        id,
        ledger,
        flags: 0,
    });
    let paid = Moved {
        id: 1,
        debit: 1,
        credit: 2,
        amount: Some(amount),
        pending_id: 0,
        timeout_s: 0,
        ledger,
        flags: 0,
    };
    let client = 0;
    let doings = [
        Doing::Assets { client },
        Doing::Accounts {
            client,
            accounts: accounts.to_vec(),
        },
        Doing::Transfers {
            client,
            transfers: vec![paid],
        },
    ];
    let steps = (1..).zip(doings).map(|(second, what)| Step {
        at: Span(second * SECOND),
        what,
    });
    LedgerPlan {
        schema_version: SCHEMA_VERSION,
        workload: WORKLOAD.to_owned(),
        seed: 1,
        violations: Vec::new(),
        gateways,
        remote,
        clients: 1,
        swarm: Swarm {
            loss: 0.0,
            duplication: 0.0,
            propagation: Span(1_000),
            jitter: Span(0),
            commit: Span(200),
            shuffled: false,
        },
        steps: steps.collect(),
    }
}

/// Until everybody is answered.
fn driven(plan: &LedgerPlan) -> Run<'_> {
    let mut run = Run::begin(plan).unwrap();
    run.drive();
    let found: Vec<_> = run.auditor.findings.violations().iter().collect();
    assert!(found.is_empty(), "{found:?}");
    run
}

/// And every gateway has ended what it held.
fn ended(plan: &LedgerPlan) -> Run<'_> {
    let mut run = driven(plan);
    assert!(end(&mut run));
    run
}

#[track_caller]
fn assert_found(run: Run<'_>, checker: &str, words: &str) {
    let (found, _) = run.auditor.findings.into_parts();
    let is_it = |it: &String| it.starts_with(&format!("{checker}: ")) && it.contains(words);
    assert!(found.iter().any(is_it), "{found:?}");
}

/// Changes the last row of a table.
fn forge(store: &mut Store, table: Table, change: impl FnOnce(&mut Vec<u8>)) {
    let mut last = None;
    store
        .scan(
            table,
            &KeyRange::all(),
            Direction::Reverse,
            &mut |key, row| {
                last = Some((key.to_vec(), row.to_vec()));
                Ok(std::ops::ControlFlow::Break(()))
            },
        )
        .unwrap();
    let (key, mut row) = last.unwrap();
    change(&mut row);
    let mut batch = store.batch();
    batch.put(table, key, row).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
}

/// A gateway is started again, on a folder in which a balance is another one.
fn start_with_a_false_balance(run: &mut Run<'_>, place: usize) {
    let truly = run.truly();
    let gateway = &mut run.gateways[place];
    gateway.end();
    let mut store = Store::in_memory(&gateway.disk, &options()).unwrap();
    // `time 8 ‖ debits_pending 16 ‖ debits_posted 16 ‖ credits_pending 16 ‖ credits_posted 16 ‖ closed 1`.
    forge(&mut store, Table::LedgerBalance, |row| row[71] ^= 1);
    drop(store);
    gateway.start(truly, &mut run.auditor.findings).unwrap();
}

#[test]
fn an_honest_run_is_found_to_be_one() {
    for (gateways, remote) in [(1, false), (1, true), (2, true)] {
        let plan = plan(gateways, remote, 5);
        let mut run = driven(&plan);
        finish(&mut run);
        let (found, _) = run.auditor.findings.into_parts();
        assert_eq!(found, Vec::<String>::new());
    }
}

#[test]
fn a_question_that_is_never_answered() {
    let plan = plan(1, false, 5);
    let mut run = Run::begin(&plan).unwrap();
    // It is not sent, so nobody sends it again.
    let meaning = Some(LedgerCommand::Sweep);
    run.calls.command(0, meaning, &mut run.auditor);
    run.drive();
    assert_found(run, "liveness", "client 0 (call 0) asked and has no answer");
}

#[test]
fn an_answer_to_a_retry_that_is_another_one_and_answers_to_other_questions() {
    let decided = || {
        Answer::Decided(Decided {
            seq: JournalSeq(2),
            outcome: vec![9],
        })
    };
    for (call, answer, words) in [
        (0, decided(), "a retry was told something else (call 0)"),
        (0, Answer::KeyReused, "call 0 was told KeyReused"),
        (0, Answer::Balance(None), "call 0 was told Balance(None)"),
        // The key of the first command for another one, and a read.
        (3, decided(), "call 3 was told Decided"),
        (4, decided(), "call 4 was told Decided"),
    ] {
        let plan = plan(1, false, 5);
        let mut run = driven(&plan);
        assert_eq!(run.calls.reuse(0, 0), Some(3));
        assert_eq!(run.calls.read(0, 1, &run.auditor), 4);
        run.calls.told(&Reply { call, answer }, &mut run.auditor);
        assert_found(run, "answers", words);
    }
}

#[test]
fn another_journal_at_a_restart() {
    // Of the same name, with another payment in it.
    let others = plan(1, false, 6);
    let mut others = driven(&others);
    others.gateways[0].end();
    let plan_of_ours = plan(1, true, 5);
    let mut run = driven(&plan_of_ours);
    run.gateways[0].end();
    run.gateways[0].disk = others.gateways[0].disk.clone();
    run.start(0);
    assert_found(run, "kernel", "the views go to entry 3 of another journal");

    // Where it lies with the gateway: none at all.
    let plan = plan(1, false, 5);
    let mut run = driven(&plan);
    run.gateways[0].end();
    run.gateways[0].disk = MemoryDisk::new();
    run.start(0);
    assert_found(run, "journal", "it went to 3, and goes to 0");
}

#[test]
fn a_command_of_the_driver_that_is_rejected() {
    let plan = plan(1, false, 5);
    let mut run = driven(&plan);
    let call = run.calls.garbage(0, 7, &mut run.auditor);
    let (_, _, request) = run.calls.send(call).unwrap();
    let truly = run.truly();
    let gateway = &mut run.gateways[0];
    gateway.inbox.push_back(request);
    gateway.turn(truly).unwrap();
    // Nobody waits for it: as if the driver had asked.
    gateway.waiting.clear();
    assert!(matches!(gateway.commit(), Committed::Done));
    let stop = gateway.release().unwrap_err();
    run.stopped(0, stop);
    assert_found(run, "kernel", "driver: its own command, entry 4");
}

#[test]
fn a_journal_elsewhere_that_cannot_be_read() {
    let plan = plan(1, true, 5);
    let mut run = driven(&plan);
    let remote = run.remote.clone().unwrap();
    remote.forge(|store| {
        let mut batch = store.batch();
        batch
            .put(Table::Meta, b"journal".to_vec(), vec![1])
            .unwrap();
        let writes = batch.into_writes();
        store.commit(writes, Durability::Synced).unwrap();
    });
    run.absorb_remote(&remote);
    assert_found(run, "journal", "elsewhere, it cannot be read");
}

#[test]
fn gateways_that_cannot_end_or_are_not_there() {
    let plan = plan(1, false, 5);
    let mut run = driven(&plan);
    run.gateways[0].disk.inject(Fault::ReadError);
    finish(&mut run);
    assert_found(run, "end", "cores failed in a read");

    let mut run = ended(&plan);
    run.gateways.clear();
    compare(&mut run);
    assert_found(run, "end", "no gateway runs");
}

#[test]
fn gateways_that_stand_elsewhere_or_differ_and_journals_that_come_to_something_else() {
    let alone = plan(1, false, 5);
    let mut run = ended(&alone);
    let meaning = Some(LedgerCommand::CreateTransfers(Vec::new()));
    let call = run.calls.command(0, meaning, &mut run.auditor);
    let (_, _, request) = run.calls.send(call).unwrap();
    let truly = run.truly();
    let gateway = &mut run.gateways[0];
    gateway.inbox.push_back(request);
    gateway.turn(truly).unwrap();
    assert!(matches!(gateway.commit(), Committed::Done));
    compare(&mut run);
    assert_found(run, "replay", "a gateway is not where the journal ends");

    let two = plan(2, true, 5);
    let mut run = ended(&two);
    start_with_a_false_balance(&mut run, 1);
    compare(&mut run);
    assert_found(run, "replay", "two gateways of one journal differ");

    let mut run = ended(&alone);
    start_with_a_false_balance(&mut run, 0);
    compare(&mut run);
    assert_found(run, "replay", "the journal comes to another state");

    let elsewhere = plan(1, true, 5);
    let mut run = ended(&elsewhere);
    let remote = run.remote.clone().unwrap();
    remote.forge(|store| {
        forge(store, Table::Journal, |row| *row.last_mut().unwrap() ^= 1);
    });
    compare(&mut run);
    assert_found(run, "replay", "entry 3");
}
