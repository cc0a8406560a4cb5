//! Statements: pages, closes, and both languages.

use khlong_gateway::domains::books::{
    AccountStatement, CloseAnswer, Day, StatementError, StatementQuery, close_of, cursor, decimal,
    parse_cursor, statement, statement_csv, statement_json,
};
use khlong_gateway::domains::l10n::Language;
use khlong_gateway::domains::ledger::{Asset, Balances, LedgerCommand, Place};
use khlong_store::engine::Durability;
use khlong_store::journal::JournalSeq;
use khlong_store::rows::Rows as _;
use khlong_store::table::Table;

use crate::fixture::{hold, pay, post, void};
use crate::office::{HOUR, Office, TODAY};

const TOMORROW: Day = Day(TODAY.0 + 1);

/// Two days of account 1, the first of them closed.
fn busy() -> Office {
    let mut office = Office::new();
    office.at(TODAY, 13 * HOUR).pay(&[pay(1, 3, 1, 100_050)]);
    office
        .at(TODAY, 14 * HOUR)
        .pay(&[hold(2, 1, 4, 2_500, 0), hold(3, 1, 4, 70, 3_600)]);
    office.at(TODAY, 23 * HOUR).pay(&[post(4, 2, 2_000)]);
    office
        .at(TOMORROW, HOUR)
        .pay(&[pay(5, 1, 2, 98_100), hold(6, 1, 2, 1, 0), void(7, 6)]);
    assert!(matches!(office.close(TODAY), CloseAnswer::Closed(_)));
    office
}

fn query(from: Day, to: Day) -> StatementQuery {
    StatementQuery {
        account: 1,
        from,
        to,
        after: None,
        max: 100,
    }
}

fn ask(office: &Office, query: StatementQuery) -> AccountStatement {
    statement(office.store(), query).unwrap()
}

#[test]
fn pages_of_any_size_make_the_same_statement() {
    let office = busy();
    let whole = ask(&office, query(TODAY, TOMORROW));
    assert_eq!(whole.lines.len(), 8);
    assert_eq!(whole.next, None);
    for max in 1..9 {
        let mut lines = Vec::new();
        let mut csv = Vec::new();
        let mut after = None;
        loop {
            let page = ask(
                &office,
                StatementQuery {
                    after,
                    max,
                    ..query(TODAY, TOMORROW)
                },
            );
            assert_eq!((page.opening, page.closing), (whole.opening, whole.closing));
            lines.extend(page.lines.iter().copied());
            let text = statement_csv(&page, Language::English).unwrap();
            csv.extend(text.lines().skip(1).map(str::to_owned));
            after = page.next.map(|next| parse_cursor(&cursor(next)).unwrap());
            if after.is_none() {
                break;
            }
        }
        assert_eq!(lines, whole.lines);
        let all = statement_csv(&whole, Language::English).unwrap();
        assert_eq!(csv, all.lines().skip(1).collect::<Vec<_>>());
    }
}

#[test]
fn a_statement_agrees_with_the_closes_and_with_the_days_before_and_after() {
    let office = busy();
    let (first, second) = (
        ask(&office, query(TODAY, TODAY)),
        ask(&office, query(TOMORROW, TOMORROW)),
    );
    assert_eq!(first.opening, Balances::default());
    assert_eq!(first.closing, second.opening);
    assert_eq!(second.closing, office.bank.account(1).balances);
    let close = close_of(office.store(), TODAY).unwrap();
    assert_eq!((first.close, second.close), (close, None));
    assert_eq!(ask(&office, query(Day(0), Day(100_000))).close, close);
    let within = close.unwrap();
    assert!(first.lines.iter().all(|line| line.place.seq <= within.last));
    assert!(second.lines.iter().all(|line| line.place.seq > within.last));
    // The hold of two o'clock ran out during the day.
    assert_eq!(first.closing.debits_pending, 0);
}

#[test]
fn csv_has_headings_and_days_of_its_reader() {
    let office = busy();
    let told = ask(&office, query(TODAY, TODAY));
    let nobody = "0".repeat(31);
    let hex = |digit: u8| format!("{nobody}{digit}");
    let english = statement_csv(&told, Language::English).unwrap();
    let expected = format!(
        "Date,Time,Entry,Transfer,Other account,Debit,Credit,Balance,\"On hold, outgoing\",\"On hold, incoming\",Place\r\n\
         27 Nov 2026,,Opening balance,,,,,0.00,0.00,0.00,\r\n\
         27 Nov 2026,13:00:00,Transfer,{one},{three},,1000.50,1000.50,0.00,0.00,3-0\r\n\
         27 Nov 2026,14:00:00,Hold,{two},{four},,,1000.50,25.00,0.00,4-0\r\n\
         27 Nov 2026,14:00:00,Hold,{three},{four},,,1000.50,25.70,0.00,4-1\r\n\
         27 Nov 2026,23:00:00,Hold expired,,{four},,,1000.50,25.00,0.00,5-0\r\n\
         27 Nov 2026,23:00:00,Hold posted,{four},{four},20.00,,980.50,0.00,0.00,5-1\r\n\
         27 Nov 2026,,Closing balance,,,,,980.50,0.00,0.00,\r\n",
        one = hex(1),
        two = hex(2),
        three = hex(3),
        four = hex(4),
    );
    assert_eq!(english, expected);
    let thai = statement_csv(&told, Language::Thai).unwrap();
    let rows: Vec<&str> = thai.lines().collect();
    assert!(rows[0].starts_with("วันที่,เวลา,รายการ,"));
    assert!(rows[1].starts_with("27 พ.ย. 2569,,ยอดยกมา,"));
    assert!(rows[2].starts_with("27 พ.ย. 2569,13:00:00,โอน,"));
    // Numbers are the same for both.
    for (thai, english) in rows.iter().zip(english.lines()).skip(1) {
        let amounts = |row: &str| {
            row.split(',')
                .skip(3)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(amounts(thai), amounts(english));
    }
}

#[test]
fn json_says_the_same_and_a_negative_balance_has_a_sign() {
    let office = busy();
    let told = ask(&office, query(TODAY, TOMORROW));
    let json = statement_json(&told, Language::Thai).unwrap();
    assert_eq!(json["asset"], "THB");
    assert_eq!(json["headings"]["balance"], "ยอดคงเหลือ");
    assert_eq!(json["opening"]["balance"], "0.00");
    assert_eq!(json["closing"]["balance"], "-0.50");
    assert_eq!(json["closing"]["date"], "28 พ.ย. 2569");
    assert_eq!(json["close"]["day"], "2026-11-27");
    let lines = json["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 8);
    assert_eq!(lines[0]["at"], "2026-11-27T06:00:00Z");
    assert_eq!(lines[4]["kind"], "post");
    assert_eq!(lines[4]["pending"], format!("{:032x}", 2));
    assert_eq!(lines[4]["debit"], "20.00");
    assert_eq!(json["next"], serde_json::Value::Null);
}

#[test]
fn what_cannot_be_told_is_an_error() {
    let office = busy();
    let unknown = StatementQuery {
        account: 99,
        ..query(TODAY, TODAY)
    };
    let asked = statement(office.store(), unknown);
    assert!(matches!(
        asked,
        Err(StatementError::UnknownAccount { id: 99 })
    ));
    let asked = statement(office.store(), query(TOMORROW, TODAY));
    assert!(matches!(asked, Err(StatementError::Period { .. })));
    for text in ["", "-", "1", "1-", "-1", "+1-1", "1-70000", "1-1-1", "x-1"] {
        assert_eq!(parse_cursor(text), None, "{text}");
    }
    let place = Place {
        seq: JournalSeq(u64::MAX),
        index: u16::MAX,
    };
    assert_eq!(parse_cursor(&cursor(place)), Some(place));
    // A cursor is a caller's: behind everything there is nothing.
    let behind = StatementQuery {
        after: Some(place),
        ..query(TODAY, TOMORROW)
    };
    assert_eq!(ask(&office, behind).lines, vec![]);
}

#[test]
fn amounts_are_exact_at_every_scale() {
    assert_eq!(decimal(0, 2), "0.00");
    assert_eq!(decimal(5, 2), "0.05");
    assert_eq!(decimal(123_456, 2), "1234.56");
    assert_eq!(decimal(7, 0), "7");
    assert_eq!(decimal(u128::MAX, 0), u128::MAX.to_string());
    assert_eq!(
        decimal(u128::MAX, 38),
        "3.40282366920938463463374607431768211455"
    );
    assert_eq!(decimal(1, 38), format!("0.{}1", "0".repeat(37)));
    // An asset without decimals has a statement without a point.
    let mut office = Office::new();
    let points = Asset {
        ledger: 1,
        scale: 0,
        symbol: *b"POINTS\0\0",
    };
    assert_eq!(
        office.bank.ask(&LedgerCommand::CreateAssets(vec![points])),
        vec![]
    );
    let accounts = [71, 72].map(|id| khlong_gateway::domains::ledger::Account {
        id,
        ledger: 1,
        code: 1,
        ..Default::default()
    });
    office
        .bank
        .ask(&LedgerCommand::CreateAccounts(accounts.to_vec()));
    let mut payment = pay(1, 71, 72, 12);
    payment.ledger = 1;
    office.pay(&[payment]);
    let told = ask(
        &office,
        StatementQuery {
            account: 71,
            ..query(TODAY, TODAY)
        },
    );
    let json = statement_json(&told, Language::English).unwrap();
    assert_eq!(json["closing"]["balance"], "-12");
    assert_eq!(json["asset"], "POINTS");
}

/// A close that ends elsewhere than the day does is not passed over.
#[test]
fn a_statement_that_does_not_agree_with_a_close_is_not_given() {
    let office = busy();
    let mut store = office.bank.kernel.into_store();
    let key = TODAY.0.to_be_bytes();
    let mut row = store.get(Table::BooksClose, &key).unwrap().unwrap();
    // Its last command, behind the mark and `after`: one that left out what came at 23:00.
    assert_eq!(row[16], 5);
    row[16] = 4;
    let mut batch = store.batch();
    batch.put(Table::BooksClose, key.to_vec(), row).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    for (from, to) in [(TODAY, TODAY), (TOMORROW, TOMORROW)] {
        let told = statement(&store, query(from, to));
        assert!(
            matches!(told, Err(StatementError::Differs { day: TODAY })),
            "{told:?}"
        );
    }
}
