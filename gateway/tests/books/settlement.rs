//! What a bank's answer does to a batch when things went wrong before it.

use khlong_gateway::domains::books::BooksCommand;
use khlong_gateway::domains::books::payout::{
    AnswerRecord, ExportAnswer, ExportRecord, Fate, FatesAnswer, PayoutBatch, PayoutError,
    PayoutFormat, SETTLING_IDS_MAX, Settlement, answered as said, exported, settle, settling_id,
};
use khlong_gateway::domains::ledger::{TransferFlags, TransferResult};
use khlong_gateway::kernel::Logic;

use crate::fixture::{hold, pay, post, void, with};
use crate::office::{Office, start_again};
use crate::pain002::{of_payments, original, parse, reason, report};
use crate::shops::{
    CLEARING, answered, batch, creditor, debtor, export, noted, recorded, recorded_under,
};

/// After a crash the same file is sent again: the bank refuses the second, and pays the first.
#[test]
fn a_duplicate_that_is_refused_gives_nothing_back() {
    for code in ["AM05", "DU01", "DU02", "DU03", "DU04", "DU05", "DUPL"] {
        let (mut office, record, _) = recorded();
        let id = record.batch;
        let held = office.bank.balances(CLEARING);
        let why = reason(code);
        let own_words = why.replace("Cd>", "Prtry>").replace(code, "Duplicate file");
        let group = |why: &str| original(id, &format!("<GrpSts>RJCT</GrpSts>{why}"));
        let information = |why: &str| {
            original(id, "")
                + &format!(
                    "<OrgnlPmtInfAndSts><PmtInfSts>RJCT</PmtInfSts>{why}</OrgnlPmtInfAndSts>"
                )
        };
        let rejected = of_payments(&[(1, "RJCT"), (2, "RJCT"), (3, "RJCT")]);
        let single = original(id, "") + &rejected.replace("AC01", code);
        for body in [
            group(&why),
            group(&own_words),
            group(&(reason("FF01") + &why)),
            group(&why) + &rejected,
            // No reason, and one that says nothing.
            group(""),
            group(&reason("NARR")),
            information(&why),
            information(""),
            single,
        ] {
            let told = answered(&mut office, &report(&body));
            assert_eq!(told.doubtful, [1, 2, 3], "{body}");
            assert_eq!((told.transfers, told.voided), (vec![], vec![]), "{body}");
            assert_eq!(office.bank.balances(CLEARING), held);
        }
        let paid = report(&original(id, "<GrpSts>ACSC</GrpSts>"));
        assert_eq!(answered(&mut office, &paid).posted, [1, 2, 3]);
        assert_eq!(office.bank.balances(CLEARING)[3], record.sum);
        // It comes once more: it was paid from the first file.
        assert_eq!(
            answered(&mut office, &report(&group(&why))).settled,
            [1, 2, 3]
        );
    }
}

#[test]
fn an_id_that_failed_or_was_taken_keeps_no_hold_from_being_settled() {
    let (mut office, record, _) = recorded();
    let paid = parse(&report(&original(record.batch, "<GrpSts>ACSC</GrpSts>"))).unwrap();
    // Somebody works out the first id of hold 1 and takes it.
    office.pay(&[pay(settling_id(&record, 1, true, 0), 1, 2, 1)]);
    // The account of holds 1 and 3 is closed when the bank answers, and opened again.
    let close = TransferFlags::PENDING.with(TransferFlags::CLOSING_DEBIT);
    office.pay(&[with(pay(60, 3, 6, 0), close)]);
    let first = noted(&mut office, &paid).transfers;
    let results = office.bank.send(&first);
    assert_eq!(results[1], TransferResult::Ok);
    assert!(results[0] != TransferResult::Ok && results[2] != TransferResult::Ok);
    office.pay(&[void(61, 60)]);
    let told = noted(&mut office, &paid);
    assert_eq!((&told.posted, &told.settled), (&vec![1, 3], &vec![2]));
    office.pay(&told.transfers);
    assert_eq!(office.bank.balances(CLEARING), [0, 0, 0, record.sum]);
    let told = settle(office.store(), &paid).unwrap();
    assert_eq!((told.settled, told.transfers), (vec![1, 2, 3], vec![]));
    // Later ids need the file.
    let other = ExportRecord {
        file_digest: [0; 32],
        ..record.clone()
    };
    assert_eq!(
        settling_id(&record, 1, true, 0),
        settling_id(&other, 1, true, 0)
    );
    assert_ne!(
        settling_id(&record, 1, true, 1),
        settling_id(&other, 1, true, 1)
    );
}

/// The batch of this hold alone.
fn batch_of_one(hold: u128, sum: u128, like: &ExportRecord) -> ExportRecord {
    let context = "khlong.network 2026-11 gateway payout batch v1";
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher
        .update(&CLEARING.to_be_bytes())
        .update(&hold.to_be_bytes());
    let hash = hasher.finalize();
    let (id, _) = hash.as_bytes().split_at(16);
    ExportRecord {
        batch: u128::from_be_bytes(id.try_into().unwrap()),
        sum,
        transfers: vec![hold],
        ..like.clone()
    }
}

/// Its account takes nothing until it is given back, its own post included: what the bank paid could never be booked.
#[test]
fn a_hold_that_closes_an_account_is_in_no_batch_and_one_of_an_older_release_is_only_given_back() {
    let (mut office, record, _) = recorded_under(Logic::V3);
    let close = TransferFlags::PENDING.with(TransferFlags::CLOSING_DEBIT);
    office.pay(&[with(pay(7, 4, CLEARING, 10), close)]);
    let old = batch_of_one(7, 10, &record);
    let recorded = export(&mut office, &old);
    assert!(matches!(recorded, ExportAnswer::Recorded(..)));
    start_again(&mut office.bank);

    office.pay(&[with(pay(8, 3, CLEARING, 20), close)]);
    let refused = batch(&office, &[(8, creditor("C"))]).unwrap_err();
    assert!(matches!(refused, PayoutError::Unfit { transfer: 8, .. }));
    let new = batch_of_one(8, 20, &record);
    assert_eq!(export(&mut office, &new), ExportAnswer::Unfit(8));

    let word = |status| {
        let payments = of_payments(&[(7, status)]);
        parse(&report(&(original(old.batch, "") + &payments))).unwrap()
    };
    let told = noted(&mut office, &word("ACSC"));
    assert_eq!((told.contradicted, told.transfers), (vec![7], vec![]));
    let told = noted(&mut office, &word("RJCT"));
    assert_eq!(told.voided, [7]);
    office.pay(&told.transfers);
    office.pay(&[pay(70, 4, 6, 1)]);
}

#[test]
fn when_all_ids_of_a_hold_are_spent_a_person_is_asked() {
    let (mut office, record, _) = recorded();
    let taken: Vec<_> = (0..SETTLING_IDS_MAX)
        .map(|n| pay(settling_id(&record, 1, true, n), 1, 2, 1))
        .collect();
    office.pay(&taken);
    let paid = parse(&report(&original(record.batch, "<GrpSts>ACSC</GrpSts>"))).unwrap();
    let told = settle(office.store(), &paid).unwrap();
    assert_eq!((told.posted, told.contradicted), (vec![2, 3], vec![1]));
}

/// By the rules up to the third whoever might write could settle a hold of a batch.
#[test]
fn another_amount_than_was_held_is_no_settlement() {
    let (mut office, record, _) = recorded_under(Logic::V3);
    // A part of one by its own id, the whole of one by somebody else's.
    office.pay(&[
        post(settling_id(&record, 1, true, 0), 1, 100_000),
        post(70, 2, u128::MAX),
    ]);
    let paid = parse(&report(&original(record.batch, "<GrpSts>ACSC</GrpSts>"))).unwrap();
    let told = settle(office.store(), &paid).unwrap();
    assert_eq!((told.contradicted, told.settled), (vec![1, 2], vec![]));
    assert_eq!(told.posted, [3]);
}

#[test]
fn a_report_of_another_message_settles_nothing() {
    let (mut office, record, _) = recorded();
    let id = record.batch;
    let status = "<GrpSts>ACSC</GrpSts>";
    let named = |name: &str| original(id, &format!("<OrgnlMsgNmId>{name}</OrgnlMsgNmId>{status}"));
    let information = |name: &str| {
        original(id, status)
            + &format!(
                "<OrgnlPmtInfAndSts><OrgnlPmtInfId>{name}</OrgnlPmtInfId></OrgnlPmtInfAndSts>"
            )
    };
    for (body, expected) in [
        (named("pain.008.001.08"), "pain.008.001.08"),
        (information("p"), "p"),
    ] {
        let told = settle(office.store(), &parse(&report(&body)).unwrap());
        assert!(
            matches!(&told, Err(PayoutError::OtherMessage { batch, found }) if *batch == id && found == expected),
            "{told:?}"
        );
    }
    for body in [named("pain.001.001.03"), information(&format!("{id:032X}"))] {
        let told = settle(office.store(), &parse(&report(&body)).unwrap()).unwrap();
        assert_eq!(told.posted, [1, 2, 3]);
    }
    // Of a CSV file a bank makes a message of its own.
    office.pay(&[hold(20, 3, CLEARING, 5, 0)]);
    let csv = batch(&office, &[(20, creditor("A"))]).unwrap();
    let csv = csv.record(PayoutFormat::Csv).unwrap();
    export(&mut office, &csv);
    let body = original(
        csv.batch,
        &format!("<OrgnlMsgNmId>CSV</OrgnlMsgNmId>{status}"),
    );
    let told = settle(office.store(), &parse(&report(&body)).unwrap()).unwrap();
    assert_eq!(told.posted, [20]);
}

#[test]
fn no_file_is_written_again_once_a_hold_of_it_is_settled() {
    for status in ["RJCT", "ACSC"] {
        let (mut office, record, creditors) = recorded();
        let known = exported(office.store(), record.batch).unwrap().unwrap();
        let again = |office: &Office| {
            PayoutBatch::again(office.store(), debtor(), &known, creditors.clone())
        };
        assert!(again(&office).is_ok());
        let body = original(record.batch, "") + &of_payments(&[(2, status)]);
        answered(&mut office, &report(&body));
        let told = again(&office);
        assert!(
            matches!(told, Err(PayoutError::Unfit { transfer: 2, .. })),
            "{told:?}"
        );
    }
}

/// The command notes what a bank says, and its answer is what is to be done, byte for byte.
#[test]
fn what_becomes_of_each_hold_is_decided_by_a_command() {
    let (mut office, record, _) = recorded();
    let body = original(record.batch, "") + &of_payments(&[(1, "ACSC"), (2, "RJCT")]);
    let bank = parse(&report(&body)).unwrap();
    let (known, noted) = said(office.store(), &bank).unwrap();
    assert_eq!(known, record);
    let command = BooksCommand::AnswerPayouts(noted.clone());
    let bytes = command.encode();
    assert_eq!(bytes[..2], [1, 5]);
    assert_eq!(bytes[50..], [0, 3, 1, 2, 0]);
    assert_eq!(BooksCommand::decode(&bytes), Some(command.clone()));
    for odd in [
        &bytes[..bytes.len() - 1],
        &[&bytes[..52], &[4, 4, 4]].concat(),
    ] {
        assert_eq!(BooksCommand::decode(odd), None);
    }
    let told = settle(office.store(), &bank).unwrap();
    let before = office.bank.balances(CLEARING);
    let answer = office.ask(&command);
    assert_eq!(answer, [0, 0, 3, 1, 0, 2, 0, 3, 0]);
    assert_eq!(office.bank.balances(CLEARING), before, "nothing is moved");
    let decided = FatesAnswer::decode(&answer).unwrap();
    let fates = [Fate::Posts(0), Fate::Voids(0), Fate::Waits];
    assert_eq!(decided, FatesAnswer::Fates(fates.to_vec()));
    assert_eq!(Settlement::of(&record, &fates, &bank), told);
    office.pay(&told.transfers);
    assert_eq!(office.ask(&command), [0, 0, 3, 5, 0, 5, 0, 3, 0]);
    let other = AnswerRecord {
        batch: 7,
        ..noted.clone()
    };
    assert_eq!(office.ask(&BooksCommand::AnswerPayouts(other)), [1]);
    let mut fewer = noted;
    fewer.statuses.pop();
    assert_eq!(office.ask(&BooksCommand::AnswerPayouts(fewer)), [2]);
    for odd in [
        &answer[..8],
        &[0, 0, 3, 1, 0, 2, 0, 7, 0],
        &[3],
        &[1, 0],
        &[],
    ] {
        assert_eq!(FatesAnswer::decode(odd), None, "{odd:?}");
    }
    office.assert_replays();
}
