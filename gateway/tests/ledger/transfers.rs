//! Transfers of one step.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{
    AccountFlags, Asset, LedgerCommand, Transfer, TransferFlags, TransferResult as R,
};
use khlong_gateway::kernel::Logic;

use crate::fixture::{Bank, hold, pay, with};

#[test]
fn ids_and_flags_are_checked_first() {
    let mut bank = Bank::new(2);
    let good = pay(50, 1, 2, 10);
    for (transfer, result) in [
        (
            Transfer {
                flags: TransferFlags(1 << 8),
                ..good
            },
            R::ReservedFlag,
        ),
        (
            Transfer {
                flags: TransferFlags::EXPIRED,
                ..good
            },
            R::ReservedFlag,
        ),
        (Transfer { id: 0, ..good }, R::IdMustNotBeZero),
        (
            Transfer {
                id: u128::MAX,
                ..good
            },
            R::IdMustNotBeIntMax,
        ),
        (
            with(
                with(good, TransferFlags::POST_PENDING_TRANSFER),
                TransferFlags::VOID_PENDING_TRANSFER,
            ),
            R::FlagsAreMutuallyExclusive,
        ),
        (
            with(
                with(good, TransferFlags::VOID_PENDING_TRANSFER),
                TransferFlags::BALANCING_DEBIT,
            ),
            R::FlagsAreMutuallyExclusive,
        ),
        (good, R::Ok),
    ] {
        assert_eq!(bank.send_one(transfer), result, "{transfer:?}");
    }
    assert_eq!(bank.balances(1), [0, 10, 0, 0]);
    assert_eq!(bank.balances(2), [0, 0, 0, 10]);
}

#[test]
fn each_mistake_in_a_field_has_its_own_answer() {
    let mut bank = Bank::new(2);
    let yen = Asset {
        ledger: 392,
        scale: 0,
        symbol: *b"JPY\0\0\0\0\0",
    };
    bank.ask(&LedgerCommand::CreateAssets(vec![yen]));
    let in_yen = khlong_gateway::domains::ledger::Account {
        id: 9,
        ledger: 392,
        code: 1,
        ..Default::default()
    };
    bank.ask(&LedgerCommand::CreateAccounts(vec![in_yen]));
    let good = pay(50, 1, 2, 10);
    for (transfer, result) in [
        (
            Transfer {
                debit_account_id: 0,
                ..good
            },
            R::DebitAccountIdMustNotBeZero,
        ),
        (
            Transfer {
                debit_account_id: u128::MAX,
                ..good
            },
            R::DebitAccountIdMustNotBeIntMax,
        ),
        (
            Transfer {
                credit_account_id: 0,
                ..good
            },
            R::CreditAccountIdMustNotBeZero,
        ),
        (
            Transfer {
                credit_account_id: u128::MAX,
                ..good
            },
            R::CreditAccountIdMustNotBeIntMax,
        ),
        (
            Transfer {
                credit_account_id: 1,
                ..good
            },
            R::AccountsMustBeDifferent,
        ),
        (
            Transfer {
                pending_id: 4,
                ..good
            },
            R::PendingIdMustBeZero,
        ),
        (
            Transfer { timeout: 4, ..good },
            R::TimeoutReservedForPendingTransfer,
        ),
        (
            with(good, TransferFlags::CLOSING_DEBIT),
            R::ClosingTransferMustBePending,
        ),
        (Transfer { ledger: 0, ..good }, R::LedgerMustNotBeZero),
        (Transfer { code: 0, ..good }, R::CodeMustNotBeZero),
        (
            Transfer {
                credit_account_id: 9,
                ..good
            },
            R::AccountsMustHaveTheSameLedger,
        ),
        (
            Transfer {
                ledger: 392,
                ..good
            },
            R::TransferMustHaveTheSameLedgerAsAccounts,
        ),
    ] {
        assert_eq!(bank.send_one(transfer), result, "{transfer:?}");
    }
    assert_eq!(bank.balances(1), [0; 4]);
}

#[test]
fn a_transfer_that_exists_is_said_to_or_in_what_it_differs() {
    let mut bank = Bank::new(3);
    let known = Transfer {
        user_data_128: 1,
        user_data_64: 2,
        user_data_32: 3,
        ..hold(50, 1, 2, 10, 60)
    };
    assert_eq!(bank.send_one(known), R::Ok);
    for (transfer, result) in [
        (
            Transfer {
                flags: TransferFlags::default(),
                ..known
            },
            R::ExistsWithDifferentFlags,
        ),
        (
            Transfer {
                pending_id: 7,
                ..known
            },
            R::ExistsWithDifferentPendingId,
        ),
        (
            Transfer {
                timeout: 61,
                ..known
            },
            R::ExistsWithDifferentTimeout,
        ),
        (
            Transfer {
                debit_account_id: 3,
                ..known
            },
            R::ExistsWithDifferentDebitAccountId,
        ),
        (
            Transfer {
                credit_account_id: 3,
                ..known
            },
            R::ExistsWithDifferentCreditAccountId,
        ),
        (
            Transfer {
                amount: 11,
                ..known
            },
            R::ExistsWithDifferentAmount,
        ),
        (
            Transfer {
                user_data_128: 9,
                ..known
            },
            R::ExistsWithDifferentUserData128,
        ),
        (
            Transfer {
                user_data_64: 9,
                ..known
            },
            R::ExistsWithDifferentUserData64,
        ),
        (
            Transfer {
                user_data_32: 9,
                ..known
            },
            R::ExistsWithDifferentUserData32,
        ),
        (
            Transfer { ledger: 9, ..known },
            R::ExistsWithDifferentLedger,
        ),
        (Transfer { code: 9, ..known }, R::ExistsWithDifferentCode),
        (known, R::Exists),
    ] {
        assert_eq!(bank.send_one(transfer), result, "{transfer:?}");
    }
    // In one batch, too.
    assert_eq!(
        bank.send(&[pay(60, 1, 2, 1), pay(60, 1, 2, 1)]),
        [R::Ok, R::Exists]
    );
    assert_eq!(bank.balances(1), [10, 1, 0, 0]);
}

#[test]
fn a_failure_that_may_pass_burns_the_id() {
    let mut bank = Bank::new(1);
    bank.open(2, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
    for (transfer, result) in [
        (pay(50, 8, 1, 1), R::DebitAccountNotFound),
        (pay(51, 1, 8, 1), R::CreditAccountNotFound),
        (pay(52, 2, 1, 1), R::ExceedsCredits),
        (
            crate::fixture::post(53, 77, u128::MAX),
            R::PendingTransferNotFound,
        ),
    ] {
        assert_eq!(bank.send_one(transfer), result);
        assert_eq!(bank.send_one(transfer), R::IdAlreadyFailed);
    }
    // Now it would succeed, but nobody counts on it any more.
    assert_eq!(bank.send_one(pay(60, 1, 2, 5)), R::Ok);
    assert_eq!(bank.send_one(pay(52, 2, 1, 1)), R::IdAlreadyFailed);
    let mut bank = bank.restart();
    assert_eq!(bank.send_one(pay(52, 2, 1, 1)), R::IdAlreadyFailed);
    // A mistake of the client does not: corrected, the id is good.
    assert_eq!(
        bank.send_one(Transfer {
            code: 0,
            ..pay(61, 1, 2, 5)
        }),
        R::CodeMustNotBeZero
    );
    assert_eq!(bank.send_one(pay(61, 1, 2, 5)), R::Ok);
}

#[test]
fn accounts_with_rules_never_break_them() {
    let mut bank = Bank::new(1);
    bank.open(2, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
    bank.open(3, AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS);
    assert_eq!(bank.send_one(pay(50, 1, 2, 100)), R::Ok);
    assert_eq!(bank.send_one(hold(51, 2, 1, 60, 0)), R::Ok);
    assert_eq!(bank.send_one(pay(52, 2, 1, 41)), R::ExceedsCredits);
    assert_eq!(bank.send_one(pay(53, 2, 1, 40)), R::Ok);
    assert_eq!(bank.send_one(pay(54, 1, 3, 1)), R::ExceedsDebits);
    assert_eq!(bank.send_one(pay(55, 3, 1, 7)), R::Ok);
    assert_eq!(bank.send_one(pay(56, 1, 3, 7)), R::Ok);
}

#[test]
fn amounts_of_128_bits_are_exact_and_never_wrap() {
    let mut bank = Bank::new(3);
    let most = u128::MAX;
    assert_eq!(bank.send_one(pay(50, 1, 2, most)), R::Ok);
    assert_eq!(bank.send_one(pay(51, 1, 3, 1)), R::OverflowsDebitsPosted);
    assert_eq!(bank.send_one(pay(52, 3, 2, 1)), R::OverflowsCreditsPosted);
    assert_eq!(bank.send_one(hold(53, 1, 3, 1, 0)), R::OverflowsDebits);
    assert_eq!(bank.send_one(hold(54, 3, 2, 1, 0)), R::OverflowsCredits);
    assert_eq!(bank.send_one(hold(55, 2, 3, most, 0)), R::Ok);
    assert_eq!(
        bank.send_one(hold(56, 2, 1, 1, 0)),
        R::OverflowsDebitsPending
    );
    // Of another debtor, who holds little.
    assert_eq!(
        bank.send_one(hold(59, 1, 3, 1, 0)),
        R::OverflowsCreditsPending
    );
    assert_eq!(bank.send_one(hold(57, 3, 1, 1, u32::MAX)), R::Ok);
    bank.now = i64::MAX - 5;
    bank.kernel.accept_time(UnixMillis(bank.now)).unwrap();
    assert_eq!(bank.send_one(hold(58, 3, 1, 1, 1)), R::OverflowsTimeout);
    assert_eq!(bank.balances(2), [most, 0, 0, most]);
}

#[test]
fn a_balancing_transfer_moves_what_is_there() {
    let mut bank = Bank::new(1);
    bank.open(2, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
    bank.open(3, AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS);
    bank.send(&[pay(50, 1, 2, 100), pay(51, 3, 1, 30), hold(52, 2, 1, 20, 0)]);
    let all = |id, debit, credit| {
        with(
            pay(id, debit, credit, u128::MAX),
            TransferFlags::BALANCING_DEBIT,
        )
    };
    let credit = with(pay(60, 1, 3, u128::MAX), TransferFlags::BALANCING_CREDIT);
    assert_eq!(bank.send_one(credit), R::Ok);
    assert_eq!(bank.balances(3), [0, 30, 0, 30]);
    assert_eq!(
        bank.send_one(with(all(61, 2, 1), TransferFlags::BALANCING_DEBIT)),
        R::Ok
    );
    assert_eq!(bank.balances(2), [20, 80, 0, 100]);
    // The retry asks for as much as before, and what was moved is not more.
    assert_eq!(bank.send_one(all(61, 2, 1)), R::Exists);
    assert_eq!(
        bank.send_one(Transfer {
            amount: 79,
            ..all(61, 2, 1)
        }),
        R::ExistsWithDifferentAmount
    );
    // Nothing is left: nothing moves.
    assert_eq!(bank.send_one(all(62, 2, 1)), R::Ok);
    assert_eq!(bank.balances(2), [20, 80, 0, 100]);
}

#[test]
fn the_first_rules_refuse_a_balancing_transfer_of_nothing() {
    for (logic, debit, credit) in [
        (Logic::V1, R::ExceedsCredits, R::ExceedsDebits),
        (Logic::V2, R::Ok, R::Ok),
    ] {
        let mut bank = Bank::under(logic, 2);
        let nothing = pay(50, 1, 2, 9);
        assert_eq!(
            bank.send_one(with(nothing, TransferFlags::BALANCING_DEBIT)),
            debit
        );
        let nothing = Transfer { id: 51, ..nothing };
        assert_eq!(
            bank.send_one(with(nothing, TransferFlags::BALANCING_CREDIT)),
            credit
        );
    }
}
