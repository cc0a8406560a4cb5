//! Random payments around midnight, with closes in between.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use khlong_gateway::domains::books::{
    AccountClass, BooksCommand, Close, Day, DayTotals, close_totals, closes, verify_closes,
};
use khlong_gateway::domains::ledger::{Direction, lines};
use khlong_gateway::domains::ledger::{Period, Place, Sum, records, statement, totals};
use khlong_store::journal::JournalSeq;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{THB, hold, pay, post, void};
use crate::office::{CODES, Office, TODAY, start_again};

/// Few minutes before the first midnight.
const START: i64 = 5 * 60 * 1_000;

#[derive(Clone, Debug)]
enum Step {
    Pay(Vec<(u8, u128, u128, u128)>),
    /// Time goes on, or the clock is set back.
    Wait(i64),
    /// Nearly a day passes.
    Sleep,
    Close,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let payment = (0_u8..8, 1_u128..7, 1_u128..7, 1_u128..1_000);
    vec(
        prop_oneof![
            6 => vec(payment, 1..6).prop_map(Step::Pay),
            4 => (-120_000_i64..400_000).prop_map(Step::Wait),
            1 => Just(Step::Sleep),
            3 => Just(Step::Close),
            1 => Just(Step::Restart),
        ],
        1..60,
    )
}

struct Run {
    office: Office,
    id: u128,
    holds: Vec<u128>,
}

impl Run {
    fn pay(&mut self, payments: &[(u8, u128, u128, u128)]) {
        let mut batch = Vec::new();
        for (kind, debit, credit, amount) in payments {
            if debit == credit {
                continue;
            }
            self.id += 1;
            let id = self.id;
            match (kind, self.holds.pop()) {
                (0, Some(held)) => batch.push(post(id, held, amount % 3)),
                (1, Some(held)) => batch.push(void(id, held)),
                (2 | 3, other) => {
                    self.holds.extend(other);
                    self.holds.push(id);
                    let timeout = u32::from(*kind == 3) * 90;
                    batch.push(hold(id, *debit, *credit, *amount, timeout));
                }
                (_, other) => {
                    self.holds.extend(other);
                    batch.push(pay(id, *debit, *credit, *amount));
                }
            }
        }
        self.office.look_at_the_clock();
        // A hold may have expired: that its post fails is as good as any.
        self.office.bank.send(&batch);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Pay(payments) => self.pay(payments),
            Step::Wait(ms) => self.office.bank.now += ms,
            Step::Sleep => self.office.bank.now += 86_000_000,
            Step::Close => {
                self.office.ask(&BooksCommand::CloseNext);
            }
            Step::Restart => {
                start_again(&mut self.office.bank);
            }
        }
    }
}

/// Each record's day by the closes, `None` for those of no close.
fn days(office: &Office, closes: &[Close]) -> BTreeMap<Place, Option<Day>> {
    let all = |after: JournalSeq, last: JournalSeq| {
        let mut places = Vec::new();
        let from = Place {
            seq: after.next(),
            index: 0,
        };
        records(office.store(), from, last, &mut |place, _, _| {
            places.push(place);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        places
    };
    let mut days: BTreeMap<Place, Option<Day>> = all(JournalSeq(0), JournalSeq(u64::MAX))
        .into_iter()
        .map(|place| (place, None))
        .collect();
    for close in closes {
        for place in all(close.after, close.last) {
            let before = days.insert(place, Some(close.day));
            assert_eq!(before, Some(None), "{place:?} is in two days");
        }
    }
    days
}

/// What the accounts of a class moved in a period, told from their own rows.
fn by_accounts(office: &Office, code: u16, period: Period) -> [u128; 2] {
    let mut posted = [0; 2];
    for (id, _) in (1..).zip(CODES).filter(|(_, its)| *its == code) {
        let told = statement(office.store(), id, period, 1).unwrap();
        posted[0] += told.closing.debits_posted - told.opening.debits_posted;
        posted[1] += told.closing.credits_posted - told.opening.credits_posted;
    }
    posted
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_in_exactly_one_day(steps in steps()) {
        let mut office = Office::new();
        office.bank.now = TODAY.end().0 - START;
        let mut run = Run { office, id: 0, holds: Vec::new() };
        run.pay(&[(9, 1, 3, 5)]);
        for step in &steps {
            run.step(step);
        }
        let office = run.office;
        let done = closes(office.store(), Day(0), 1_000).unwrap();
        prop_assert_eq!(verify_closes(office.store()).unwrap(), done.last().copied());
        // One after the other, none left out.
        for pair in done.windows(2) {
            prop_assert_eq!(pair[0].day.next(), pair[1].day);
        }
        let days = days(&office, &done);
        let last_closed = done.last().map(|close| close.day);
        for account in 1..=6 {
            let mut after = None;
            loop {
                let page = lines(office.store(), account, Period::ALWAYS, Direction::Forward, after, 100).unwrap();
                for line in &page.lines {
                    let own = Day::of(line.time);
                    let expected = last_closed.filter(|last| own <= *last).map(|_| own);
                    prop_assert_eq!(days[&line.place], expected);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        // Each close says what the accounts' own rows say; all of them and the open day are the totals.
        let mut sums = DayTotals::default();
        for close in &done {
            let totals = close_totals(office.store(), close.day).unwrap().unwrap();
            prop_assert!(totals.is_balanced());
            let period = Period { start: close.day.start(), end: close.day.end() };
            for code in [10, 20, 30, 40] {
                let class = AccountClass { ledger: THB, code };
                let told = totals.0.get(&class).copied().unwrap_or_default();
                let [debits, credits] = by_accounts(&office, code, period);
                prop_assert_eq!(told.debits_posted, Sum { carries: 0, low: debits });
                prop_assert_eq!(told.credits_posted, Sum { carries: 0, low: credits });
                let of_class = sums.0.entry(class).or_default();
                of_class.debits_posted.plus(told.debits_posted);
                of_class.debits_held.plus(told.debits_held);
                of_class.debits_released.plus(told.debits_released);
            }
        }
        let open = Period {
            start: last_closed.map_or(Day(0).start(), Day::end),
            end: Period::ALWAYS.end,
        };
        let mut whole = [0; 2];
        for code in [10, 20, 30, 40] {
            let of_class = sums.0.get(&AccountClass { ledger: THB, code }).copied().unwrap_or_default();
            whole[0] += of_class.debits_posted.low + by_accounts(&office, code, open)[0];
            whole[1] += of_class.debits_held.low - of_class.debits_released.low;
        }
        let totals = totals(office.store()).unwrap()[&THB];
        prop_assert_eq!(totals.debits_posted, Sum { carries: 0, low: whole[0] });
        if days.values().all(Option::is_some) {
            prop_assert_eq!(totals.debits_pending, Sum { carries: 0, low: whole[1] });
        }
        office.assert_replays();
    }
}
