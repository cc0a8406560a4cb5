//! Random batches against the naive ledger, with restarts and a replay in between.

use khlong_gateway::domains::ledger::{
    Account, AccountFlags, AccountResult, AssetResult, Direction, Period, Transfer, TransferFlags,
    lines,
};
use khlong_gateway::kernel::{Logic, replay, state_hash};
use khlong_store::engine::memory::MemoryDisk;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{Bank, THB, baht, kernel, plain};
use crate::naive::Naive;

/// The accounts that there are, from 1 on.
pub(crate) const ACCOUNTS: u128 = 6;

/// Mostly one that takes transfers; else the last one, which is closed, or the one behind it, which is not there.
fn accounts() -> impl Strategy<Value = u128> {
    prop_oneof![9 => 1_u128..ACCOUNTS, 1 => ACCOUNTS..=ACCOUNTS + 1]
}

/// Few accounts, ids and amounts, so that they meet.
pub(crate) fn transfers() -> impl Strategy<Value = Transfer> {
    let kinds = prop_oneof![
        6 => Just(TransferFlags::default()),
        6 => Just(TransferFlags::PENDING),
        5 => Just(TransferFlags::POST_PENDING_TRANSFER),
        3 => Just(TransferFlags::VOID_PENDING_TRANSFER),
        1 => Just(TransferFlags::BALANCING_DEBIT),
        1 => Just(TransferFlags::BALANCING_CREDIT),
        1 => Just(TransferFlags::PENDING.with(TransferFlags::CLOSING_DEBIT)),
        1 => Just(TransferFlags::PENDING.with(TransferFlags::CLOSING_CREDIT)),
    ];
    let amounts =
        prop_oneof![8 => 0_u128..40, 1 => Just(u128::from(u64::MAX)), 1 => Just(u128::MAX)];
    (
        1_u128..60,
        accounts(),
        accounts(),
        amounts,
        kinds,
        (0_u32..4, 1_u128..60),
        any::<[bool; 3]>(),
    )
        .prop_map(
            |(id, debit, credit, amount, flags, (timeout, pending_id), chance)| {
                let settles = flags.has_any(
                    TransferFlags::POST_PENDING_TRANSFER.with(TransferFlags::VOID_PENDING_TRANSFER),
                );
                let is_pending = flags.has(TransferFlags::PENDING);
                let balancing = flags
                    .has_any(TransferFlags::BALANCING_DEBIT.with(TransferFlags::BALANCING_CREDIT));
                let linked = if chance[0] && chance[1] {
                    TransferFlags::LINKED
                } else {
                    TransferFlags::default()
                };
                Transfer {
                    id,
                    debit_account_id: if settles { 0 } else { debit },
                    credit_account_id: if settles { 0 } else { credit },
                    // All of 2^128 only where it means "all of it".
                    amount: if amount == u128::MAX && !settles && !balancing {
                        7
                    } else {
                        amount
                    },
                    pending_id: if settles { pending_id } else { 0 },
                    timeout: if is_pending { timeout } else { 0 },
                    ledger: if settles { 0 } else { THB },
                    code: u16::from(!settles),
                    flags: flags.with(linked),
                    ..Transfer::default()
                }
            },
        )
}

/// [`ACCOUNTS`] of baht in both ledgers, with and without rules, and one that is closed from the start.
pub(crate) fn begun() -> (Bank, Naive) {
    let (mut bank, mut naive) = (Bank::new(0), Naive::default());
    assert_eq!(naive.create_asset(&baht()), AssetResult::Ok);
    for (id, flags) in [
        (1, AccountFlags::default()),
        (2, AccountFlags::default()),
        (3, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS),
        (4, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS),
        (5, AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS),
        (ACCOUNTS, AccountFlags::CLOSED),
    ] {
        bank.open(id, flags);
        let account = Account { flags, ..plain(id) };
        assert_eq!(naive.create_account(&account), AccountResult::Ok);
    }
    (bank, naive)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_batches_come_to_what_a_naive_ledger_says(
        steps in vec((vec(transfers(), 1..8), 0_i64..1_500, 0_u8..10), 1..30),
    ) {
        let (mut bank, mut naive) = begun();
        for (batch, wait, chance) in steps {
            bank.now += wait;
            let told = bank.send(&batch);
            prop_assert_eq!(told, naive.batch(bank.now, &batch), "{:?}", batch);
            for id in 1..=ACCOUNTS {
                prop_assert_eq!(bank.balances(id), naive.balances(id), "account {}", id);
                prop_assert_eq!(bank.account(id).closed, naive.is_closed(id), "account {}", id);
            }
            if chance == 0 {
                bank = bank.restart();
            }
        }
        for id in 1..=ACCOUNTS {
            let page = lines(bank.kernel.store(), id, Period::ALWAYS, Direction::Forward, None, 8_000).unwrap();
            let last = page.lines.last().map(|line| line.balances).unwrap_or_default();
            prop_assert_eq!(last, bank.account(id).balances);
        }
        let disk = MemoryDisk::new();
        let mut again = kernel(&disk, Logic::CURRENT);
        prop_assert_eq!(replay(bank.kernel.store(), &mut again).unwrap(), bank.kernel.head());
        prop_assert_eq!(state_hash(again.store()).unwrap(), state_hash(bank.kernel.store()).unwrap());
    }
}
