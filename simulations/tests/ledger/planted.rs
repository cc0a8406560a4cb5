//! Each violation that the auditor tells of is planted once, and found; an honest gateway is told to be one. What runs
//! and clients tell beside the auditor (`end`, `replay`, `kernel`, `liveness`, another journal at a restart, another
//! answer to a retry) is planted in `fuzz/ledger/planted.rs`.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand, Transfer, TransferFlags};
use khlong_gateway::kernel::{Command, Decided, KERNEL_CALLER};
use khlong_simulations::fuzz::ledger::JOURNAL;
use khlong_simulations::fuzz::ledger::auditor::Auditor;
use khlong_store::engine::Durability;
use khlong_store::journal::{self, Entry, JournalSeq};
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use khlong_store::table::Table;

use crate::office::{Office, kernel, pay, store};
use crate::rows::Planted;

#[test]
fn an_honest_gateway_is_found_to_be_one() {
    let mut office = Office::new();
    let (command, decided) = office.pay(1, 5);
    office.auditor.answered(&command, &decided);
    let since = office.auditor.begin_read(2);
    office.auditor.read(2, since, office.state(2));
    office.auditor.finish();
    assert_eq!(office.found(), Vec::<String>::new());
}

#[test]
fn an_answer_that_is_not_in_the_journal_or_says_something_else() {
    let mut office = Office::new();
    let (command, mut decided) = office.pay(1, 5);
    decided.outcome.push(0);
    office.auditor.answered(&command, &decided);
    office.assert_found("answers", "another outcome");

    let mut office = Office::new();
    let meaning = LedgerCommand::CreateTransfers(vec![pay(1, 5)]);
    let command = office.command(&meaning);
    let decided = office.decide(&command);
    office.auditor.answered(&command, &decided);
    office.assert_found("answers", "not in the journal");
}

#[test]
fn an_entry_that_nobody_asked_for_and_one_that_is_another() {
    let mut office = Office::new();
    let command = office.command(&LedgerCommand::CreateTransfers(vec![pay(1, 5)]));
    office.decide(&command);
    office.look();
    office.assert_found("commands", "nobody asked");

    let mut office = Office::new();
    let meaning = LedgerCommand::CreateTransfers(vec![pay(1, 5)]);
    let mut command = office.command(&meaning);
    office.auditor.asked(&command, Some(meaning));
    command.body = LedgerCommand::CreateTransfers(vec![pay(1, 6)]).encode();
    office.decide(&command);
    office.look();
    office.assert_found("commands", "not what was asked");
}

/// What the entry means is said by who asked: here something else than its bytes do.
#[test]
fn an_outcome_and_balances_that_the_model_does_not_come_to() {
    let void = Transfer {
        flags: TransferFlags::VOID_PENDING_TRANSFER,
        pending_id: 9,
        ..Transfer::default()
    };
    for (other, checker) in [(pay(1, 7), "balances"), (void, "outcomes")] {
        let mut office = Office::new();
        let command = office.command(&LedgerCommand::CreateTransfers(vec![pay(1, 5)]));
        let meaning = LedgerCommand::CreateTransfers(vec![other]);
        office.auditor.asked(&command, Some(meaning));
        office.decide(&command);
        office.look();
        office.assert_found(checker, "should");
    }
}

#[test]
fn a_stale_read_and_one_that_goes_back() {
    let mut office = Office::new();
    let before = office.state(2);
    let (_, decided) = office.pay(1, 5);
    // Nobody has heard of it: the read may have come first.
    let since = office.auditor.begin_read(2);
    office.auditor.read(2, since, before);
    office.auditor.heard(decided.seq);
    let since = office.auditor.begin_read(2);
    assert_eq!(since, decided.seq.0);
    office.auditor.read(2, since, office.state(2));
    assert_eq!(office.auditor.findings.violations().len(), 0);
    office.auditor.read(2, since, before);
    office.assert_found("reads", "account 2 was not");

    let mut office = Office::new();
    let before = office.state(2);
    office.pay(1, 5);
    let since = office.auditor.begin_read(2);
    office.auditor.read(2, since, office.state(2));
    let since = office.auditor.begin_read(2);
    office.auditor.read(2, since, before);
    office.assert_found("reads", "account 2 was not");
}

#[test]
fn a_journal_that_is_shorter_or_another_one() {
    let mut office = Office::new();
    office.pay(1, 5);
    let empty = kernel();
    office.auditor.absorb(empty.store()).unwrap();
    office.assert_found("journal", "goes to 0");

    let (mut office, mut other) = (Office::new(), Office::new());
    office.pay(1, 5);
    other.pay(1, 6);
    office.auditor.absorb(other.kernel.store()).unwrap();
    office.assert_found("journal", "entry 3 has changed");
}

#[test]
fn a_hold_that_outlasts_its_time() {
    let mut office = Office::new();
    let hold = Transfer {
        timeout: 3,
        flags: TransferFlags::PENDING,
        ..pay(1, 5)
    };
    office.ask(LedgerCommand::CreateTransfers(vec![hold]));
    let due = UnixMillis(office.now + 3_000);
    let store = office.kernel.store();
    office
        .auditor
        .check_holds(store, UnixMillis(due.0 - 1))
        .unwrap();
    assert_eq!(office.auditor.findings.violations().len(), 0);
    office.auditor.check_holds(store, due).unwrap();
    office.assert_found("holds", "not ended");
}

/// What `plant` makes of the rows of an office in which 5 was paid from account 1 to 2, and nobody saw it yet.
fn found_in(plant: impl for<'r> FnOnce(&'r dyn Rows) -> Planted<'r>) -> Office {
    let mut office = Office::new();
    let meaning = LedgerCommand::CreateTransfers(vec![pay(1, 5)]);
    let command = office.command(&meaning);
    office.auditor.asked(&command, Some(meaning));
    office.decide(&command);
    {
        let rows = plant(office.kernel.store());
        office.auditor.absorb(&rows).unwrap();
        office.auditor.compare(&rows).unwrap();
    }
    office
}

fn key(seq: u64) -> [u8; 8] {
    seq.to_be_bytes()
}

#[test]
fn what_is_not_changed_is_not_found() {
    let office = found_in(|rows| Planted::changed(rows, Table::Journal, &key(3), |_| {}));
    assert_eq!(office.found(), Vec::<String>::new());
}

#[test]
fn a_journal_with_a_hole_a_false_hash_or_a_false_head() {
    let office = found_in(|rows| Planted::without(rows, Table::Journal, &key(3)));
    office.assert_found("journal", "entry 3");
    let office =
        found_in(|rows| Planted::changed(rows, Table::Journal, &key(3), |row| row[0] ^= 1));
    office.assert_found("journal", "the hash of entry 3 is wrong");
    let last = |row: &mut Vec<u8>| *row.last_mut().unwrap() ^= 1;
    let office = found_in(|rows| Planted::changed(rows, Table::Meta, b"journal", last));
    office.assert_found("journal", "its head is not the last entry");
    let office = found_in(|rows| Planted::without(rows, Table::Meta, b"journal"));
    office.assert_found("journal", "goes to 0");
}

/// Time went back in the tables, by one millisecond.
#[test]
fn a_time_that_falls() {
    let earlier = |row: &mut Vec<u8>| row[15] -= 1;
    let office = found_in(|rows| Planted::changed(rows, Table::Meta, b"applied", earlier));
    office.assert_found("journal", "tables stand at");
    let office = found_in(|rows| Planted::without(rows, Table::Meta, b"applied"));
    office.assert_found("journal", "tables stand at None");
}

#[test]
fn accounts_that_are_gone_made_up_out_of_balance_or_against_their_rules() {
    let id = |id: u128| id.to_be_bytes();
    let balance = |account: u128| [&id(account)[..], &key(3)].concat();
    let of = |table, key: Vec<u8>, change: fn(&mut Vec<u8>)| {
        found_in(move |rows| Planted::changed(rows, table, &key, change))
    };
    let office = found_in(|rows| Planted::without(rows, Table::LedgerAccount, &id(2)));
    office.assert_found("balances", "account 2 is not there");
    let office = found_in(|rows| Planted::copied(rows, Table::LedgerAccount, &id(2), &id(77)));
    office.assert_found("balances", "accounts that nobody opened");
    // `time 8 ‖ debits_pending 16 ‖ debits_posted 16 ‖ credits_pending 16 ‖ credits_posted 16 ‖ closed 1`.
    let office = of(Table::LedgerBalance, balance(2), |row| row[71] += 1);
    office.assert_found("balances", "debits and credits of asset 764 differ");
    let office = of(Table::LedgerBalance, balance(2), |row| row[39] += 6);
    office.assert_found("balances", "account 2: debits exceed credits");
    let office = of(Table::LedgerBalance, balance(1), |row| row[72] ^= 1);
    office.assert_found("balances", "account 1 has");
}

#[test]
fn credits_against_the_rule_of_an_account() {
    let mut office = Office::new();
    office.open_creditor(3);
    office.pay(1, 5);
    let owed = Transfer {
        debit_account_id: 3,
        credit_account_id: 1,
        ..pay(2, 5)
    };
    office.ask(LedgerCommand::CreateTransfers(vec![owed]));
    let row = [&3_u128.to_be_bytes()[..], &key(5)].concat();
    {
        let more = |row: &mut Vec<u8>| row[71] += 6;
        let rows = Planted::changed(office.kernel.store(), Table::LedgerBalance, &row, more);
        office.auditor.compare(&rows).unwrap();
    }
    office.assert_found("balances", "account 3: credits exceed debits");
}

/// A read that is none of any moment.
#[test]
fn a_balance_that_never_was() {
    let mut office = Office::new();
    office.pay(1, 5);
    let mut state = office.state(2);
    state.as_mut().unwrap().balances.credits_posted = 4;
    let since = office.auditor.begin_read(2);
    office.auditor.read(2, since, state);
    office.assert_found("reads", "account 2 was not");
    // And one of nobody, where somebody heard of the entry that opened the account.
    let mut office = Office::new();
    office.auditor.heard(JournalSeq(2));
    let since = office.auditor.begin_read(2);
    office.auditor.read(2, since, None);
    office.assert_found("reads", "account 2 was not None");
}

#[test]
fn an_answer_that_names_another_entry() {
    let mut office = Office::new();
    let (command, mut decided) = office.pay(1, 5);
    decided.seq = JournalSeq(2);
    office.auditor.answered(&command, &decided);
    office.assert_found("answers", "what was answered as entry 2 is 3");
}

/// A journal of any entries, without a kernel.
struct Forged {
    store: Store,
    auditor: Auditor,
    entries: u64,
}

impl Forged {
    fn new() -> Self {
        let mut store = store();
        let mut batch = store.batch();
        journal::create(&mut batch, JOURNAL).unwrap();
        let writes = batch.into_writes();
        store.commit(writes, Durability::Synced).unwrap();
        Self {
            store,
            auditor: Auditor::new(JOURNAL),
            entries: 0,
        }
    }

    fn append(&mut self, entry: Entry) {
        let mut batch = self.store.batch();
        journal::append(&mut batch, JournalSeq(self.entries), &[entry]).unwrap();
        let writes = batch.into_writes();
        self.store.commit(writes, Durability::Synced).unwrap();
        self.entries += 1;
        self.auditor.absorb(&self.store).unwrap();
    }

    fn assert_found(&self, checker: &str, words: &str) {
        let found = self.auditor.findings.violations();
        let is_it = |it: &&String| it.starts_with(checker) && it.contains(words);
        assert!(found.iter().any(|it| is_it(&it)), "{found:?}");
    }
}

/// As the driver, the kernel or a client would have asked; the outcome says that nothing failed.
fn entry(caller: &[u8], domain: u8, body: &[u8]) -> Entry {
    let mut header = vec![1, 0, 4];
    header.extend_from_slice(&1_000_000_i64.to_be_bytes());
    for name in [caller, b"transfers", b"1"] {
        header.push(u8::try_from(name.len()).unwrap());
        header.extend_from_slice(name);
    }
    Entry {
        header,
        command: [&[domain][..], body].concat(),
        outcome: vec![0, 0, 0],
    }
}

#[test]
fn entries_that_no_gateway_writes() {
    let sweep = LedgerCommand::Sweep.encode();
    let transfers = LedgerCommand::CreateTransfers(vec![pay(1, 5)]).encode();
    let mut forged = Forged::new();
    forged.append(Entry {
        header: vec![1, 0, 4],
        ..entry(b"x", LEDGER_DOMAIN, &sweep)
    });
    forged.assert_found("journal", "entry 1 has no header");
    for (caller, domain, body, words) in [
        (
            &b"client 0"[..],
            2,
            &sweep,
            "is for another part of the gateway",
        ),
        (
            b"\0driver",
            LEDGER_DOMAIN,
            &transfers,
            "does more than sweep",
        ),
        (
            KERNEL_CALLER,
            LEDGER_DOMAIN,
            &transfers,
            "does more than sweep",
        ),
        (
            b"client 0",
            LEDGER_DOMAIN,
            &sweep,
            "is what nobody asked for",
        ),
    ] {
        let mut forged = Forged::new();
        forged.append(entry(caller, domain, body));
        forged.assert_found("commands", words);
    }
    let mut forged = Forged::new();
    forged.append(entry(b"\0driver", LEDGER_DOMAIN, &sweep));
    assert_eq!(forged.auditor.findings.violations().len(), 0);
    // The gateway says that something failed in a sweep.
    let mut forged = Forged::new();
    forged.append(Entry {
        outcome: vec![1, 1],
        ..entry(KERNEL_CALLER, LEDGER_DOMAIN, &sweep)
    });
    forged.assert_found("outcomes", "entry 1 came to");
}

/// Its bytes mean nothing, and the gateway says that it did something.
#[test]
fn an_entry_that_is_done_where_no_command_could_mean_anything() {
    let command = Command {
        caller: b"client 0".to_vec(),
        scope: b"transfers".to_vec(),
        key: b"1".to_vec(),
        admitted_at: UnixMillis(1_000_000),
        domain: LEDGER_DOMAIN,
        body: vec![0xee; 7],
    };
    let mut forged = Forged::new();
    forged.auditor.asked(&command, None);
    forged.append(entry(&command.caller, LEDGER_DOMAIN, &command.body));
    forged.assert_found("outcomes", "entry 1 came to");
}

/// The same command once more, which moves its answer to another entry.
#[test]
fn a_command_that_is_carried_out_twice() {
    let mut forged = Forged::new();
    let sweep = entry(b"\0driver", LEDGER_DOMAIN, &LedgerCommand::Sweep.encode());
    forged.append(entry(
        b"\0driver",
        LEDGER_DOMAIN,
        &LedgerCommand::Sweep.encode(),
    ));
    let command = Command {
        caller: b"\0driver".to_vec(),
        scope: b"transfers".to_vec(),
        key: b"1".to_vec(),
        admitted_at: UnixMillis(1_000_000),
        domain: LEDGER_DOMAIN,
        body: LedgerCommand::Sweep.encode(),
    };
    let decided = Decided {
        seq: JournalSeq(1),
        outcome: sweep.outcome.clone(),
    };
    forged.auditor.answered(&command, &decided);
    assert_eq!(forged.auditor.findings.violations().len(), 0);
    forged.append(sweep);
    forged.assert_found("commands", "1 and 2 are one");
    forged.auditor.finish();
    forged.assert_found("answers", "what was answered as entry 1 is 2 at the end");
}
