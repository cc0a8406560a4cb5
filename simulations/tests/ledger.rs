//! The search among gateways: it finds what is planted, and nothing where nothing is; one
//! seed gives one run.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that fails may panic")]

use std::process::Command as Program;

use khlong_crdt::id::LogId;
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{
    Account, AccountFlags, AccountState, Asset, LEDGER_DOMAIN, Ledger, LedgerCommand, Transfer,
    TransferFlags, account,
};
use khlong_gateway::kernel::{Command, Decided, Kernel, Logic};
use khlong_simulations::fuzz::batch::Batch;
use khlong_simulations::fuzz::ledger::JOURNAL;
use khlong_simulations::fuzz::ledger::auditor::Auditor;
use khlong_simulations::fuzz::ledger::plan::{Doing, LedgerPlan, Moved};
use khlong_simulations::fuzz::shrink::shrink;
use khlong_simulations::fuzz::workload::Workload as _;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::store::{OpenOptions, Store};

const THB: u32 = 764;

/// A gateway, and the auditor that looks over its shoulder.
struct Office {
    kernel: Kernel,
    auditor: Auditor,
    commands: u32,
    now: i64,
}

impl Office {
    /// With the baht, account 1 without rules, and account 2 that may not owe.
    fn new() -> Self {
        let mut office = Self {
            kernel: kernel(),
            auditor: Auditor::new(JOURNAL),
            commands: 0,
            now: 1_000_000,
        };
        let baht = Asset {
            ledger: THB,
            scale: 2,
            symbol: *b"THB\0\0\0\0\0",
        };
        let accounts = [
            (1, AccountFlags::default()),
            (2, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS),
        ];
        let accounts = accounts.map(|(id, flags)| Account {
            id,
            ledger: THB,
            code: 1,
            flags,
            ..Account::default()
        });
        office.ask(LedgerCommand::CreateAssets(vec![baht]));
        office.ask(LedgerCommand::CreateAccounts(accounts.to_vec()));
        office
    }

    fn command(&mut self, meaning: &LedgerCommand) -> Command {
        self.commands += 1;
        Command {
            caller: b"client 0".to_vec(),
            scope: b"transfers".to_vec(),
            key: self.commands.to_string().into_bytes(),
            admitted_at: UnixMillis(self.now),
            domain: LEDGER_DOMAIN,
            body: meaning.encode(),
        }
    }

    /// As the auditor is told it should be.
    fn ask(&mut self, meaning: LedgerCommand) -> (Command, Decided) {
        let command = self.command(&meaning);
        self.auditor.asked(&command, Some(meaning));
        let decided = self.decide(&command);
        self.look();
        (command, decided)
    }

    fn decide(&mut self, command: &Command) -> Decided {
        self.kernel.apply(command).unwrap();
        self.kernel.commit().unwrap();
        self.kernel.release().remove(0).decided
    }

    fn look(&mut self) {
        self.auditor.absorb(self.kernel.store()).unwrap();
        self.auditor.compare(self.kernel.store()).unwrap();
    }

    fn pay(&mut self, id: u128, amount: u128) -> (Command, Decided) {
        self.ask(LedgerCommand::CreateTransfers(vec![pay(id, amount)]))
    }

    fn state(&self, id: u128) -> Option<AccountState> {
        account(self.kernel.store(), id).unwrap()
    }

    fn found(self) -> Vec<String> {
        self.auditor.findings.into_parts().0
    }

    fn assert_found(self, checker: &str, words: &str) {
        let found = self.found();
        let is_it =
            |violation: &String| violation.starts_with(checker) && violation.contains(words);
        assert!(found.iter().any(is_it), "{found:?}");
    }
}

fn kernel() -> Kernel {
    let options = OpenOptions {
        role: Role::Gateway,
        fresh_log_id: LogId::from_bytes([7; 16]),
        accept_loss: false,
        sizes: RocksOptions {
            write_buffer_bytes: 1024 * 1024,
            block_cache_bytes: 1024 * 1024,
            reserve_bytes: 1024 * 1024,
        },
    };
    let store = Store::in_memory(&MemoryDisk::new(), &options).unwrap();
    Kernel::open(
        store,
        vec![Box::new(Ledger::new())],
        Logic::CURRENT,
        JOURNAL,
    )
    .unwrap()
}

/// From account 1 to account 2.
fn pay(id: u128, amount: u128) -> Transfer {
    Transfer {
        id,
        debit_account_id: 1,
        credit_account_id: 2,
        amount,
        ledger: THB,
        code: 1,
        ..Transfer::default()
    }
}

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

#[test]
fn one_seed_gives_one_plan_and_one_run() {
    for seed in 0..6 {
        let plan = LedgerPlan::generate(seed);
        let text = toml::to_string(&plan).unwrap();
        let written: LedgerPlan = toml::from_str(&text).unwrap();
        assert_eq!(written, plan);
        let (first, second) = (plan.replay(), written.replay());
        assert_eq!(first, second);
        assert_ne!(
            first.trace_hash,
            LedgerPlan::generate(seed + 1).replay().trace_hash
        );
    }
}

#[test]
fn thirty_seeds_are_clean_and_see_most_kinds_of_trouble() {
    let mut batch = Batch::<LedgerPlan>::default();
    for seed in 0..30 {
        let failed = batch.run(seed);
        assert!(failed.is_none(), "{failed:?}");
    }
    let never = batch.never_happened();
    assert!(never.len() < 8, "{never:?}");
}

/// The model knows no codes: a plan that says what it cannot know is refused, and the reason
/// is a violation that a smaller plan has too.
#[test]
fn what_fails_is_made_smaller() {
    let mut plan = LedgerPlan::generate(3);
    let transfers = vec![Moved {
        id: 1,
        debit: 1,
        credit: 2,
        amount: None,
        pending_id: 0,
        timeout_s: 0,
        ledger: THB,
        flags: 0,
    }];
    plan.steps[7].what = Doing::Transfers {
        client: 0,
        transfers,
    };
    plan.blame(plan.replay().violations);
    assert!(plan.violations[0].contains("the model does not know"));
    let (small, runs) = shrink(&plan);
    assert_eq!(small.steps.len(), 1, "after {runs} runs");
}

#[test]
fn the_command_line_searches_gateways_and_replays_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let sim = |arguments: &[&str]| {
        Program::new(env!("CARGO_BIN_EXE_khlong-sim"))
            .args(arguments)
            .output()
            .unwrap()
    };
    let list = folder.path().join("seeds.txt");
    std::fs::write(&list, "1\n2 # two\n").unwrap();
    let list = list.to_str().unwrap();
    let out = folder.path().to_str().unwrap();
    let done = sim(&[
        "--json",
        "fuzz",
        "--workload",
        "ledger",
        "--seeds-file",
        list,
        "--out",
        out,
    ]);
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((done.status.code(), &told["seeds"]), (Some(0), &2.into()));
    let plan = LedgerPlan::generate(2);
    let file = folder.path().join("plan.toml");
    std::fs::write(&file, toml::to_string(&plan).unwrap()).unwrap();
    let done = sim(&["--json", "replay", file.to_str().unwrap()]);
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(told["trace_hash"], plan.replay().trace_hash);
}
