//! Linked transfers: all or none.

use khlong_gateway::domains::ledger::{AccountFlags, TransferFlags, TransferResult as R, transfer};

use crate::fixture::{Bank, hold, pay, post, void, with};

#[test]
fn of_five_linked_the_fourth_is_illegal() {
    let mut bank = Bank::new(5);
    let linked = |n: u128| with(pay(50 + n, n, n + 1, 10), TransferFlags::LINKED);
    let mut chain = [
        linked(1),
        linked(2),
        linked(3),
        linked(4),
        pay(55, 5, 1, 10),
    ];
    chain[3].code = 0;
    assert_eq!(
        bank.send(&chain),
        [
            R::LinkedEventFailed,
            R::LinkedEventFailed,
            R::LinkedEventFailed,
            R::CodeMustNotBeZero,
            R::LinkedEventFailed,
        ]
    );
    for account in 1..=5 {
        assert_eq!(bank.balances(account), [0; 4]);
    }
    for id in 51..=55 {
        assert_eq!(transfer(bank.kernel.store(), id).unwrap(), None);
    }
    // None of the ids is burned: corrected, the same chain goes through.
    chain[3].code = 1;
    assert_eq!(bank.send(&chain), [R::Ok; 5]);
}

#[test]
fn a_chain_takes_back_holds_posts_voids_and_its_ids() {
    let mut bank = Bank::new(3);
    bank.open(9, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
    bank.send(&[hold(1, 1, 2, 40, 60), hold(2, 1, 3, 30, 60)]);
    let before: Vec<_> = (1..=3).map(|id| bank.balances(id)).collect();
    let chain = [
        with(post(10, 1, 40), TransferFlags::LINKED),
        with(void(11, 2), TransferFlags::LINKED),
        with(hold(12, 2, 3, 5, 1), TransferFlags::LINKED),
        pay(13, 9, 1, 1),
    ];
    let results = [
        R::LinkedEventFailed,
        R::LinkedEventFailed,
        R::LinkedEventFailed,
        R::ExceedsCredits,
    ];
    assert_eq!(bank.send(&chain), results);
    let after: Vec<_> = (1..=3).map(|id| bank.balances(id)).collect();
    assert_eq!(after, before);
    // The one that failed for a reason that may pass is burned, the others are not.
    assert_eq!(bank.send_one(chain[3]), R::IdAlreadyFailed);
    assert_eq!(bank.send(&[post(10, 1, 40), void(11, 2)]), [R::Ok, R::Ok]);
}

#[test]
fn chains_of_one_batch_stand_alone_and_an_open_one_fails() {
    let mut bank = Bank::new(3);
    let linked = |id, amount| with(pay(id, 1, 2, amount), TransferFlags::LINKED);
    assert_eq!(
        bank.send(&[
            linked(1, 1),
            pay(2, 1, 2, 2),
            linked(3, 4),
            pay(4, 1, 1, 8),
            pay(5, 1, 2, 16),
            linked(6, 32),
            linked(7, 64),
        ]),
        [
            R::Ok,
            R::Ok,
            R::LinkedEventFailed,
            R::AccountsMustBeDifferent,
            R::Ok,
            R::LinkedEventFailed,
            R::LinkedEventChainOpen,
        ]
    );
    assert_eq!(bank.balances(1), [0, 19, 0, 0]);
}
