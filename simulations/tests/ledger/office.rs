//! A gateway, and the auditor that looks over its shoulder.

use khlong_crdt::id::LogId;
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{
    Account, AccountFlags, AccountState, Asset, LEDGER_DOMAIN, Ledger, LedgerCommand, Transfer,
    account,
};
use khlong_gateway::kernel::{Command, Decided, Kernel, Logic};
use khlong_simulations::fuzz::ledger::JOURNAL;
use khlong_simulations::fuzz::ledger::auditor::Auditor;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::store::{OpenOptions, Store};

pub(crate) const THB: u32 = 764;

/// A gateway, and the auditor that looks over its shoulder.
pub(crate) struct Office {
    pub(crate) kernel: Kernel,
    pub(crate) auditor: Auditor,
    commands: u32,
    pub(crate) now: i64,
}

impl Office {
    /// With the baht, account 1 without rules, and account 2 that may not owe.
    pub(crate) fn new() -> Self {
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

    pub(crate) fn command(&mut self, meaning: &LedgerCommand) -> Command {
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

    /// An account that may not be owed more than it owes.
    pub(crate) fn open_creditor(&mut self, id: u128) {
        let account = Account {
            id,
            ledger: THB,
            code: 1,
            flags: AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS,
            ..Account::default()
        };
        self.ask(LedgerCommand::CreateAccounts(vec![account]));
    }

    /// As the auditor is told it should be.
    pub(crate) fn ask(&mut self, meaning: LedgerCommand) -> (Command, Decided) {
        let command = self.command(&meaning);
        self.auditor.asked(&command, Some(meaning));
        let decided = self.decide(&command);
        self.look();
        (command, decided)
    }

    pub(crate) fn decide(&mut self, command: &Command) -> Decided {
        self.kernel.apply(command).unwrap();
        self.kernel.commit().unwrap();
        self.kernel.release().remove(0).decided
    }

    pub(crate) fn look(&mut self) {
        self.auditor.absorb(self.kernel.store()).unwrap();
        self.auditor.compare(self.kernel.store()).unwrap();
    }

    pub(crate) fn pay(&mut self, id: u128, amount: u128) -> (Command, Decided) {
        self.ask(LedgerCommand::CreateTransfers(vec![pay(id, amount)]))
    }

    pub(crate) fn state(&self, id: u128) -> Option<AccountState> {
        account(self.kernel.store(), id).unwrap()
    }

    pub(crate) fn found(self) -> Vec<String> {
        self.auditor.findings.into_parts().0
    }

    pub(crate) fn assert_found(self, checker: &str, words: &str) {
        let found = self.found();
        let is_it =
            |violation: &String| violation.starts_with(checker) && violation.contains(words);
        assert!(found.iter().any(is_it), "{found:?}");
    }
}

pub(crate) fn store() -> Store {
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
    Store::in_memory(&MemoryDisk::new(), &options).unwrap()
}

pub(crate) fn kernel() -> Kernel {
    Kernel::open(
        store(),
        vec![Box::new(Ledger::without_owners())],
        Logic::CURRENT,
        JOURNAL,
    )
    .unwrap()
}

/// From account 1 to account 2.
pub(crate) fn pay(id: u128, amount: u128) -> Transfer {
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
