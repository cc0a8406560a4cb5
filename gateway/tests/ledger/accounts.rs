//! Assets and accounts.

use khlong_gateway::domains::ledger::{
    Account, AccountFlags, AccountResult, Asset, AssetResult, LedgerCommand, TransferFlags,
    TransferResult, asset,
};

use crate::fixture::{Bank, THB, hold, pay, void, with};

fn named(id: u128) -> Account {
    Account {
        id,
        user_data_128: 1,
        user_data_64: 2,
        user_data_32: 3,
        ledger: THB,
        code: 4,
        flags: AccountFlags::HISTORY,
    }
}

fn create(bank: &mut Bank, accounts: &[Account]) -> Vec<AccountResult> {
    let failures = bank.ask(&LedgerCommand::CreateAccounts(accounts.to_vec()));
    let mut results = vec![AccountResult::Ok; accounts.len()];
    for (index, code) in failures {
        results[usize::from(index)] = AccountResult::from_code(code).unwrap();
    }
    results
}

#[test]
fn each_mistake_has_its_own_answer() {
    use AccountResult as R;
    let mut bank = Bank::new(0);
    assert_eq!(create(&mut bank, &[named(7)]), [R::Ok]);
    let both = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS
        .with(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS);
    for (account, result) in [
        (
            Account {
                flags: AccountFlags(1 << 4),
                ..named(1)
            },
            R::ReservedFlag,
        ),
        (
            Account {
                flags: AccountFlags(1 << 15),
                ..named(1)
            },
            R::ReservedFlag,
        ),
        (named(0), R::IdMustNotBeZero),
        (named(u128::MAX), R::IdMustNotBeIntMax),
        (
            Account {
                flags: both,
                ..named(1)
            },
            R::FlagsAreMutuallyExclusive,
        ),
        (
            Account {
                ledger: 0,
                ..named(1)
            },
            R::LedgerMustNotBeZero,
        ),
        (
            Account {
                code: 0,
                ..named(1)
            },
            R::CodeMustNotBeZero,
        ),
        (
            Account {
                ledger: 9,
                ..named(1)
            },
            R::LedgerNotFound,
        ),
        (
            Account {
                flags: AccountFlags::default(),
                ..named(7)
            },
            R::ExistsWithDifferentFlags,
        ),
        (
            Account {
                user_data_128: 9,
                ..named(7)
            },
            R::ExistsWithDifferentUserData128,
        ),
        (
            Account {
                user_data_64: 9,
                ..named(7)
            },
            R::ExistsWithDifferentUserData64,
        ),
        (
            Account {
                user_data_32: 9,
                ..named(7)
            },
            R::ExistsWithDifferentUserData32,
        ),
        (
            Account {
                ledger: 9,
                ..named(7)
            },
            R::ExistsWithDifferentLedger,
        ),
        (
            Account {
                code: 9,
                ..named(7)
            },
            R::ExistsWithDifferentCode,
        ),
        (named(7), R::Exists),
    ] {
        assert_eq!(create(&mut bank, &[account]), [result], "{account:?}");
    }
    assert_eq!(bank.account(7).account, named(7));
}

#[test]
fn linked_accounts_are_created_together_or_not_at_all() {
    use AccountResult as R;
    let mut bank = Bank::new(0);
    let linked = |id| Account {
        flags: AccountFlags::LINKED,
        ..named(id)
    };
    let failed = [
        linked(1),
        Account {
            code: 0,
            ..linked(2)
        },
        named(3),
        named(4),
    ];
    assert_eq!(
        create(&mut bank, &failed),
        [
            R::LinkedEventFailed,
            R::CodeMustNotBeZero,
            R::LinkedEventFailed,
            R::Ok
        ]
    );
    assert_eq!(
        create(&mut bank, &[linked(1), linked(1), named(2)]),
        [R::LinkedEventFailed, R::Exists, R::LinkedEventFailed]
    );
    assert_eq!(
        create(&mut bank, &[linked(1), named(2), linked(3)]),
        [R::Ok, R::Ok, R::LinkedEventChainOpen]
    );
}

#[test]
fn an_asset_has_one_scale_for_ever() {
    let mut bank = Bank::new(0);
    let yen = Asset {
        ledger: 392,
        scale: 0,
        symbol: *b"JPY\0\0\0\0\0",
    };
    let items = vec![
        yen,
        yen,
        Asset { scale: 2, ..yen },
        Asset {
            symbol: *b"YEN\0\0\0\0\0",
            ..yen
        },
        Asset { ledger: 0, ..yen },
        Asset {
            ledger: 1,
            scale: 39,
            ..yen
        },
    ];
    let failures = bank.ask(&LedgerCommand::CreateAssets(items));
    let codes: Vec<_> = failures
        .into_iter()
        .map(|(_, code)| AssetResult::from_code(code).unwrap())
        .collect();
    assert_eq!(
        codes,
        [
            AssetResult::Exists,
            AssetResult::ExistsWithDifferentScale,
            AssetResult::ExistsWithDifferentSymbol,
            AssetResult::LedgerMustNotBeZero,
            AssetResult::ScaleTooLarge,
        ]
    );
    assert_eq!(asset(bank.kernel.store(), 392).unwrap(), Some(yen));
}

/// Nothing closed it, so that nothing opens it again.
#[test]
fn an_account_that_is_opened_closed_takes_nothing_for_ever() {
    let mut bank = Bank::new(2);
    let rules = AccountFlags::CLOSED.with(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
    bank.open(3, AccountFlags::CLOSED);
    bank.open(4, rules);
    let mut ids = 10..;
    for _ in 0..2 {
        for closed in [3, 4] {
            assert!(bank.account(closed).closed);
            let [into, out, held_in, held_out, closing, balancing] =
                std::array::from_fn(|_| ids.next().unwrap());
            let close = with(
                hold(closing, 1, closed, 0, 1),
                TransferFlags::CLOSING_CREDIT,
            );
            let balance = with(pay(balancing, closed, 1, 5), TransferFlags::BALANCING_DEBIT);
            assert_eq!(
                bank.send(&[
                    pay(into, 1, closed, 5),
                    pay(out, closed, 1, 0),
                    hold(held_in, 1, closed, 5, 1),
                    hold(held_out, closed, 1, 5, 0),
                    close,
                    balance,
                ]),
                [
                    TransferResult::CreditAccountAlreadyClosed,
                    TransferResult::DebitAccountAlreadyClosed,
                    TransferResult::CreditAccountAlreadyClosed,
                    TransferResult::DebitAccountAlreadyClosed,
                    TransferResult::CreditAccountAlreadyClosed,
                    TransferResult::DebitAccountAlreadyClosed,
                ]
            );
            // None of them happened, and their ids are burned: there is no hold to void.
            assert_eq!(
                bank.send_one(void(ids.next().unwrap(), closing)),
                TransferResult::PendingTransferNotFound
            );
            assert_eq!(bank.balances(closed), [0; 4]);
        }
        // Not in memory alone.
        bank = bank.restart();
        bank.now += 2_000;
    }
    assert_eq!(bank.balances(1), [0; 4]);
    assert_eq!(bank.send_one(pay(1, 1, 2, 5)), TransferResult::Ok);
}
