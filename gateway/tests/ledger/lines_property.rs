//! An account's lines by time and in both orders, against what a naive ledger took.

use std::collections::BTreeMap;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{
    Direction, Line, Period, TransferFlags, TransferResult, lines,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::fixture::Bank;
use crate::property::{ACCOUNTS, begun, transfers};

/// All pages, one after another.
fn all(bank: &Bank, account: u128, period: Period, direction: Direction, page: usize) -> Vec<Line> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let told = lines(bank.kernel.store(), account, period, direction, after, page).unwrap();
        assert!(told.lines.len() <= page);
        // A page that says that there is more is full, and the next one is not empty.
        assert!(told.next.is_none() || told.lines.len() == page);
        assert!(after.is_none() || !told.lines.is_empty());
        found.extend(told.lines);
        after = told.next;
        if after.is_none() {
            return found;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_of_any_period_in_any_order_are_what_a_naive_ledger_took(
        steps in vec((vec(transfers(), 1..8), 0_i64..1_500), 1..20),
        periods in vec((any::<[Index; 2]>(), -1_i64..2, -1_i64..2), 1..6),
        page in 1_usize..6,
    ) {
        let (mut bank, mut naive) = begun();
        // When, which, and whose.
        let mut took: Vec<(i64, u128, [u128; 2])> = Vec::new();
        let mut sides: BTreeMap<u128, [u128; 2]> = BTreeMap::new();
        let mut times = Vec::new();
        for (batch, wait) in steps {
            bank.now += wait;
            times.push(bank.now);
            bank.send(&batch);
            for (asked, result) in batch.iter().zip(naive.batch(bank.now, &batch)) {
                if result != TransferResult::Ok {
                    continue;
                }
                let own = [asked.debit_account_id, asked.credit_account_id];
                let both = sides.get(&asked.pending_id).copied().unwrap_or(own);
                sides.insert(asked.id, both);
                took.push((bank.now, asked.id, both));
            }
        }
        for account in 1..=ACCOUNTS {
            let whole = all(&bank, account, Period::ALWAYS, Direction::Forward, 8_000);
            let told: Vec<_> = whole
                .iter()
                .filter(|line| !line.record.flags.has(TransferFlags::EXPIRED))
                .map(|line| (line.time.0, line.record.id))
                .collect();
            let expected: Vec<_> = took
                .iter()
                .filter(|(_, _, both)| both.contains(&account))
                .map(|(at, id, _)| (*at, *id))
                .collect();
            prop_assert_eq!(told, expected, "account {}", account);
            for ([from, to], before, behind) in &periods {
                let period = Period {
                    start: UnixMillis(from.get(&times) + before),
                    end: UnixMillis(to.get(&times) + behind),
                };
                let mut within: Vec<Line> = whole
                    .iter()
                    .filter(|line| line.time >= period.start && line.time < period.end)
                    .copied()
                    .collect();
                prop_assert_eq!(&all(&bank, account, period, Direction::Forward, page), &within);
                within.reverse();
                prop_assert_eq!(&all(&bank, account, period, Direction::Reverse, page), &within);
            }
        }
    }
}
