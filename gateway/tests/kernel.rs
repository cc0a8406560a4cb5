//! The kernel: one order, one outcome, and nothing leaves before it is durable.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use fixture::odd::{
    CHAIN, FINE, FLOOD, INVARIANT, LARGE_ROW, LISTENER, LONG_EVENTS, LONG_KEY, LONG_LETTER,
    Listener, MANY_BYTES, MANY_ROWS, ODD, Odd, PANIC, PING, TELL, TELL_BADLY, TRESPASS,
    TRESPASS_DELETE,
};
use fixture::{Bank, JOURNAL, command, decide, domains, kernel, options, pay, store};
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{
    BODY_BYTES_MAX, Domain, GROUP_COMMANDS_MAX, Housekeeping, KERNEL_DOMAIN, Kernel, KernelError,
    Logic, Outcome, Proposal, Rejection, SideEffect, known_keys, replay, state_hash,
    waiting_outbox,
};
use khlong_store::engine::faults::Fault;
use khlong_store::engine::memory::{MemoryDisk, MemoryEngine};
use khlong_store::engine::{Durability, Engine as _};
use khlong_store::journal::{self, JournalError, JournalSeq};
use khlong_store::key::Encoder;
use khlong_store::rows::Rows as _;
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::write_set::WriteSet;

fn odd_kernel(disk: &MemoryDisk) -> Kernel {
    let domains: Vec<Box<dyn Domain>> = vec![Box::new(Odd), Box::new(Listener)];
    Kernel::open(store(disk), domains, Logic::CURRENT, JOURNAL).unwrap()
}

fn outcome_of(kernel: &mut Kernel, key: &str, domain: u8, body: &[u8]) -> Outcome {
    let command = command(key, 5, domain, body.to_vec());
    decide(kernel, &command).outcome().unwrap()
}

/// Rows of the odd domains and side effects that wait.
fn traces(kernel: &Kernel, seq: u64) -> (bool, bool, usize) {
    let has = |of: u8| {
        let key = Encoder::new().u64(seq).u8(of).finish();
        let table = if of == ODD {
            Table::LedgerAccount
        } else {
            Table::LedgerAsset
        };
        kernel.store().get(table, &key).unwrap().is_some()
    };
    (
        has(ODD),
        has(LISTENER),
        waiting_outbox(kernel.store(), 10_000).unwrap().len(),
    )
}

#[test]
fn poison_is_a_rejection_that_leaves_nothing_and_replays_the_same() {
    let disk = MemoryDisk::new();
    let mut kernel = odd_kernel(&disk);
    for (key, domain, body, rejection) in [
        ("a", ODD, PANIC, Rejection::Panicked),
        ("b", ODD, INVARIANT, Rejection::Invariant),
        ("c", ODD, FLOOD, Rejection::TooLarge),
        ("h", ODD, TRESPASS, Rejection::ForeignTable),
        ("i", ODD, TRESPASS_DELETE, Rejection::ForeignTable),
        ("j", ODD, LARGE_ROW, Rejection::TooLarge),
        ("k", ODD, LONG_KEY, Rejection::TooLarge),
        ("l", ODD, MANY_ROWS, Rejection::TooLarge),
        ("m", ODD, MANY_BYTES, Rejection::TooLarge),
        ("n", ODD, LONG_LETTER, Rejection::TooLarge),
        ("o", ODD, LONG_EVENTS, Rejection::TooLarge),
        ("p", ODD, PING, Rejection::TooLarge),
        ("d", ODD, TELL_BADLY, Rejection::Invariant),
        ("e", 99, FINE, Rejection::UnknownDomain),
        ("f", KERNEL_DOMAIN, b"nonsense", Rejection::Malformed),
    ] {
        let outcome = outcome_of(&mut kernel, key, domain, body);
        assert_eq!(outcome, Outcome::Rejected(rejection));
        assert_eq!(traces(&kernel, kernel.applied().seq.0), (false, false, 0));
    }
    assert_eq!(
        outcome_of(&mut kernel, "g", ODD, TELL),
        Outcome::Done(TELL.to_vec())
    );
    assert_eq!(traces(&kernel, 16), (true, true, 1));
    let other = MemoryDisk::new();
    let mut again = odd_kernel(&other);
    let head = replay(kernel.store(), &mut again).unwrap();
    assert_eq!(head, kernel.head());
    assert_eq!(
        state_hash(again.store()).unwrap(),
        state_hash(kernel.store()).unwrap()
    );
}

#[test]
fn what_an_observer_sends_and_tells_is_its_own() {
    let disk = MemoryDisk::new();
    let mut kernel = odd_kernel(&disk);
    assert_eq!(
        outcome_of(&mut kernel, "a", ODD, CHAIN),
        Outcome::Done(CHAIN.to_vec())
    );
    let senders: Vec<_> = waiting_outbox(kernel.store(), 10)
        .unwrap()
        .iter()
        .map(|waiting| waiting.domain)
        .collect();
    assert_eq!(senders, [ODD, LISTENER]);
    // The odd one was told what the listener told on.
    let key = Encoder::new().u64(1).u8(LISTENER).finish();
    let heard = kernel.store().get(Table::LedgerAccount, &key).unwrap();
    assert!(heard.is_some());
}

#[test]
fn a_side_effect_waits_under_a_stable_key_until_it_is_settled() {
    let disk = MemoryDisk::new();
    let mut kernel = odd_kernel(&disk);
    outcome_of(&mut kernel, "a", ODD, FINE);
    let waiting = waiting_outbox(kernel.store(), 10).unwrap();
    let letter = SideEffect {
        seq: JournalSeq(1),
        n: 0,
        domain: ODD,
        message: b"a letter".to_vec(),
    };
    assert_eq!(waiting, [letter]);
    let settle = Housekeeping::Settle {
        seq: JournalSeq(1),
        n: 0,
    };
    for (key, was_there) in [("b", 1), ("c", 0)] {
        assert_eq!(
            outcome_of(&mut kernel, key, KERNEL_DOMAIN, &settle.encode()),
            Outcome::Done(vec![was_there])
        );
    }
    assert_eq!(waiting_outbox(kernel.store(), 10).unwrap(), []);
}

#[test]
fn a_key_stands_for_one_command_also_after_a_restart() {
    let disk = MemoryDisk::new();
    let mut kernel = odd_kernel(&disk);
    let first = command("key", 5, ODD, FINE.to_vec());
    assert_eq!(kernel.propose(&first).unwrap(), Proposal::Admitted);
    // Both in one group: the second is answered as the first, and is no entry.
    kernel.apply(&first).unwrap();
    kernel.apply(&first).unwrap();
    kernel.commit().unwrap();
    let released = kernel.release();
    assert_eq!(released.len(), 2);
    assert_eq!(released[0].decided, released[1].decided);
    assert_eq!(kernel.head().seq, JournalSeq(1));
    drop(kernel);
    let mut kernel = odd_kernel(&disk);
    let later = command("key", 99, ODD, FINE.to_vec());
    assert_eq!(
        kernel.propose(&later).unwrap(),
        Proposal::Known(released[0].decided.clone())
    );
    assert_eq!(decide(&mut kernel, &later), released[0].decided);
    for other in [
        command("key", 5, ODD, TELL.to_vec()),
        command("key", 5, LISTENER, FINE.to_vec()),
    ] {
        assert!(matches!(
            kernel.propose(&other),
            Err(KernelError::KeyReused { seq: 1 })
        ));
        assert!(matches!(
            kernel.apply(&other),
            Err(KernelError::KeyReused { seq: 1 })
        ));
    }
    // Another caller's key is another key, wherever its name ends.
    let mut other = command("key", 5, ODD, TELL.to_vec());
    other.caller = b"testss".to_vec();
    other.scope = b"cope".to_vec();
    assert_eq!(decide(&mut kernel, &other).seq, JournalSeq(2));
}

#[test]
fn keys_are_forgotten_by_a_command_the_old_ones_only() {
    let disk = MemoryDisk::new();
    let mut kernel = odd_kernel(&disk);
    for (key, at) in [("old", 10), ("new", 20)] {
        decide(&mut kernel, &command(key, at, ODD, FINE.to_vec()));
    }
    let known = |kernel: &Kernel, from| {
        let (keys, oldest) = known_keys(kernel.store(), kernel.head().seq, from).unwrap();
        (keys, oldest.0)
    };
    assert_eq!(known(&kernel, JournalSeq(0)), (2, 1));
    let evict = Housekeeping::Evict {
        before: UnixMillis(20),
    };
    assert_eq!(
        decide(
            &mut kernel,
            &command("evict", 30, KERNEL_DOMAIN, evict.encode())
        )
        .outcome(),
        Some(Outcome::Done(vec![0, 0, 0, 1]))
    );
    // The new one, and that of the command itself. What is before an earlier answer is not looked at.
    for (from, found) in [(0, (2, 2)), (2, (2, 2)), (3, (1, 3)), (4, (0, 4))] {
        assert_eq!(known(&kernel, JournalSeq(from)), found, "{from}");
    }
    let proposed = |key| {
        kernel
            .propose(&command(key, 40, ODD, FINE.to_vec()))
            .unwrap()
    };
    assert_eq!(proposed("old"), Proposal::Admitted);
    assert!(matches!(proposed("new"), Proposal::Known(_)));
}

#[test]
fn limits_are_said_before_anything_is_decided() {
    let disk = MemoryDisk::new();
    let mut kernel = odd_kernel(&disk);
    let mut long = command("k", 1, ODD, vec![0; BODY_BYTES_MAX + 1]);
    assert!(matches!(
        kernel.apply(&long),
        Err(KernelError::Unfit { .. })
    ));
    long.body.pop();
    long.scope = vec![1; 256];
    assert!(matches!(
        kernel.apply(&long),
        Err(KernelError::Unfit { .. })
    ));
    let nameless = command("", 1, ODD, Vec::new());
    assert!(matches!(
        kernel.propose(&nameless),
        Err(KernelError::Unfit { .. })
    ));
    let again = command("k", 1, ODD, Vec::new());
    for _ in 0..GROUP_COMMANDS_MAX {
        kernel.apply(&again).unwrap();
    }
    assert!(matches!(kernel.apply(&again), Err(KernelError::GroupFull)));
    kernel.commit().unwrap();
    kernel.apply(&again).unwrap();
}

#[test]
fn nothing_is_released_without_its_commit() {
    let disk = MemoryDisk::new();
    let mut kernel = odd_kernel(&disk);
    kernel.apply(&command("a", 1, ODD, FINE.to_vec())).unwrap();
    assert!(kernel.release().is_empty());
    disk.inject(Fault::SyncError { persisted: true });
    assert!(kernel.commit().is_err());
    assert!(kernel.release().is_empty());
    assert!(matches!(kernel.commit(), Err(KernelError::Broken)));
    assert!(matches!(
        kernel.apply(&command("b", 1, ODD, FINE.to_vec())),
        Err(KernelError::Broken)
    ));
}

#[test]
fn a_commit_that_wrote_nothing_is_tried_again() {
    let disk = MemoryDisk::new();
    let mut kernel = odd_kernel(&disk);
    kernel.apply(&command("a", 1, ODD, FINE.to_vec())).unwrap();
    for fault in [Fault::Stall, Fault::Stall] {
        disk.inject(fault);
        assert!(!kernel.commit().unwrap_err().is_fatal());
        assert!(kernel.release().is_empty());
    }
    kernel.commit().unwrap();
    assert_eq!(kernel.release().len(), 1);
    drop(kernel);
    assert_eq!(odd_kernel(&disk).head().seq, JournalSeq(1));
}

#[test]
fn a_gateway_does_not_start_on_a_damaged_journal() {
    let mut bank = Bank::new(2);
    bank.send_one(pay(1, 1, 2, 5));
    let disk = bank.disk.clone();
    drop(bank);
    let mut engine = MemoryEngine::open(&disk, 0).unwrap();
    let key = Encoder::new().u64(3).finish();
    let mut record = engine.get(Table::Journal, &key).unwrap().unwrap();
    record[60] ^= 1;
    let mut writes = WriteSet::new();
    writes.put(Table::Journal, key, record);
    engine.commit(&writes, Durability::Synced).unwrap();
    drop(engine);
    let refused = Kernel::open(store(&disk), domains(), Logic::CURRENT, JOURNAL);
    let Some(KernelError::Journal(error @ JournalError::Broken { seq: 3, .. })) = refused.err()
    else {
        panic!("the damage is not named");
    };
    assert_eq!(error.exit_code(), 9);
}

#[test]
fn a_replay_on_a_second_folder_gives_the_same_hashes() {
    let mut bank = Bank::new(4);
    for id in 1..40 {
        bank.send(&[
            pay(2 * id, 1 + id % 4, 1 + (id + 1) % 4, id),
            fixture::hold(
                2 * id + 1,
                1 + id % 4,
                1 + (id + 2) % 4,
                3,
                1 + (id % 3) as u32,
            ),
        ]);
        bank.now += 700;
    }
    let folder = tempfile::tempdir().unwrap();
    let other = Store::open(folder.path(), &options()).unwrap();
    let mut again = Kernel::open(other, domains(), Logic::CURRENT, JOURNAL).unwrap();
    let head = replay(bank.kernel.store(), &mut again).unwrap();
    assert_eq!(head, bank.kernel.head());
    assert_eq!(journal::verify(again.store()).unwrap(), head);
    assert_eq!(
        state_hash(again.store()).unwrap(),
        state_hash(bank.kernel.store()).unwrap()
    );
    // The same state, and one transfer more: another hash.
    let before = state_hash(bank.kernel.store()).unwrap();
    bank.send_one(pay(1_000, 1, 2, 1));
    assert_ne!(state_hash(bank.kernel.store()).unwrap(), before);
}

#[test]
fn a_replay_that_comes_to_something_else_says_where() {
    let disk = MemoryDisk::new();
    let mut kernel = odd_kernel(&disk);
    outcome_of(&mut kernel, "a", ODD, FINE);
    outcome_of(&mut kernel, "b", ODD, TELL);
    let other = MemoryDisk::new();
    // Without the domain that decided them.
    let mut again = fixture::kernel(&other, Logic::CURRENT);
    assert!(matches!(
        replay(kernel.store(), &mut again),
        Err(KernelError::Diverged { seq: 1 })
    ));
}

#[test]
fn what_was_refused_stays_refused_in_a_release_that_could_carry_it_out() {
    let (disk, other) = (MemoryDisk::new(), MemoryDisk::new());
    let mut before = fixture::kernel(&disk, Logic::CURRENT);
    let outcome = outcome_of(&mut before, "a", ODD, FINE);
    assert_eq!(outcome, Outcome::Rejected(Rejection::UnknownDomain));
    let mut after = odd_kernel(&other);
    assert_eq!(replay(before.store(), &mut after).unwrap(), before.head());
    assert_eq!(traces(&after, 1), (false, false, 0));
}

#[test]
fn the_ledger_says_when_it_wants_a_command() {
    let mut bank = Bank::new(2);
    assert_eq!(bank.kernel.next_deadline().unwrap(), None);
    bank.send_one(fixture::hold(1, 1, 2, 5, 3));
    let due = UnixMillis(bank.now + 3_000);
    assert_eq!(bank.kernel.next_deadline().unwrap(), Some(due));
    assert_eq!(bank.kernel.due(UnixMillis(due.0 - 1)).unwrap(), []);
    let (domain, body) = bank.kernel.due(due).unwrap().remove(0);
    decide(&mut bank.kernel, &command("due", due.0, domain, body));
    assert_eq!(bank.kernel.next_deadline().unwrap(), None);
    assert_eq!(bank.kernel.due(due).unwrap(), []);
    assert_eq!(bank.balances(1), [0; 4]);
}

#[test]
fn a_malformed_body_is_rejected_in_the_journal() {
    let disk = MemoryDisk::new();
    let mut kernel = kernel(&disk, Logic::CURRENT);
    let good = LedgerCommand::CreateTransfers(vec![pay(1, 1, 2, 3)]).encode();
    for (n, length) in (0..good.len()).enumerate() {
        let outcome = outcome_of(
            &mut kernel,
            &format!("k{n}"),
            LEDGER_DOMAIN,
            &good[..length],
        );
        assert_eq!(outcome, Outcome::Rejected(Rejection::Malformed));
    }
    let mut long = good;
    long.push(0);
    let outcome = outcome_of(&mut kernel, "long", LEDGER_DOMAIN, &long);
    assert_eq!(outcome, Outcome::Rejected(Rejection::Malformed));
    assert_eq!(kernel.head().seq, JournalSeq(125));
}
