//! A bank with books, somewhere in November 2026.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::all;
use khlong_gateway::domains::books::{BOOKS_DOMAIN, BooksCommand, CloseAnswer, Day};
use khlong_gateway::domains::ledger::{Account, LedgerCommand, Transfer, TransferResult};
use khlong_gateway::kernel::{Kernel, Logic, Outcome, replay, state_hash};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::store::Store;

use crate::fixture::{Bank, JOURNAL, THB, command, decide, store};

/// 27 November 2026.
pub(crate) const TODAY: Day = Day(20_784);
pub(crate) const HOUR: i64 = 60 * 60 * 1_000;

/// The classes of accounts 1 to 6.
pub(crate) const CODES: [u16; 6] = [10, 10, 20, 20, 30, 40];

pub(crate) fn kernel(disk: &MemoryDisk) -> Kernel {
    kernel_under(disk, Logic::CURRENT)
}

fn kernel_under(disk: &MemoryDisk, logic: Logic) -> Kernel {
    Kernel::open(store(disk), all(), logic, JOURNAL).unwrap()
}

/// The process ends, and starts again with books.
pub(crate) fn start_again(bank: &mut Bank) {
    start_under(bank, Logic::CURRENT);
}

/// The same with a release of these rules.
pub(crate) fn start_under(bank: &mut Bank, logic: Logic) {
    // A disk is open once: another kernel stands in until the old one is gone.
    bank.kernel = kernel(&MemoryDisk::new());
    bank.kernel = kernel_under(&bank.disk, logic);
}

pub(crate) struct Office {
    pub(crate) bank: Bank,
    asked: u64,
}

impl Office {
    /// At noon of today, with accounts 1 to 6.
    pub(crate) fn new() -> Self {
        Self::under(Logic::CURRENT)
    }

    pub(crate) fn under(logic: Logic) -> Self {
        let mut bank = Bank::under(logic, 0);
        start_under(&mut bank, logic);
        bank.now = TODAY.start().0 + 12 * HOUR;
        let accounts = (1..)
            .zip(CODES)
            .map(|(id, code)| Account {
                id,
                ledger: THB,
                code,
                ..Account::default()
            })
            .collect();
        let mut office = Self { bank, asked: 0 };
        office.look_at_the_clock();
        let failures = office.bank.ask(&LedgerCommand::CreateAccounts(accounts));
        assert_eq!(failures, vec![]);
        office
    }

    /// A person sees that the clock is right, whatever it showed before.
    pub(crate) fn look_at_the_clock(&mut self) {
        let now = UnixMillis(self.bank.now);
        self.bank.kernel.accept_time(now).unwrap();
    }

    pub(crate) fn store(&self) -> &Store {
        self.bank.kernel.store()
    }

    /// The clock shows so much past the beginning of the day.
    pub(crate) fn at(&mut self, day: Day, past: i64) -> &mut Self {
        self.bank.now = day.start().0 + past;
        self.look_at_the_clock();
        self
    }

    pub(crate) fn pay(&mut self, transfers: &[Transfer]) {
        self.look_at_the_clock();
        let results = self.bank.send(transfers);
        assert!(results.iter().all(|result| *result == TransferResult::Ok));
    }

    /// Gives the books a command under a fresh key, and returns the bytes of its answer.
    pub(crate) fn ask(&mut self, books: &BooksCommand) -> Vec<u8> {
        self.asked += 1;
        let key = format!("books {}", self.asked);
        self.look_at_the_clock();
        let command = command(&key, self.bank.now, BOOKS_DOMAIN, books.encode());
        match decide(&mut self.bank.kernel, &command).outcome() {
            Some(Outcome::Done(payload)) => payload,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn close(&mut self, day: Day) -> CloseAnswer {
        CloseAnswer::decode(&self.ask(&BooksCommand::CloseDay(day))).unwrap()
    }

    pub(crate) fn deadline(&self) -> Option<UnixMillis> {
        self.bank.kernel.next_deadline().unwrap()
    }

    /// A replay of the journal comes to the same rows.
    pub(crate) fn assert_replays(&self) {
        let disk = MemoryDisk::new();
        let mut again = kernel(&disk);
        let head = replay(self.store(), &mut again).unwrap();
        assert_eq!(head, self.bank.kernel.head());
        assert_eq!(
            state_hash(again.store()).unwrap(),
            state_hash(self.store()).unwrap()
        );
    }
}
