//! A hold of a batch is the bank's: the ledger settles it as the books decided, and for nobody else.

use khlong_gateway::domains::books::payout::{
    Fate, PayoutError, StatusReport, may_settle, settle, settling_id,
};
use khlong_gateway::domains::ledger::{TransferFlags, TransferResult as R};
use khlong_gateway::kernel::Logic;

use crate::fixture::{hold, pay, post, void, with};
use crate::office::start_again;
use crate::pain002::{of_payments, original, parse, report};
use crate::shops::{CLEARING, answered, noted, recorded, recorded_under};

#[test]
fn nobody_else_posts_or_voids_what_the_bank_may_pay() {
    let (mut office, record, _) = recorded();
    let held = office.bank.balances(CLEARING);
    for asked in [
        void(50, 2),
        post(51, 2, u128::MAX),
        post(52, 2, 1),
        post(53, 2, 0),
        // Whoever works out the id that the books would take.
        Fate::Posts(0).transfer(&record, 2).unwrap(),
        Fate::Voids(0).transfer(&record, 2).unwrap(),
    ] {
        assert_eq!(office.bank.send_one(asked), R::PendingTransferOwned);
        // It spends no id, so that nobody can spend those of the books.
        assert_eq!(office.bank.send_one(asked), R::PendingTransferOwned);
    }
    let chain = [with(pay(54, 1, 2, 5), TransferFlags::LINKED), void(55, 2)];
    assert_eq!(
        office.bank.send(&chain),
        [R::LinkedEventFailed, R::PendingTransferOwned]
    );
    assert_eq!(office.bank.balances(CLEARING), held);
    // What is in no batch is whose it was, and what was wrong with a request before is told first.
    office.pay(&[hold(20, 3, CLEARING, 5, 0)]);
    assert_eq!(office.bank.send_one(void(56, 20)), R::Ok);
    assert_eq!(
        office.bank.send_one(post(57, 2, 1_000_000)),
        R::ExceedsPendingTransferAmount
    );
    start_again(&mut office.bank);
    assert_eq!(office.bank.send_one(void(50, 2)), R::PendingTransferOwned);
    office.assert_replays();
}

#[test]
fn what_the_books_decided_is_settled_to_the_letter_and_by_anybody() {
    let (mut office, record, _) = recorded();
    let body = original(record.batch, "") + &of_payments(&[(1, "ACSC"), (2, "RJCT")]);
    let told = noted(&mut office, &parse(&report(&body)).unwrap());
    let (paid, back) = (told.transfers[0], told.transfers[1]);
    assert_eq!(paid.id, settling_id(&record, 1, true, 0));
    for other in [
        post(60, 1, u128::MAX),
        post(paid.id, 1, 5),
        void(settling_id(&record, 1, false, 0), 1),
        khlong_gateway::domains::ledger::Transfer {
            user_data_32: 1,
            ..paid
        },
        void(61, 2),
        void(62, 3),
    ] {
        assert!(!may_settle(office.store(), &other).unwrap());
        assert_eq!(office.bank.send_one(other), R::PendingTransferOwned);
    }
    assert_eq!(office.bank.send(&[paid, back]), [R::Ok, R::Ok]);
    assert_eq!(office.bank.send(&[paid, back]), [R::Exists, R::Exists]);
    assert_eq!(
        office.bank.send(&[void(63, 1), void(64, 2)]),
        [
            R::PendingTransferAlreadyPosted,
            R::PendingTransferAlreadyVoided
        ]
    );
    office.assert_replays();
}

/// The ledger asks who owns a hold before it looks at what would burn the id.
#[test]
fn nobody_burns_an_id_of_the_books_on_an_account_that_is_closed() {
    let (mut office, record, _) = recorded();
    let close = TransferFlags::PENDING.with(TransferFlags::CLOSING_DEBIT);
    office.pay(&[with(pay(60, 3, 6, 0), close)]);
    let first = Fate::Posts(0).transfer(&record, 1).unwrap();
    for asked in [first, first, post(61, 1, u128::MAX)] {
        assert_eq!(office.bank.send_one(asked), R::PendingTransferOwned);
    }
    office.pay(&[void(62, 60)]);
    let body = original(record.batch, "") + &of_payments(&[(1, "ACSC")]);
    let told = answered(&mut office, &report(&body));
    assert_eq!(told.transfers, [first]);
}

/// A release of the third rules took a batch, noted an answer, and fell; the next one has the fourth.
#[test]
fn a_batch_of_earlier_rules_is_settled_by_a_report_that_comes_now() {
    let (mut office, record, _) = recorded_under(Logic::V3);
    let body = original(record.batch, "<GrpSts>ACSC</GrpSts>");
    let bank = parse(&report(&body)).unwrap();
    let before = noted(&mut office, &bank).transfers;
    // Then anybody could.
    assert_eq!(office.bank.send_one(void(50, 3)), R::Ok);
    start_again(&mut office.bank);
    office.look_at_the_clock();
    assert_eq!(office.bank.send(&before[..2]), [R::PendingTransferOwned; 2]);
    let told = answered(&mut office, &report(&body));
    assert_eq!((told.posted, told.contradicted), (vec![1, 2], vec![3]));
    office.assert_replays();
}

/// No code that a single payment can have, but for the four that are final, moves anything; those need no reason.
#[test]
fn a_payment_that_waits_moves_nothing_and_a_final_one_needs_no_reason() {
    let without_reason = |status: &str| {
        let payments: String = (1..=3)
            .map(|id: u128| {
                format!(
                    "<TxInfAndSts><OrgnlEndToEndId>{id:032x}</OrgnlEndToEndId><TxSts>{status}</TxSts></TxInfAndSts>"
                )
            })
            .collect();
        format!("<OrgnlPmtInfAndSts>{payments}</OrgnlPmtInfAndSts>")
    };
    let waiting = [
        "PDNG", "ACSP", "ACTC", "ACCP", "ACWC", "ACWP", "ACFC", "RCVD", "PATC", "PART", "PRES",
        "BLCK", "rjct", "RJCTX", "",
    ];
    let (mut office, record, _) = recorded();
    let held = office.bank.balances(CLEARING);
    for code in waiting {
        // The group says that all of it is final: what is closest to a payment counts.
        for group in ["", "<GrpSts>RJCT</GrpSts>", "<GrpSts>ACSC</GrpSts>"] {
            let body = original(record.batch, group) + &without_reason(code);
            let told = answered(&mut office, &report(&body));
            assert_eq!(
                (told.waiting, told.transfers),
                (vec![1, 2, 3], vec![]),
                "{code}"
            );
        }
    }
    assert_eq!(office.bank.balances(CLEARING), held);
    for (code, is_paid) in [
        ("RJCT", false),
        ("CANC", false),
        ("ACSC", true),
        ("ACCC", true),
    ] {
        let (mut office, record, _) = recorded();
        let body = original(record.batch, "") + &without_reason(code);
        let told = answered(&mut office, &report(&body));
        let all = vec![1, 2, 3];
        let done = if is_paid {
            (all, vec![])
        } else {
            (vec![], all)
        };
        assert_eq!((told.posted, told.voided), done, "{code}");
        assert_eq!(office.bank.balances(CLEARING)[2], 0);
    }
}

#[test]
fn a_person_settles_what_no_report_tells() {
    let (mut office, record, _) = recorded();
    let doubtful = original(record.batch, "<GrpSts>RJCT</GrpSts>");
    assert_eq!(
        answered(&mut office, &report(&doubtful)).doubtful,
        [1, 2, 3]
    );
    let said =
        |paid: &[u128], returned: &[u128]| StatusReport::of_person(record.batch, paid, returned);
    for odd in [said(&[1], &[1]), said(&[1, 1], &[]), said(&[], &[2, 2])] {
        assert!(matches!(odd, Err(PayoutError::Twice { .. })), "{odd:?}");
    }
    let count = |told: Result<StatusReport, PayoutError>| match told {
        Err(PayoutError::Named { found }) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(count(said(&[], &[])), 0);
    let many: Vec<u128> = (1..=8_001).collect();
    assert_eq!(count(said(&many, &[])), 8_001);
    let unknown = StatusReport::of_person(7, &[1], &[]).unwrap();
    assert!(matches!(
        settle(office.store(), &unknown),
        Err(PayoutError::UnknownBatch { batch: 7 })
    ));
    let told = noted(&mut office, &said(&[1], &[2, 99]).unwrap());
    assert_eq!(
        (&told.posted, &told.voided, &told.waiting),
        (&vec![1], &vec![2], &vec![3])
    );
    assert_eq!(told.foreign, [format!("{:032x}", 99)]);
    office.pay(&told.transfers);
    // Twice it moves nothing, and the opposite is told.
    let again = noted(&mut office, &said(&[1], &[2]).unwrap());
    assert_eq!((again.settled, again.transfers), (vec![1, 2], vec![]));
    let opposite = noted(&mut office, &said(&[2], &[1]).unwrap());
    assert_eq!(opposite.contradicted, [1, 2]);
    assert_eq!(office.bank.balances(CLEARING), [0, 0, 5, 123_456]);
    office.assert_replays();
}
