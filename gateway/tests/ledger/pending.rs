//! Two-phase transfers.

use khlong_gateway::domains::ledger::{
    AccountFlags, LedgerCommand, Transfer, TransferFlags, TransferResult as R, TransferState,
    transfer,
};

use khlong_gateway::kernel::{Logic, replay, state_hash};
use khlong_store::engine::memory::MemoryDisk;

use crate::fixture::{Bank, hold, kernel, pay, post, void, with};

#[test]
fn part_is_posted_the_rest_released_and_it_settles_once() {
    let mut bank = Bank::new(2);
    bank.send(&[
        hold(1, 1, 2, 100, 60),
        hold(2, 1, 2, 7, 60),
        hold(3, 1, 2, 5, 60),
    ]);
    assert_eq!(bank.balances(1), [112, 0, 0, 0]);
    assert_eq!(bank.balances(2), [0, 0, 112, 0]);
    assert_eq!(bank.send_one(post(10, 1, 60)), R::Ok);
    assert_eq!(bank.balances(1), [12, 60, 0, 0]);
    assert_eq!(bank.send_one(void(11, 2)), R::Ok);
    assert_eq!(bank.balances(2), [0, 0, 5, 60]);
    bank.now += 60_000;
    // Each of the three is told what became of the hold.
    assert_eq!(
        bank.send_one(post(20, 1, 40)),
        R::PendingTransferAlreadyPosted
    );
    assert_eq!(bank.send_one(void(21, 1)), R::PendingTransferAlreadyPosted);
    assert_eq!(
        bank.send_one(post(22, 2, 7)),
        R::PendingTransferAlreadyVoided
    );
    assert_eq!(bank.send_one(post(23, 3, 5)), R::PendingTransferExpired);
    assert_eq!(bank.send_one(void(24, 3)), R::PendingTransferExpired);
    assert_eq!(bank.balances(1), [0, 60, 0, 0]);
    let state = |id| transfer(bank.kernel.store(), id).unwrap().unwrap().2;
    assert_eq!(
        [1, 2, 3, 10].map(state),
        [
            TransferState::Posted,
            TransferState::Voided,
            TransferState::Expired,
            TransferState::Final,
        ]
    );
}

#[test]
fn each_mistake_has_its_own_answer() {
    let mut bank = Bank::new(3);
    bank.send(&[hold(1, 1, 2, 100, 0), pay(2, 1, 2, 1)]);
    let good = post(50, 1, 60);
    for (asked, result) in [
        (
            Transfer {
                pending_id: 0,
                ..good
            },
            R::PendingIdMustNotBeZero,
        ),
        (
            Transfer {
                pending_id: u128::MAX,
                ..good
            },
            R::PendingIdMustNotBeIntMax,
        ),
        (
            Transfer {
                pending_id: 50,
                ..good
            },
            R::PendingIdMustBeDifferent,
        ),
        (
            Transfer { timeout: 1, ..good },
            R::TimeoutReservedForPendingTransfer,
        ),
        (
            Transfer {
                pending_id: 2,
                ..good
            },
            R::PendingTransferNotPending,
        ),
        (
            Transfer {
                debit_account_id: 3,
                ..good
            },
            R::PendingTransferHasDifferentDebitAccountId,
        ),
        (
            Transfer {
                credit_account_id: 3,
                ..good
            },
            R::PendingTransferHasDifferentCreditAccountId,
        ),
        (
            Transfer { ledger: 3, ..good },
            R::PendingTransferHasDifferentLedger,
        ),
        (
            Transfer { code: 3, ..good },
            R::PendingTransferHasDifferentCode,
        ),
        (
            Transfer {
                amount: 101,
                ..good
            },
            R::ExceedsPendingTransferAmount,
        ),
        (
            Transfer {
                amount: 99,
                ..void(50, 1)
            },
            R::PendingTransferHasDifferentAmount,
        ),
        (good, R::Ok),
        (good, R::Exists),
        (
            Transfer { amount: 61, ..good },
            R::ExistsWithDifferentAmount,
        ),
        (
            Transfer {
                user_data_64: 5,
                ..good
            },
            R::ExistsWithDifferentUserData64,
        ),
    ] {
        assert_eq!(bank.send_one(asked), result, "{asked:?}");
    }
    assert_eq!(bank.balances(1), [0, 61, 0, 0]);
}

#[test]
fn what_a_post_leaves_out_is_that_of_its_hold() {
    let mut bank = Bank::new(2);
    bank.send_one(Transfer {
        user_data_32: 8,
        ..hold(1, 1, 2, 100, 0)
    });
    assert_eq!(bank.send_one(post(10, 1, u128::MAX)), R::Ok);
    let (posted, _, _) = transfer(bank.kernel.store(), 10).unwrap().unwrap();
    assert_eq!(posted.amount, 100);
    assert_eq!((posted.debit_account_id, posted.credit_account_id), (1, 2));
    assert_eq!((posted.user_data_32, posted.code), (8, 1));
}

#[test]
fn holds_expire_by_the_time_of_commands_whatever_they_are_about() {
    let mut bank = Bank::new(2);
    bank.send(&[
        hold(1, 1, 2, 10, 5),
        hold(2, 1, 2, 20, 6),
        hold(3, 1, 2, 40, 0),
    ]);
    bank.now += 4_999;
    bank.ask(&LedgerCommand::Sweep);
    assert_eq!(bank.balances(1), [70, 0, 0, 0]);
    bank.now += 1;
    bank.ask(&LedgerCommand::Sweep);
    assert_eq!(bank.balances(1), [60, 0, 0, 0]);
    bank.now += 1_000;
    let mut bank = bank.restart();
    bank.send_one(pay(9, 2, 1, 1));
    assert_eq!(bank.balances(1), [40, 0, 0, 1]);
    assert_eq!(bank.balances(2), [0, 1, 40, 0]);
}

/// More than one command lets expire, due at once: nothing of it holds money any more when
/// the next command is decided.
#[test]
fn however_many_expire_at_once_they_hold_nothing_afterwards() {
    let mut bank = Bank::new(2);
    bank.open(3, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
    bank.send_one(pay(20_000, 1, 3, 5_000));
    let held: Vec<_> = (1..=5_000).map(|id| hold(id, 3, 2, 1, 1)).collect();
    bank.send(&held);
    assert_eq!(bank.send_one(pay(20_001, 3, 2, 1)), R::ExceedsCredits);
    let before = bank.kernel.head().seq.0;
    bank.now += 1_000;
    assert_eq!(bank.send_one(pay(20_002, 3, 2, 5_000)), R::Ok);
    assert_eq!(bank.balances(3), [0, 5_000, 0, 5_000]);
    // Two commands of the kernel's own, and the rest in this one.
    assert_eq!(bank.kernel.head().seq.0, before + 3);
    assert_eq!(
        bank.send_one(post(20_003, 5_000, 1)),
        R::PendingTransferExpired
    );
    let disk = MemoryDisk::new();
    let mut kernel = kernel(&disk, Logic::CURRENT);
    assert_eq!(
        replay(bank.kernel.store(), &mut kernel).unwrap(),
        bank.kernel.head()
    );
    assert_eq!(
        state_hash(kernel.store()).unwrap(),
        state_hash(bank.kernel.store()).unwrap()
    );
}

#[test]
fn a_closed_account_takes_nothing_until_its_closing_is_voided() {
    let mut bank = Bank::new(3);
    bank.send(&[pay(1, 3, 1, 50), hold(2, 1, 2, 5, 0)]);
    let close = with(hold(10, 1, 2, 0, 0), TransferFlags::CLOSING_DEBIT);
    assert_eq!(bank.send_one(close), R::Ok);
    assert!(bank.account(1).closed);
    let mut bank = bank.restart();
    assert_eq!(
        bank.send_one(pay(20, 1, 2, 1)),
        R::DebitAccountAlreadyClosed
    );
    assert_eq!(
        bank.send_one(pay(21, 2, 1, 1)),
        R::CreditAccountAlreadyClosed
    );
    assert_eq!(bank.send_one(post(22, 2, 5)), R::DebitAccountAlreadyClosed);
    assert_eq!(bank.send_one(void(23, 2)), R::Ok);
    assert_eq!(bank.send_one(void(24, 10)), R::Ok);
    assert!(!bank.account(1).closed);
    assert_eq!(bank.send_one(pay(25, 1, 2, 1)), R::Ok);
    // One that expires opens it again as well.
    let close = with(hold(30, 3, 1, 0, 1), TransferFlags::CLOSING_CREDIT);
    assert_eq!(
        bank.send(&[close, pay(31, 2, 1, 1)]),
        [R::Ok, R::CreditAccountAlreadyClosed]
    );
    bank.now += 1_000;
    assert_eq!(bank.send_one(pay(32, 2, 1, 1)), R::Ok);
}
