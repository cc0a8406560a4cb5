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
use crate::fuzzing::{Seeds, fuzz, one_form};

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

/// The number of its domain, then the body of a command.
fn commands() -> Vec<Vec<u8>> {
    golden()
        .into_iter()
        .map(|[_, command, _]| command)
        .collect()
}

fuzz!(fuzz_command, 3_000, ledger_commands(), ledger_command);

/// The frozen journal's, which are the ledger's.
fn ledger_commands() -> Vec<Vec<u8>> {
    let commands = commands().into_iter();
    commands
        .filter(|command| command[0] == LEDGER_DOMAIN)
        .map(|command| command[1..].to_vec())
        .collect()
}

fn ledger_command(bytes: &[u8]) -> bool {
    one_form(bytes, LedgerCommand::decode(bytes), LedgerCommand::encode)
}

fuzz!(fuzz_housekeeping, 2_000, housekeepings(), housekeeping);

fn housekeepings() -> Vec<Vec<u8>> {
    let commands = [
        Housekeeping::Evict {
            before: khlong_crdt::time::UnixMillis(5),
        },
        Housekeeping::Settle {
            seq: journal::JournalSeq(3),
            n: 1,
        },
    ];
    commands.map(|command| command.encode()).to_vec()
}

fn housekeeping(bytes: &[u8]) -> bool {
    one_form(bytes, Housekeeping::decode(bytes), Housekeeping::encode)
}

fuzz!(fuzz_failures, 2_000, failures(), some_failures);

fn failures() -> Vec<Vec<u8>> {
    let failures = [vec![], vec![(0, 1)], vec![(3, 2), (u16::MAX, 1)]];
    failures.map(|items| Failures(items).encode()).to_vec()
}

fn some_failures(bytes: &[u8]) -> bool {
    one_form(bytes, Failures::decode(bytes), Failures::encode)
}

fuzz!(fuzz_notice, 2_000, notices(), notice);

fn notices() -> Vec<Vec<u8>> {
    let notice = Notice {
        topic: "books.day_closed".to_owned(),
        data: r#"{"day":"2026-11-30"}"#.to_owned(),
    };
    vec![notice.encode()]
}

fn notice(bytes: &[u8]) -> bool {
    one_form(bytes, Notice::decode(bytes), Notice::encode)
}

fuzz!(fuzz_outcome, 2_000, outcomes(), an_outcome);

/// The frozen ones, and a rejection of each kind.
fn outcomes() -> Vec<Vec<u8>> {
    let mut outcomes: Vec<Vec<u8>> = golden()
        .into_iter()
        .map(|[_, _, outcome]| outcome)
        .collect();
    let rejected = [
        Rejection::Malformed,
        Rejection::UnknownDomain,
        Rejection::Invariant,
        Rejection::Panicked,
        Rejection::TooLarge,
        Rejection::ForeignTable,
    ];
    outcomes.extend(rejected.map(|why| Outcome::Rejected(why).encode()));
    outcomes
}

fn an_outcome(bytes: &[u8]) -> bool {
    one_form(bytes, Outcome::decode(bytes), Outcome::encode)
}

fuzz!(fuzz_kernel, 100, decidable(), decided);

/// Commands of both domains; a body that is none, and a domain that nobody has.
fn decidable() -> Seeds {
    let mut genuine = commands();
    let of_kernel = housekeepings();
    genuine.extend(
        of_kernel
            .iter()
            .map(|body| [&[KERNEL_DOMAIN][..], body].concat()),
    );
    let notice = notices().concat();
    let others = [LEDGER_DOMAIN, KERNEL_DOMAIN, u8::MAX];
    Seeds::and(
        genuine,
        others
            .map(|domain| [&[domain][..], &notice].concat())
            .to_vec(),
    )
}

/// Any command has an outcome, the books balance, and a second kernel comes to the same.
fn decided(input: &[u8]) -> bool {
    let Some((domain, body)) = input.split_first() else {
        return false;
    };
    let mut is_taken = false;
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
        is_taken |= key == "as it is" && matches!(outcome, Outcome::Done(_));
        bank.assert_balanced();
    }
    let mut again = kernel(&MemoryDisk::new(), Logic::CURRENT);
    replay(bank.kernel.store(), &mut again).unwrap();
    let state = state_hash(again.store()).unwrap();
    assert_eq!(state, state_hash(bank.kernel.store()).unwrap());
    is_taken
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
fn replayed(input: &[u8]) -> bool {
    let source = written(&entries(input));
    let disk = MemoryDisk::new();
    let mut again = kernel(&disk, Logic::CURRENT);
    let replayed = replay(&source, &mut again);
    let is_taken = replayed.is_ok();
    match replayed {
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
    is_taken
}
