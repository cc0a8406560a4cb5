//! Closes, case by case.

use std::ops::ControlFlow;

use jiff::civil::Date;
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::{
    AccountClass, BooksCommand, Close, CloseAnswer, CloseError, Day, close_of, close_totals,
    closes, due_day, last_close, verify_closes,
};
use khlong_gateway::domains::l10n::business_day;
use khlong_gateway::domains::ledger::{Place, Sum, records};
use khlong_gateway::kernel::Outcome;
use khlong_store::engine::{Direction, Durability};
use khlong_store::journal::{self, JournalSeq};
use khlong_store::key::KeyRange;
use khlong_store::rows::Rows as _;
use khlong_store::table::Table;

use crate::fixture::{THB, command, decide, hold, pay, post, void};
use crate::office::{HOUR, Office, TODAY, start_again};

const TOMORROW: Day = Day(TODAY.0 + 1);
const MINUTE: i64 = HOUR / 60;

fn closed(answer: CloseAnswer) -> Close {
    let CloseAnswer::Closed(close) = answer else {
        panic!("{answer:?}")
    };
    close
}

/// The ids of the transfers that a close covers.
fn covered(office: &Office, close: &Close) -> Vec<u128> {
    let mut ids = Vec::new();
    let from = Place {
        seq: close.after.next(),
        index: 0,
    };
    records(office.store(), from, close.last, &mut |_, _, record| {
        ids.push(record.id);
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    assert_eq!(ids.len() as u64, close.records);
    ids
}

fn sum(low: u128) -> Sum {
    Sum { carries: 0, low }
}

#[test]
fn a_day_is_the_calendar_day_of_bangkok() {
    for at in [TODAY.start().0, TODAY.end().0 - 1, TODAY.start().0 + HOUR] {
        assert_eq!(Day::of(UnixMillis(at)), TODAY);
        assert_eq!(business_day(UnixMillis(at)), Date::constant(2026, 11, 27));
    }
    assert_eq!(Day::of(TODAY.end()), TOMORROW);
    assert_eq!(TODAY.to_string(), "2026-11-27");
    assert_eq!(Day::from_date(TODAY.date()), Some(TODAY));
    assert_eq!(Day::from_date(Date::constant(1969, 12, 31)), None);
    assert_eq!(Day::from_date(Date::constant(1970, 1, 1)), Some(Day(0)));
    // Whatever a clock says, there is a day for it, and it lies in that day.
    for at in [i64::MIN, -1, 0, i64::MAX - 1] {
        let day = Day::of(UnixMillis(at));
        assert!(day.start().0 <= at && at < day.end().0, "{at}");
    }
}

#[test]
fn a_close_covers_the_day_up_to_the_last_command_before_midnight() {
    let mut office = Office::new();
    office
        .at(TODAY, 23 * HOUR)
        .pay(&[pay(1, 1, 3, 100), hold(2, 1, 3, 50, 0)]);
    office.bank.now = TODAY.end().0 - 1;
    office.pay(&[post(3, 2, 20), pay(4, 3, 4, 5)]);
    office.bank.now = TODAY.end().0;
    office.pay(&[pay(5, 1, 2, 7)]);
    // It was admitted yesterday and waited: the command before it has today's time already.
    office.bank.now = TODAY.end().0 - 1;
    office.pay(&[pay(6, 1, 2, 1)]);
    office.at(TOMORROW, MINUTE);
    let close = closed(office.close(TODAY));
    assert_eq!(covered(&office, &close), [1, 2, 3, 4]);
    // It came after the close.
    office.bank.now = TODAY.end().0 - 1;
    office.pay(&[pay(7, 1, 2, 1)]);
    office.at(Day(TOMORROW.0 + 1), 0);
    let next = closed(office.close(TOMORROW));
    assert_eq!(covered(&office, &next), [5, 6, 7]);
    assert_eq!((next.after, next.former_hash), (close.last, close.hash));

    let totals = close_totals(office.store(), TODAY).unwrap().unwrap();
    let of = |code| totals.0[&AccountClass { ledger: THB, code }];
    let (wallets, shops) = (of(10), of(20));
    assert_eq!((wallets.sides, shops.sides), (3, 5));
    assert_eq!(wallets.debits_posted, sum(120));
    assert_eq!(wallets.debits_held, sum(50));
    assert_eq!(wallets.debits_released, sum(50));
    assert_eq!(wallets.credits_posted, sum(0));
    assert_eq!(shops.credits_posted, sum(125));
    assert_eq!(shops.debits_posted, sum(5));
    assert_eq!(totals.0.len(), 2);
    let stored = journal::get(office.store(), close.last).unwrap().unwrap();
    assert_eq!(stored.hash, close.journal_hash);
    assert_eq!(verify_closes(office.store()).unwrap(), Some(next));
    office.assert_replays();
}

#[test]
fn the_same_day_is_answered_with_the_same_bytes() {
    let mut office = Office::new();
    office.pay(&[pay(1, 1, 3, 100)]);
    office.at(TOMORROW, 0);
    let first = office.ask(&BooksCommand::CloseDay(TODAY));
    office.pay(&[pay(2, 1, 3, 100)]);
    start_again(&mut office.bank);
    office.at(Day(TOMORROW.0 + 40), 0);
    assert_eq!(office.ask(&BooksCommand::CloseDay(TODAY)), first);
    closed(office.close(TOMORROW));
    assert_eq!(office.ask(&BooksCommand::CloseDay(TODAY)), first);
    let close = close_of(office.store(), TODAY).unwrap().unwrap();
    assert_eq!(CloseAnswer::Closed(close).encode(), first);
}

#[test]
fn days_are_closed_in_order_when_they_are_over() {
    let mut office = Office::new();
    assert_eq!(office.close(TODAY), CloseAnswer::NothingYet);
    assert_eq!(office.deadline(), None);
    office.pay(&[pay(1, 1, 3, 100)]);
    assert_eq!(office.deadline(), Some(TODAY.end()));
    let early = CloseAnswer::TooEarly {
        day: TODAY,
        until: TODAY.end(),
    };
    office.bank.now = TODAY.end().0 - 1;
    assert_eq!(office.close(TODAY), early);
    office.at(Day(TODAY.0 + 3), 0);
    let expected = TODAY;
    for day in [Day(0), Day(TODAY.0 - 1), TOMORROW, Day(u32::MAX)] {
        assert_eq!(office.close(day), CloseAnswer::OutOfOrder { expected });
    }
    // A gateway that was away catches up: the domain says itself what is due.
    let mut done = Vec::new();
    while office.deadline().is_some_and(|at| at.0 <= office.bank.now) {
        let answer = office.ask(&BooksCommand::CloseNext);
        done.push(closed(CloseAnswer::decode(&answer).unwrap()));
    }
    assert_eq!(done.len(), 3);
    assert_eq!(closes(office.store(), Day(0), 9).unwrap(), done);
    assert_eq!(last_close(office.store()).unwrap(), Some(done[2]));
    // Nothing happened on the other days; they have closes all the same, each of its own hash.
    assert_eq!(done[1].records + done[2].records, 0);
    assert_eq!(done[0].last, done[2].last);
    assert_ne!(done[1].hash, done[2].hash);
    assert_eq!(verify_closes(office.store()).unwrap(), Some(done[2]));
    assert_eq!(due_day(office.store()).unwrap(), Some(Day(TODAY.0 + 3)));
}

#[test]
fn a_long_day_is_closed_in_steps_and_payments_go_on_between_them() {
    let mut office = Office::new();
    let mut id = 0;
    for _ in 0..3 {
        let many: Vec<_> = (0..3_000)
            .map(|_| {
                id += 1;
                pay(id, 1, 3, 1)
            })
            .collect();
        office.pay(&many);
    }
    office.at(TOMORROW, 1);
    let records = 8_192;
    let day = TODAY;
    assert_eq!(
        office.close(TODAY),
        CloseAnswer::Unfinished { day, records }
    );
    assert_eq!(close_of(office.store(), TODAY).unwrap(), None);
    assert_eq!(close_totals(office.store(), TODAY).unwrap(), None);
    assert_eq!(office.deadline(), Some(TODAY.end()));
    office.pay(&[pay(100_000, 1, 3, 1)]);
    let close = closed(office.close(TODAY));
    assert_eq!(close.records, 9_000);
    let totals = close_totals(office.store(), TODAY).unwrap().unwrap();
    let wallets = totals.0[&AccountClass {
        ledger: THB,
        code: 10,
    }];
    assert_eq!(wallets.debits_posted, sum(9_000));
    assert_eq!(verify_closes(office.store()).unwrap(), Some(close));
    office.at(Day(TOMORROW.0 + 1), 0);
    let next = closed(office.close(TOMORROW));
    assert_eq!(covered(&office, &next), [100_000]);
    office.assert_replays();
}

#[test]
fn what_expires_or_is_voided_is_of_the_day_on_which_it_ends() {
    let mut office = Office::new();
    office
        .at(TODAY, 23 * HOUR)
        .pay(&[hold(1, 1, 3, 40, 7_200), hold(2, 1, 3, 9, 0)]);
    office.at(TOMORROW, 0);
    closed(office.close(TODAY));
    office.at(TOMORROW, 2 * HOUR).pay(&[void(3, 2)]);
    office.at(Day(TOMORROW.0 + 1), 0);
    let close = closed(office.close(TOMORROW));
    // The expiry has no id of its own.
    assert_eq!(covered(&office, &close), [0, 3]);
    let totals = close_totals(office.store(), TOMORROW).unwrap().unwrap();
    let wallets = totals.0[&AccountClass {
        ledger: THB,
        code: 10,
    }];
    assert_eq!(wallets.debits_released, sum(49));
    assert_eq!(wallets.debits_posted, sum(0));
    assert!(totals.is_balanced());
}

/// Whoever changes a row of a closed day is found out.
#[test]
fn a_close_that_was_tampered_with_is_named() {
    for table in [Table::BooksClose, Table::BooksCloseTotal] {
        let mut office = Office::new();
        office.pay(&[pay(1, 1, 3, 100)]);
        office.at(TOMORROW, 0);
        closed(office.close(TODAY));
        let mut rows = Vec::new();
        office
            .store()
            .scan(
                table,
                &KeyRange::all(),
                Direction::Forward,
                &mut |key, row| {
                    rows.push((key.to_vec(), row.to_vec()));
                    Ok(ControlFlow::Continue(()))
                },
            )
            .unwrap();
        let (key, row) = rows.remove(0);
        let mut store = office.bank.kernel.into_store();
        // Every byte behind the mark that says that the day is closed.
        for at in 1..row.len() {
            let mut changed = row.clone();
            changed[at] ^= 1;
            let mut batch = store.batch();
            batch.put(table, key.clone(), changed).unwrap();
            let writes = batch.into_writes();
            store.commit(writes, Durability::Synced).unwrap();
            let error = verify_closes(&store).unwrap_err();
            assert!(
                matches!(error, CloseError::Differs { day: TODAY, .. }),
                "byte {at}: {error:?}"
            );
        }
        let mut batch = store.batch();
        batch.put(table, key, row).unwrap();
        let writes = batch.into_writes();
        store.commit(writes, Durability::Synced).unwrap();
        assert_eq!(verify_closes(&store).unwrap().unwrap().day, TODAY);
    }
}

#[test]
fn a_command_that_is_none_is_refused_and_changes_nothing() {
    let mut office = Office::new();
    let whole = BooksCommand::CloseDay(TODAY).encode();
    let longer = [whole.as_slice(), &[0]].concat();
    for (n, body) in [
        &[][..],
        &[1],
        &[2, 1, 0, 0, 0, 1],
        &whole[..5],
        &longer,
        &[1, 99],
    ]
    .into_iter()
    .enumerate()
    {
        let command = command(&format!("odd {n}"), office.bank.now, 2, body.to_vec());
        let outcome = decide(&mut office.bank.kernel, &command).outcome().unwrap();
        assert!(matches!(outcome, Outcome::Rejected(_)), "{body:?}");
    }
    for command in [BooksCommand::CloseDay(TODAY), BooksCommand::CloseNext] {
        assert_eq!(BooksCommand::decode(&command.encode()), Some(command));
    }
    assert_eq!(last_close(office.store()).unwrap(), None);
    let answers = [
        CloseAnswer::NothingYet,
        CloseAnswer::OutOfOrder { expected: TODAY },
        CloseAnswer::TooEarly {
            day: TODAY,
            until: TODAY.end(),
        },
        CloseAnswer::Closed(Close {
            day: TODAY,
            after: JournalSeq(1),
            last: JournalSeq(2),
            records: 3,
            journal_hash: [4; 32],
            former_hash: [5; 32],
            hash: [6; 32],
        }),
    ];
    for answer in answers {
        let bytes = answer.encode();
        assert_eq!(CloseAnswer::decode(&bytes), Some(answer));
        assert_eq!(CloseAnswer::decode(&bytes[..bytes.len() - 1]), None);
    }
}
