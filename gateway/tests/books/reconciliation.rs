//! Comparing with a bank's file.

use khlong_gateway::domains::books::reconciliation::{
    BankFile, DifferenceKind as K, Reconciliation, ReconciliationError, RecordAnswer, reconcile,
    recorded, reference_key,
};
use khlong_gateway::domains::books::{BooksCommand, CloseAnswer, Day};
use khlong_gateway::domains::ledger::Transfer;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{hold, pay, post};
use crate::office::{HOUR, Office, TODAY};

/// Ours at the bank.
const BANK: u128 = 6;
const TOMORROW: Day = Day(TODAY.0 + 1);
const HEADER: &str = "date,time,amount,reference,direction";

/// Money that came in under a reference.
fn received(id: u128, satang: u128, reference: &str) -> Transfer {
    Transfer {
        user_data_128: reference_key(reference),
        ..pay(id, BANK, 1, satang)
    }
}

fn file(lines: &[&str]) -> BankFile {
    let text: String = lines.iter().map(|line| format!("\n{line}")).collect();
    let text = format!("{HEADER}{text}\n");
    BankFile::parse(text.as_bytes()).unwrap()
}

/// What our entries and the bank's lines of a day come to.
fn compare(transfers: &[Transfer], lines: &[&str]) -> (Office, Reconciliation) {
    let mut office = Office::new();
    office.pay(&[pay(900, 1, 2, 1)]);
    if !transfers.is_empty() {
        office.pay(transfers);
    }
    office.at(TOMORROW, 0);
    assert!(matches!(office.close(TODAY), CloseAnswer::Closed(_)));
    let told = reconcile(office.store(), BANK, TODAY, TODAY, &file(lines)).unwrap();
    (office, told)
}

fn kinds(told: &Reconciliation) -> Vec<(K, usize, usize)> {
    told.differences()
        .iter()
        .map(|it| (it.kind, it.ours.len(), it.bank.len()))
        .collect()
}

#[test]
fn what_agrees_is_matched_by_reference_and_by_id() {
    let mut office = Office::new();
    office.pay(&[
        received(1, 10_050, "INV-1"),
        hold(0xabc, 1, BANK, 7_000, 0),
        hold(0xabd, 1, BANK, 1, 0),
    ]);
    office.pay(&[post(3, 0xabc, 6_500), pay(4, BANK, 2, 25)]);
    office.at(TOMORROW, 0);
    office.close(TODAY);
    let lines = file(&[
        "2026-11-27,09:30,100.50,INV-1,in",
        // A payout is referred to by its hold.
        "2026-11-27,09:31:07,65.00,00000000000000000000000000000ABC,out",
        "2026-11-27,09:31,0.25,00000000000000000000000000000004,in",
    ]);
    let told = reconcile(office.store(), BANK, TODAY, TODAY, &lines).unwrap();
    assert_eq!((told.matched(), kinds(&told)), (3, vec![]));
    assert_eq!(told.json()["bank"]["out"], "65.00");
    assert_eq!(told.json()["ours"]["in"], "100.75");
}

/// Our transfers, the bank's lines, and the differences.
type Case<'c> = (&'c [Transfer], &'c [&'c str], &'c [(K, usize, usize)]);

#[test]
fn every_kind_of_difference_is_told_apart() {
    let a = |id, satang| received(id, satang, "A");
    let one = "2026-11-27,10:00,1.00,A,in";
    let cases: [Case<'_>; 13] = [
        (&[a(1, 100)], &[], &[(K::Missing, 1, 0)]),
        (&[], &[one], &[(K::Extra, 0, 1)]),
        (
            &[a(1, 100)],
            &[one, one, one],
            &[(K::Duplicate, 0, 1), (K::Duplicate, 0, 1)],
        ),
        (&[a(1, 300)], &[one, one, one], &[(K::Split, 1, 3)]),
        (&[a(1, 40), a(2, 60)], &[one], &[(K::Merged, 2, 1)]),
        (&[a(1, 99)], &[one], &[(K::OneSatang, 1, 1)]),
        (&[a(1, 101)], &[one], &[(K::OneSatang, 1, 1)]),
        (&[a(1, 5_000)], &[one], &[(K::Amount, 1, 1)]),
        (&[received(1, 100, "B")], &[one], &[(K::Reference, 1, 1)]),
        (
            &[a(1, 100)],
            &["2026-11-27,10:00,1.00,A,out"],
            &[(K::Missing, 1, 0), (K::Extra, 0, 1)],
        ),
        // One of several is taken for what it is before sums are tried.
        (
            &[a(1, 100), a(2, 300)],
            &[
                one,
                "2026-11-27,10:00,1.50,A,in",
                "2026-11-27,10:00,1.50,A,in",
            ],
            &[(K::Split, 1, 2)],
        ),
        // Two of two, one satang off each.
        (
            &[a(1, 99), a(2, 301)],
            &[one, "2026-11-27,10:00,3.00,A,in"],
            &[(K::OneSatang, 1, 1), (K::OneSatang, 1, 1)],
        ),
        // Which of the two it is, nobody can say.
        (
            &[received(1, 100, "B"), received(2, 100, "C")],
            &[one],
            &[(K::Missing, 1, 0), (K::Missing, 1, 0), (K::Extra, 0, 1)],
        ),
    ];
    for (n, (transfers, lines, expected)) in cases.into_iter().enumerate() {
        let (_, told) = compare(transfers, lines);
        assert_eq!(kinds(&told), expected, "case {n}");
        // Each is there for people and for machines.
        assert_eq!(
            told.json()["differences"].as_array().unwrap().len(),
            expected.len()
        );
        for (kind, _, _) in expected {
            assert!(told.json()["differences"].to_string().contains(kind.name()));
        }
    }
}

#[test]
fn what_nobody_sees_is_written_out_for_people_and_left_alone_for_programs() {
    let (_, told) = compare(&[], &["2026-11-27,10:00,1.00,A\u{200b}ก\u{e49},in"]);
    let text = told.text();
    assert!(text.contains("in 1.00 A\\u{200b}ก\u{e49}\n"), "{text}");
    assert!(
        serde_json::Value::from(told.json())
            .to_string()
            .contains("A\u{200b}ก")
    );
}

#[test]
fn a_line_of_another_day_is_paired_and_told() {
    let mut office = Office::new();
    office
        .at(TODAY, 23 * HOUR)
        .pay(&[received(1, 100, "A"), received(2, 100, "B")]);
    office.at(TOMORROW, HOUR).pay(&[received(3, 100, "A")]);
    office.at(Day(TOMORROW.0 + 1), 0);
    office.close(TODAY);
    office.close(TOMORROW);
    let lines = file(&[
        "2026-11-28,00:10,1.00,B,in",
        // That of the same day is taken first, whatever comes first in the file.
        "2026-11-28,01:00,1.00,A,in",
        "2026-11-27,23:00,1.00,A,in",
    ]);
    let told = reconcile(office.store(), BANK, TODAY, TOMORROW, &lines).unwrap();
    assert_eq!(kinds(&told), [(K::Day, 1, 1)]);
    assert_eq!(told.matched(), 2);
    let text = told.text();
    assert!(
        text.contains("Another day, bank less ledger 0.00"),
        "{text}"
    );
    assert!(text.contains("bank line 2 2026-11-28 in 1.00 B"), "{text}");
}

#[test]
fn a_report_is_recorded_by_its_digest_and_moves_nothing() {
    let (mut office, told) = compare(&[received(1, 99, "A")], &["2026-11-27,10:00,1.00,A,in"]);
    let before = (1..=6)
        .map(|id| office.bank.balances(id))
        .collect::<Vec<_>>();
    let record = told.record();
    let command = BooksCommand::RecordReconciliation(record);
    let first = office.ask(&command);
    let answer = RecordAnswer::decode(&first).unwrap();
    let RecordAnswer::Recorded(seq, at) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (seq, at.0),
        (office.bank.kernel.head().seq, office.bank.now)
    );
    office.bank.now += HOUR;
    assert_eq!(office.ask(&command), first);
    let kept = recorded(office.store(), &told.digest()).unwrap().unwrap();
    assert_eq!((kept.record, kept.seq), (record, seq));
    assert_eq!((record.matched, record.differences), (0, 1));
    // What is recorded stays: under its digest nothing else is.
    let mut other = record;
    other.differences = 0;
    let answer = office.ask(&BooksCommand::RecordReconciliation(other));
    assert_eq!(RecordAnswer::decode(&answer), Some(RecordAnswer::Differs));
    let kept = recorded(office.store(), &told.digest()).unwrap().unwrap();
    assert_eq!((kept.record, kept.seq), (record, seq));
    // Backwards, of another close, or of nobody's account.
    let mut other = record;
    other.report_digest = [2; 32];
    other.from = Day(record.to.0 + 1);
    let answer = office.ask(&BooksCommand::RecordReconciliation(other));
    assert_eq!(RecordAnswer::decode(&answer), Some(RecordAnswer::Differs));
    other.from = record.from;
    other.close_hash = [1; 32];
    let answer = office.ask(&BooksCommand::RecordReconciliation(other));
    assert_eq!(
        RecordAnswer::decode(&answer),
        Some(RecordAnswer::OtherClose)
    );
    other.account = 99;
    let answer = office.ask(&BooksCommand::RecordReconciliation(other));
    assert_eq!(
        RecordAnswer::decode(&answer),
        Some(RecordAnswer::UnknownAccount)
    );
    let after = (1..=6)
        .map(|id| office.bank.balances(id))
        .collect::<Vec<_>>();
    assert_eq!(before, after);
    office.assert_replays();
}

#[test]
fn the_same_is_compared_to_the_same_report() {
    let (_, one) = compare(&[received(1, 99, "A")], &["2026-11-27,10:00,1.00,A,in"]);
    let (_, same) = compare(&[received(1, 99, "A")], &["2026-11-27,10:00,1.00,A,in"]);
    let (_, other) = compare(&[received(1, 99, "A")], &["2026-11-27,10:01,1.00,A,in"]);
    assert_eq!(
        (one.digest(), one.text(), one.json()),
        (same.digest(), same.text(), same.json())
    );
    assert_ne!(one.digest(), other.digest());
}

#[test]
fn what_cannot_be_compared_is_said() {
    let (mut office, _) = compare(&[], &[]);
    let lines = file(&["2026-11-27,10:00,1.00,A,in", "2026-11-28,10:00,1.00,A,in"]);
    let ask = |office: &Office, account, to| reconcile(office.store(), account, TODAY, to, &lines);
    let outside = ask(&office, BANK, TODAY);
    assert!(matches!(
        outside,
        Err(ReconciliationError::OutsidePeriod {
            line: 3,
            day: TOMORROW
        })
    ));
    let open = ask(&office, BANK, TOMORROW);
    assert!(matches!(
        open,
        Err(ReconciliationError::NotClosed { day: TOMORROW })
    ));
    office.at(Day(TOMORROW.0 + 1), 0);
    office.close(TOMORROW);
    assert!(matches!(
        ask(&office, 99, TOMORROW),
        Err(ReconciliationError::Statement(_))
    ));
    assert!(ask(&office, BANK, TOMORROW).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing is lost and nothing told twice: what is not matched is in one difference.
    #[test]
    fn each_line_and_each_entry_comes_out_once(
        ours in vec((0_u8..5, 1_u128..6, any::<bool>()), 0..14),
        bank in vec((0_u8..5, 1_u128..6, any::<bool>()), 0..14),
    ) {
        let transfers: Vec<_> = (1..).zip(&ours).map(|(id, (reference, satang, comes))| {
            let transfer = received(id, *satang, &reference.to_string());
            if *comes { transfer } else { Transfer { debit_account_id: 1, credit_account_id: BANK, ..transfer } }
        }).collect();
        let lines: Vec<_> = bank.iter().map(|(reference, satang, comes)| {
            let direction = if *comes { "in" } else { "out" };
            // Reference 4 is none.
            let reference = if *reference == 4 { String::new() } else { reference.to_string() };
            format!("2026-11-27,10:00,0.{satang:02},{reference},{direction}")
        }).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let (_, told) = compare(&transfers, &lines);
        let mut our_places: Vec<_> = told.differences().iter().flat_map(|it| it.ours.clone()).collect();
        let mut bank_places: Vec<_> = told.differences().iter().flat_map(|it| it.bank.clone()).collect();
        prop_assert_eq!(our_places.len() + told.matched(), ours.len());
        prop_assert_eq!(bank_places.len() + told.matched(), bank.len());
        // Matched ones have equal amounts, so the rest differs by what the whole differs.
        let all_ours: u128 = told.ours().iter().map(|entry| entry.amount).sum();
        let all_bank: i64 = told.bank().iter().map(|line| line.amount.0).sum();
        let left_ours: u128 = our_places.iter().map(|at| told.ours()[*at].amount).sum();
        let left_bank: i64 = bank_places.iter().map(|at| told.bank()[*at].amount.0).sum();
        prop_assert_eq!(all_ours - left_ours, u128::try_from(all_bank - left_bank).unwrap());
        our_places.sort_unstable();
        our_places.dedup();
        bank_places.sort_unstable();
        bank_places.dedup();
        prop_assert_eq!(our_places.len() + told.matched(), ours.len());
        prop_assert_eq!(bank_places.len() + told.matched(), bank.len());
    }
}
