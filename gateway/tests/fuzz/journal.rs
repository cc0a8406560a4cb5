//! Commands and outcomes as they stand in the journal, and a kernel that decides them.

use khlong_gateway::domains::ledger::{
    AccountFlags, Failures, LEDGER_DOMAIN, LedgerCommand, totals,
};
use khlong_gateway::kernel::{
    Housekeeping, KERNEL_DOMAIN, KernelError, Logic, Notice, Outcome, Rejection, replay, state_hash,
};
use khlong_store::engine::Durability;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{self, Entry};
use khlong_store::store::Store;

use crate::fixture::{Bank, JOURNAL, command, decide, hold, kernel, pay, store};
use crate::fuzzing::fuzz;

const GOLDEN: &str = include_str!("../../testdata/journal-1.txt");

/// Header, command and outcome of each entry of the frozen journal.
fn golden() -> Vec<[Vec<u8>; 3]> {
    let unhex = |text: &str| -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let entry = |line: &str| {
        let mut fields = line.split(' ').map(unhex);
        [(); 3].map(|()| fields.next().unwrap())
    };
    GOLDEN.lines().map(entry).collect()
}

fuzz!(fuzz_command, 3_000, bodies(), body);

/// The number of its domain, then the body of a command; and outcomes.
fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    for [_, command, outcome] in golden() {
        bodies.extend([command, outcome]);
    }
    let housekeeping = [
        Housekeeping::Evict {
            before: khlong_crdt::time::UnixMillis(5),
        },
        Housekeeping::Settle {
            seq: journal::JournalSeq(3),
            n: 1,
        },
    ];
    let notice = Notice {
        topic: "books.day_closed".to_owned(),
        data: r#"{"day":"2026-11-30"}"#.to_owned(),
    };
    bodies.push(notice.encode());
    let housekeeping = housekeeping.map(|command| command.encode());
    bodies.extend(housekeeping.map(|body| [&[KERNEL_DOMAIN][..], &body].concat()));
    bodies
}

fn body(bytes: &[u8]) {
    let rest = bytes.get(1..).unwrap_or_default();
    for body in [bytes, rest] {
        if let Some(command) = LedgerCommand::decode(body) {
            assert_eq!(command.encode(), body, "one form");
        }
        if let Some(command) = Housekeeping::decode(body) {
            assert_eq!(command.encode(), body, "one form");
        }
        if let Some(failures) = Failures::decode(body) {
            assert_eq!(failures.encode(), body, "one form");
        }
        if let Some(notice) = Notice::decode(body) {
            assert_eq!(notice.encode(), body, "one form");
        }
        if let Some(outcome) = Outcome::decode(body) {
            assert_eq!(outcome.encode(), body, "one form");
        }
    }
}

fuzz!(fuzz_kernel, 100, bodies(), decided);

/// Any command has an outcome, the books balance, and a second kernel comes to the same.
fn decided(input: &[u8]) {
    let Some((domain, body)) = input.split_first() else {
        return;
    };
    let mut bank = Bank::new(2);
    bank.open(3, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
    bank.send(&[pay(100, 1, 2, 10_000), hold(103, 2, 1, 5_000, 60)]);
    for (key, domain) in [("as it is", *domain), ("ledger", LEDGER_DOMAIN)] {
        let command = command(key, bank.now, domain, body.to_vec());
        let outcome = decide(&mut bank.kernel, &command).outcome().unwrap();
        assert!(
            !matches!(
                outcome,
                Outcome::Rejected(Rejection::Panicked | Rejection::Invariant)
            ),
            "{outcome:?}"
        );
        bank.assert_balanced();
    }
    let mut again = kernel(&MemoryDisk::new(), Logic::CURRENT);
    replay(bank.kernel.store(), &mut again).unwrap();
    let state = state_hash(again.store()).unwrap();
    assert_eq!(state, state_hash(bank.kernel.store()).unwrap());
}

fuzz!(fuzz_journal, 60, journals(), replayed);

/// `header length 1 ‖ command length 2 ‖ outcome length 1 ‖ header ‖ command ‖ outcome`, each.
fn journals() -> Vec<Vec<u8>> {
    let entry = |[header, command, outcome]: [Vec<u8>; 3]| {
        let short = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        let [high, low] = u16::try_from(command.len()).unwrap().to_be_bytes();
        let lengths = [short(&header), high, low, short(&outcome)];
        [&lengths[..], &header, &command, &outcome].concat()
    };
    vec![golden().into_iter().flat_map(entry).collect()]
}

/// What is there; a length beyond it takes all that is left.
fn entries(mut input: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some(([header, high, low, outcome], rest)) = input.split_first_chunk() {
        let command = u16::from_be_bytes([*high, *low]);
        let mut rest = rest;
        let mut take = |length: usize| {
            let (field, after) = rest.split_at(rest.len().min(length));
            rest = after;
            field.to_vec()
        };
        entries.push(Entry {
            header: take(usize::from(*header)),
            command: take(usize::from(command)),
            outcome: take(usize::from(*outcome)),
        });
        input = rest;
        if entries.len() == 64 {
            break;
        }
    }
    entries
}

fn written(entries: &[Entry]) -> Store {
    let mut store = store(&MemoryDisk::new());
    let mut batch = store.batch();
    let head = journal::create(&mut batch, JOURNAL).unwrap();
    journal::append(&mut batch, head.seq, entries).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    store
}

/// A journal that hashes right and says anything: it replays to what stands in it, or names
/// the entry that does not.
fn replayed(input: &[u8]) {
    let source = written(&entries(input));
    let disk = MemoryDisk::new();
    let mut again = kernel(&disk, Logic::CURRENT);
    match replay(&source, &mut again) {
        Ok(head) => assert_eq!(head, journal::verify(&source).unwrap()),
        Err(KernelError::UnknownEntry { seq } | KernelError::Diverged { seq }) => {
            assert!(seq <= journal::verify(&source).unwrap().seq.0);
        }
        Err(KernelError::Unfit { .. } | KernelError::KeyReused { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
    for (ledger, totals) in totals(again.store()).unwrap() {
        assert!(totals.is_balanced(), "asset {ledger}: {totals:?}");
    }
}
