//! What the books decided is final, whether or not the ledger has been asked: each word of a bank or a person after
//! each decision, and the file that is asked for in between.

use khlong_gateway::domains::books::payout::{
    Creditor, ExportRecord, PayoutBatch, PayoutError, SETTLING_IDS_MAX, Settlement, StatusReport,
    exported, first_settled, settle, settling_id,
};
use khlong_gateway::domains::ledger::{Transfer, TransferResult as R, TransferState, transfer};
use khlong_gateway::kernel::Logic;

use crate::fixture::{pay, post, void};
use crate::office::{Office, start_again};
use crate::pain002::{of_payments, original, parse, report};
use crate::shops::{CLEARING, batch, debtor, noted, recorded, recorded_under};

/// The hold in question: of 123,456 satang.
const HOLD: u128 = 1;

/// What is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Paid,
    Returned,
    Doubtful,
    Silent,
}

use Word::{Doubtful, Paid, Returned, Silent};

const WORDS: [Word; 4] = [Paid, Returned, Doubtful, Silent];

fn of_bank(batch: u128, word: Word) -> StatusReport {
    let status = match word {
        Paid => "ACSC",
        Returned | Doubtful => "RJCT",
        Silent => "PDNG",
    };
    let payment = of_payments(&[(HOLD, status)]);
    let payment = if word == Doubtful {
        payment.replace("AC01", "DUPL")
    } else {
        payment
    };
    parse(&report(&(original(batch, "") + &payment))).unwrap()
}

fn of_person(batch: u128, word: Word) -> Option<StatusReport> {
    let (paid, returned): (&[u128], &[u128]) = match word {
        Paid => (&[HOLD], &[]),
        Returned => (&[], &[HOLD]),
        Doubtful | Silent => return None,
    };
    Some(StatusReport::of_person(batch, paid, returned).unwrap())
}

fn state(office: &Office) -> TransferState {
    transfer(office.store(), HOLD).unwrap().unwrap().2
}

/// The list in which the hold is.
fn list(told: &Settlement) -> &'static str {
    let lists = [
        ("posted", &told.posted),
        ("voided", &told.voided),
        ("waiting", &told.waiting),
        ("doubtful", &told.doubtful),
        ("settled", &told.settled),
        ("contradicted", &told.contradicted),
    ];
    let mut found = lists.iter().filter(|(_, holds)| holds.contains(&HOLD));
    let (name, _) = found.next().unwrap();
    assert!(found.next().is_none());
    name
}

/// The table of DOMAINS.md: decided, in which state of the ledger, what is said next, and what that is told.
const TABLE: [(Option<Word>, TransferState, [&str; 4]); 7] = {
    use TransferState::{Pending, Posted, Voided};
    [
        (None, Pending, ["posted", "voided", "doubtful", "waiting"]),
        // By somebody else, under the third rules.
        (
            None,
            Posted,
            ["contradicted", "contradicted", "contradicted", "waiting"],
        ),
        (
            None,
            Voided,
            ["contradicted", "settled", "contradicted", "waiting"],
        ),
        (
            Some(Paid),
            Pending,
            ["posted", "contradicted", "posted", "waiting"],
        ),
        (
            Some(Paid),
            Posted,
            ["settled", "contradicted", "settled", "waiting"],
        ),
        (
            Some(Returned),
            Pending,
            ["contradicted", "voided", "contradicted", "waiting"],
        ),
        (
            Some(Returned),
            Voided,
            ["contradicted", "settled", "contradicted", "waiting"],
        ),
    ]
};

/// A recorded batch of whose hold this was decided, and which the ledger has so.
fn after(decided: Option<Word>, ledger: TransferState) -> After {
    let is_meddled = decided.is_none() && ledger != TransferState::Pending;
    let logic = if is_meddled {
        Logic::V3
    } else {
        Logic::CURRENT
    };
    let (mut office, record, creditors) = recorded_under(logic);
    if is_meddled {
        let asked = if ledger == TransferState::Posted {
            post(50, HOLD, u128::MAX)
        } else {
            void(50, HOLD)
        };
        assert_eq!(office.bank.send_one(asked), R::Ok);
    }
    let mut first = Vec::new();
    if let Some(word) = decided {
        first = noted(&mut office, &of_bank(record.batch, word)).transfers;
        if ledger != TransferState::Pending {
            office.pay(&first);
        }
    }
    start_again(&mut office.bank);
    office.look_at_the_clock();
    assert_eq!(state(&office), ledger);
    After {
        office,
        record,
        creditors,
        first,
    }
}

struct After {
    office: Office,
    record: ExportRecord,
    creditors: Vec<(u128, Creditor)>,
    /// What the decision asks of the ledger.
    first: Vec<Transfer>,
}

#[test]
fn every_word_after_every_decision() {
    for (decided, ledger, expected) in TABLE {
        for (word, expected) in WORDS.into_iter().zip(expected) {
            let of_person = |batch| of_person(batch, word);
            for is_person in [false, true] {
                let mut it = after(decided, ledger);
                let batch = it.record.batch;
                let said = if is_person {
                    of_person(batch)
                } else {
                    Some(of_bank(batch, word))
                };
                // A person says only what is sure.
                let Some(said) = said else { continue };
                let before = settle(it.office.store(), &said).unwrap();
                let told = noted(&mut it.office, &said);
                let case =
                    format!("{decided:?}, {ledger:?}, then {word:?}, by a person: {is_person}");
                assert_eq!(told, before, "{case}");
                assert_eq!(list(&told), expected, "{case}");
                // Neither the late retry of the first nor the second changes what was decided.
                for asked in it.first.iter().chain(&told.transfers) {
                    let result = it.office.bank.send_one(*asked);
                    assert!(matches!(result, R::Ok | R::Exists), "{case}: {result:?}");
                }
                let end = match (ledger, decided.unwrap_or(word)) {
                    (TransferState::Pending, Paid) => TransferState::Posted,
                    (TransferState::Pending, Returned) => TransferState::Voided,
                    (ended, _) => ended,
                };
                assert_eq!(state(&it.office), end, "{case}");
                it.office.assert_replays();
            }
        }
    }
}

/// A file that is asked for in between leaves while nothing is decided.
#[test]
fn the_file_leaves_before_every_decision_and_after_none() {
    for (decided, ledger, _) in TABLE {
        let it = after(decided, ledger);
        let rows = it.office.store();
        let leaves = decided.is_none() && ledger == TransferState::Pending;
        let found = first_settled(rows, &it.record.transfers).unwrap();
        assert_eq!(found, (!leaves).then_some(HOLD), "{decided:?} {ledger:?}");
        let known = exported(rows, it.record.batch).unwrap().unwrap();
        let again = PayoutBatch::again(rows, debtor(), &known, it.creditors);
        assert_eq!(again.is_ok(), leaves, "{decided:?} {ledger:?}: {again:?}");
    }
}

/// The bank paid; before that was posted a person said the opposite.
#[test]
fn the_opposite_word_between_the_two_commands_moves_nothing() {
    for (first, second, end) in [
        (Paid, Returned, [0, 0, 105, 123_456]),
        (Returned, Paid, [0, 0, 105, 0]),
    ] {
        let (mut office, record, _) = recorded();
        let told = noted(&mut office, &of_bank(record.batch, first));
        let opposite = noted(&mut office, &of_person(record.batch, second).unwrap());
        assert_eq!(opposite.contradicted, [HOLD]);
        assert_eq!(opposite.transfers, []);
        let results = office.bank.send(&told.transfers);
        assert_eq!(results, [R::Ok]);
        assert_eq!(office.bank.balances(CLEARING), end);
        office.assert_replays();
    }
}

/// The answer with the file was lost, and a person says that the payment is not made; the process dies before the
/// money comes back.
#[test]
fn no_file_leaves_between_the_decision_and_its_void() {
    let (mut office, record, creditors) = recorded();
    assert_eq!(
        first_settled(office.store(), &record.transfers).unwrap(),
        None
    );
    let said = StatusReport::of_person(record.batch, &[], &[2]).unwrap();
    let told = noted(&mut office, &said);
    start_again(&mut office.bank);
    office.look_at_the_clock();
    assert_eq!(
        first_settled(office.store(), &record.transfers).unwrap(),
        Some(2)
    );
    let known = exported(office.store(), record.batch).unwrap().unwrap();
    let again = PayoutBatch::again(office.store(), debtor(), &known, creditors.clone());
    assert!(
        matches!(again, Err(PayoutError::Unfit { transfer: 2, .. })),
        "{again:?}"
    );
    // In no other batch either.
    assert!(batch(&office, &creditors[1..2]).is_err());
    office.pay(&told.transfers);
    office.assert_replays();
}

/// With the ids of all posts spent a hold can come back, and cannot be posted, by no word.
#[test]
fn a_hold_without_an_id_is_posted_by_nobody() {
    let (mut office, record, _) = recorded();
    let taken: Vec<_> = (0..SETTLING_IDS_MAX)
        .map(|n| pay(settling_id(&record, HOLD, true, n), 1, 2, 1))
        .collect();
    office.pay(&taken);
    let paid = noted(&mut office, &of_person(record.batch, Paid).unwrap());
    assert_eq!((paid.contradicted, paid.transfers), (vec![HOLD], vec![]));
    let back = noted(&mut office, &of_person(record.batch, Returned).unwrap());
    assert_eq!(back.voided, [HOLD]);
}
