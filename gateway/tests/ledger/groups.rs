//! Many commands for one commit, and large ones.

use khlong_gateway::domains::ledger::{AccountFlags, LedgerCommand, Transfer};
use khlong_gateway::kernel::KernelError;

use crate::fixture::{Bank, hold, pay};

#[test]
fn sixty_four_clients_spend_one_balance() {
    for (balance, amount) in [(1_000, 37), (640, 10), (63, 1), (5, 6), (100, 100)] {
        let mut bank = Bank::new(65);
        bank.open(100, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
        bank.send_one(pay(1, 65, 100, balance));
        // All of them wait for one commit, none knows of the others.
        for client in 1..=64_u128 {
            let body =
                LedgerCommand::CreateTransfers(vec![pay(1_000 + client, 100, client, amount)])
                    .encode();
            let command = crate::fixture::command(&format!("client {client}"), bank.now, 1, body);
            bank.kernel.apply(&command).unwrap();
        }
        bank.kernel.commit().unwrap();
        assert_eq!(bank.kernel.release().len(), 64);
        bank.assert_balanced();
        let succeeded = (balance / amount).min(64);
        assert_eq!(bank.balances(100), [0, succeeded * amount, 0, balance]);
        let paid = (1..=64)
            .filter(|client| bank.balances(*client)[3] == amount)
            .count();
        assert_eq!(paid as u128, succeeded);
    }
}

#[test]
fn the_largest_batch_is_taken_and_a_larger_one_is_not() {
    let mut bank = Bank::new(2);
    let many = |count: u128| -> Vec<Transfer> { (1..=count).map(|id| pay(id, 1, 2, 1)).collect() };
    bank.ask(&LedgerCommand::CreateTransfers(many(8_190)));
    assert_eq!(bank.balances(1), [0, 8_190, 0, 0]);
    assert_eq!(
        LedgerCommand::decode(&LedgerCommand::CreateTransfers(many(8_191)).encode()),
        None
    );
}

#[test]
fn a_group_takes_large_batches_until_it_is_full_and_then_after_its_commit() {
    let mut bank = Bank::new(2);
    let mut first = 0;
    let mut give = |bank: &mut Bank| {
        let held = (1..=8_190).map(|n| hold(first + n, 1, 2, 1, 60)).collect();
        let body = LedgerCommand::CreateTransfers(held).encode();
        let command = crate::fixture::command(&format!("from {first}"), bank.now, 1, body);
        let applied = bank.kernel.apply(&command);
        first += if applied.is_ok() { 8_190 } else { 0 };
        applied
    };
    let mut taken = 0;
    while give(&mut bank).is_ok() {
        taken += 1;
        assert!(taken < 10, "a group has an end");
    }
    assert!(taken >= 2, "a batch that is half full takes one more");
    assert!(matches!(give(&mut bank), Err(KernelError::GroupFull)));
    bank.kernel.commit().unwrap();
    assert_eq!(bank.kernel.release().len(), taken);
    give(&mut bank).unwrap();
    bank.kernel.commit().unwrap();
    bank.assert_balanced();
    let held = u128::try_from(taken + 1).unwrap() * 8_190;
    assert_eq!(bank.balances(1), [held, 0, 0, 0]);
}
