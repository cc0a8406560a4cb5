//! Lines, pages and statements.

use std::cell::Cell;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::limits::ACCOUNTS_AT_ONCE_MAX;
use khlong_gateway::domains::ledger::{
    Account, AccountFlags, Asset, Balances, Count, Direction, LedgerCommand, Line, Period, Place,
    Sum, TransferFlags, lines, statement, totals,
};
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::KeyRange;
use khlong_store::rows::{EachRowVisitor, Rows};
use khlong_store::table::Table;

use crate::fixture::{Bank, THB, hold, pay, plain, post, void};

/// Ten commands a second apart: holds, posts, voids, an expiry.
fn busy() -> Bank {
    let mut bank = Bank::new(3);
    bank.now = 1_900_000;
    for step in [
        vec![pay(1, 1, 2, 10), pay(2, 2, 1, 3), pay(3, 3, 2, 9)],
        vec![hold(4, 1, 2, 50, 0), hold(5, 1, 2, 7, 3)],
        vec![pay(6, 3, 2, 1)],
        vec![post(7, 4, 20)],
        vec![pay(8, 1, 3, 2)],
        vec![hold(9, 2, 1, 6, 0), void(10, 9)],
        vec![pay(11, 1, 2, 1)],
    ] {
        bank.send(&step);
        bank.now += 1_000;
    }
    bank
}

fn all(bank: &Bank, account: u128, direction: Direction, page: usize) -> Vec<Line> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = lines(
            bank.kernel.store(),
            account,
            Period::ALWAYS,
            direction,
            after,
            page,
        )
        .unwrap();
        found.extend(page.lines);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

#[test]
fn pages_of_any_size_in_both_directions_show_the_same_lines() {
    let bank = busy();
    for account in 1..=3 {
        let whole = all(&bank, account, Direction::Forward, 1_000);
        assert_eq!(
            whole.last().unwrap().balances,
            bank.account(account).balances
        );
        for page in [1, 2, 3, 5] {
            assert_eq!(all(&bank, account, Direction::Forward, page), whole);
            let mut back = all(&bank, account, Direction::Reverse, page);
            back.reverse();
            assert_eq!(back, whole);
        }
    }
    let ids: Vec<_> = all(&bank, 1, Direction::Forward, 9)
        .iter()
        .map(|line| (line.record.id, line.record.pending_id))
        .collect();
    // Transfer 5 expires before the command of 8, in the same batch.
    assert_eq!(
        ids,
        [
            (1, 0),
            (2, 0),
            (4, 0),
            (5, 0),
            (7, 4),
            (0, 5),
            (8, 0),
            (9, 0),
            (10, 9),
            (11, 0)
        ]
    );
    let expired = all(&bank, 1, Direction::Forward, 9)[5];
    assert!(expired.record.flags.has(TransferFlags::EXPIRED));
    assert_eq!(expired.balances.debits_pending, 0);
}

#[test]
fn a_statement_opens_where_the_one_before_closed() {
    let bank = busy();
    let store = bank.kernel.store();
    for account in 1..=3 {
        let mut opening = Balances::default();
        let mut count = 0;
        for second in 1_899..1_910 {
            let period = Period {
                start: UnixMillis(second * 1_000),
                end: UnixMillis((second + 1) * 1_000),
            };
            let told = statement(store, account, period, 100).unwrap();
            assert_eq!(told.opening, opening);
            assert!(told.page.lines.iter().all(|line| line.time == period.start));
            let last = told.page.lines.last().map_or(opening, |line| line.balances);
            assert_eq!(told.closing, last);
            opening = told.closing;
            count += told.page.lines.len();
        }
        assert_eq!(opening, bank.account(account).balances);
        assert_eq!(count, all(&bank, account, Direction::Forward, 100).len());
    }
}

#[test]
fn an_account_that_never_moved_has_an_empty_statement() {
    let mut bank = busy();
    bank.open(77, AccountFlags::default());
    for account in [77, 78] {
        let told = statement(bank.kernel.store(), account, Period::ALWAYS, 5).unwrap();
        assert_eq!(told.opening, told.closing);
        assert_eq!(told.page.lines, []);
    }
}

#[test]
fn a_cursor_behind_everything_is_no_reason_to_fail() {
    let bank = busy();
    let store = bank.kernel.store();
    let last = Some(Place {
        seq: JournalSeq(u64::MAX),
        index: u16::MAX,
    });
    let page = |direction, after| {
        lines(store, 1, Period::ALWAYS, direction, after, 100)
            .unwrap()
            .lines
    };
    assert_eq!(
        page(Direction::Reverse, last),
        page(Direction::Reverse, None)
    );
    assert_eq!(page(Direction::Forward, last), []);
}

#[test]
fn a_page_of_a_hot_account_reads_each_row_once() {
    let mut bank = Bank::new(2);
    let many: Vec<_> = (1..=8_000).map(|id| pay(id, 1, 2, 1)).collect();
    bank.send(&many);
    let before = bank.disk.reads();
    let last = Some(Place {
        seq: bank.kernel.head().seq,
        index: 7_989,
    });
    let page = lines(
        bank.kernel.store(),
        1,
        Period::ALWAYS,
        Direction::Forward,
        last,
        100,
    );
    assert_eq!(page.unwrap().lines.len(), 10);
    // 250 rows of 32 records, and some to find the place.
    assert!(bank.disk.reads() - before < 250 + 100);
}

#[test]
fn a_sum_above_128_bits_is_written_in_decimal() {
    let written = |carries, low| Sum { carries, low }.to_string();
    assert_eq!(written(0, 0), "0");
    assert_eq!(
        written(0, u128::MAX),
        "340282366920938463463374607431768211455"
    );
    assert_eq!(written(1, 0), "340282366920938463463374607431768211456");
    assert_eq!(
        written(u64::MAX, u128::MAX),
        "6277101735386680763835789423207666416102355444464034512895"
    );
    let mut sum = Sum::default();
    sum.add(u128::MAX);
    sum.plus(Sum { carries: 0, low: 1 });
    assert_eq!((sum.carries, sum.low), (1, 0));
}

#[test]
fn totals_that_are_added_up_in_steps_are_those_of_one_moment() {
    for step in [1, 2, 3, 100] {
        let mut bank = busy();
        let then = totals(bank.kernel.store()).unwrap();
        let mut count = Count::after(bank.kernel.head().seq);
        let mut id = 100;
        while !count.step(bank.kernel.store(), step).unwrap() {
            // To those that are read from those that are not, and back.
            bank.send(&[pay(id, 3, 1, 7), hold(id + 1, 1, 3, 5, 0)]);
            id += 2;
        }
        assert_eq!(count.totals(), &then, "{step} at once");
        assert!(
            count.step(bank.kernel.store(), step).unwrap(),
            "no second time"
        );
        assert_eq!(count.totals(), &then);
        assert!(then.values().all(|totals| totals.is_balanced()));
    }
}

/// Rows, and the most of them that one scan was shown.
struct Counted<'r> {
    rows: &'r dyn Rows,
    most: Cell<usize>,
}

impl Rows for Counted<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(table, key)
    }

    fn scan_each(
        &self,
        table: Table,
        range: &KeyRange,
        direction: khlong_store::engine::Direction,
        visit: &mut EachRowVisitor<'_>,
    ) -> Result<(), StoreError> {
        let mut shown = 0;
        let count = &mut |key: &[u8], row: Result<&[u8], StoreError>| {
            shown += 1;
            visit(key, row)
        };
        self.rows.scan_each(table, range, direction, count)?;
        self.most.set(self.most.get().max(shown));
        Ok(())
    }
}

#[test]
fn totals_of_many_accounts_hold_a_part_of_them_at_a_time() {
    const MANY: u128 = 2_500;
    const USD: u32 = 840;
    let mut bank = Bank::new(2);
    let dollar = Asset {
        ledger: USD,
        scale: 2,
        symbol: *b"USD\0\0\0\0\0",
    };
    let asset = LedgerCommand::CreateAssets(vec![dollar]);
    assert_eq!(bank.ask(&asset), vec![]);
    // Every third one has dollars.
    let account = |id: u128| Account {
        ledger: if id.is_multiple_of(3) { USD } else { THB },
        ..plain(id)
    };
    let accounts = LedgerCommand::CreateAccounts((3..=MANY).map(account).collect());
    assert_eq!(bank.ask(&accounts), vec![]);
    // The last one, and those at the ends of the first two parts, have something too.
    let part = ACCOUNTS_AT_ONCE_MAX as u128;
    let ends = [part, part + 1, 2 * part, 2 * part + 1, MANY];
    let baht: Vec<u128> = ends.into_iter().filter(|id| id % 3 != 0).collect();
    let paid: Vec<_> = (10_000..)
        .zip(&baht)
        .map(|(id, to)| pay(id, 1, *to, 7))
        .collect();
    bank.send(&paid);
    bank.send(&[hold(20_000, 1, 2, 5, 0)]);
    let counted = Counted {
        rows: bank.kernel.store(),
        most: Cell::new(0),
    };
    let found = totals(&counted).unwrap();
    let thirds = u64::try_from(MANY / 3).unwrap();
    assert_eq!(found[&USD].accounts, thirds);
    assert_eq!(found[&THB].accounts, u64::try_from(MANY).unwrap() - thirds);
    let sum = |low| Sum { carries: 0, low };
    assert!(baht.len() > 2);
    let posted = sum(7 * baht.len() as u128);
    let of_baht = &found[&THB];
    assert_eq!(
        (of_baht.debits_posted, of_baht.credits_posted),
        (posted, posted)
    );
    assert_eq!(
        (of_baht.debits_pending, of_baht.credits_pending),
        (sum(5), sum(5))
    );
    // One more is shown than is taken.
    assert_eq!(counted.most.get(), ACCOUNTS_AT_ONCE_MAX + 1);
}
