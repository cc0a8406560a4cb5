//! A ledger that keeps every transfer in a list and adds up from the start whenever it is
//! asked. It shares nothing with the real one but the names of results.

use std::collections::BTreeMap;

use khlong_gateway::domains::ledger::{
    AccountFlags, Transfer, TransferFlags as F, TransferResult as R,
};

use crate::fixture::THB;

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Held,
    Posted(u128),
    Voided,
    Expired,
    Single,
    Settler,
}

#[derive(Clone)]
struct Entry {
    transfer: Transfer,
    made_at: i64,
    fate: Fate,
}

#[derive(Clone, Default)]
pub(crate) struct Naive {
    pub(crate) accounts: BTreeMap<u128, AccountFlags>,
    entries: Vec<Entry>,
    burned: Vec<u128>,
}

impl Naive {
    /// debits pending and posted, credits pending and posted: all of history, added up.
    pub(crate) fn balances(&self, account: u128) -> [u128; 4] {
        let mut sums = [0; 4];
        for entry in &self.entries {
            let (pending, posted) = match entry.fate {
                Fate::Held => (entry.transfer.amount, 0),
                Fate::Posted(amount) => (0, amount),
                Fate::Single => (0, entry.transfer.amount),
                Fate::Voided | Fate::Expired | Fate::Settler => (0, 0),
            };
            if entry.transfer.debit_account_id == account {
                sums[0] += pending;
                sums[1] += posted;
            }
            if entry.transfer.credit_account_id == account {
                sums[2] += pending;
                sums[3] += posted;
            }
        }
        sums
    }

    pub(crate) fn is_closed(&self, account: u128) -> bool {
        self.entries.iter().any(|entry| {
            let (flags, held) = (
                entry.transfer.flags,
                matches!(entry.fate, Fate::Held | Fate::Posted(_)),
            );
            held && ((flags.has(F::CLOSING_DEBIT) && entry.transfer.debit_account_id == account)
                || (flags.has(F::CLOSING_CREDIT) && entry.transfer.credit_account_id == account))
        })
    }

    pub(crate) fn batch(&mut self, now: i64, transfers: &[Transfer]) -> Vec<R> {
        for entry in &mut self.entries {
            let timeout = i64::from(entry.transfer.timeout) * 1_000;
            if entry.fate == Fate::Held && timeout > 0 && entry.made_at + timeout <= now {
                entry.fate = Fate::Expired;
            }
        }
        let mut results = Vec::new();
        let mut rest = transfers;
        while !rest.is_empty() {
            let end = rest
                .iter()
                .position(|transfer| !transfer.flags.has(F::LINKED));
            let (chain, open) = match end {
                Some(end) => (&rest[..=end], false),
                None => (rest, true),
            };
            rest = &rest[chain.len()..];
            let saved = self.clone();
            let mut told = vec![R::Ok; chain.len()];
            for (place, transfer) in chain.iter().enumerate() {
                let result = if open && place + 1 == chain.len() {
                    R::LinkedEventChainOpen
                } else {
                    self.one(now, transfer)
                };
                if result == R::Ok {
                    continue;
                }
                *self = saved.clone();
                // Told again here, so that a code that is missing in the ledger shows.
                if matches!(
                    result,
                    R::DebitAccountNotFound
                        | R::CreditAccountNotFound
                        | R::PendingTransferNotFound
                        | R::DebitAccountAlreadyClosed
                        | R::CreditAccountAlreadyClosed
                        | R::ExceedsCredits
                        | R::ExceedsDebits
                ) {
                    self.burned.push(transfer.id);
                }
                told.fill(R::LinkedEventFailed);
                if open {
                    *told.last_mut().unwrap() = R::LinkedEventChainOpen;
                }
                told[place] = result;
                break;
            }
            results.extend(told);
        }
        results
    }

    fn one(&mut self, now: i64, asked: &Transfer) -> R {
        if self.burned.contains(&asked.id) {
            return R::IdAlreadyFailed;
        }
        if let Some(known) = self
            .entries
            .iter()
            .find(|entry| entry.transfer.id == asked.id)
        {
            return self.same(&known.transfer, asked);
        }
        if asked.flags.has(F::POST_PENDING_TRANSFER) || asked.flags.has(F::VOID_PENDING_TRANSFER) {
            return self.settle(now, asked);
        }
        if asked.debit_account_id == asked.credit_account_id {
            return R::AccountsMustBeDifferent;
        }
        let Some(debit_rules) = self.accounts.get(&asked.debit_account_id).copied() else {
            return R::DebitAccountNotFound;
        };
        let Some(credit_rules) = self.accounts.get(&asked.credit_account_id).copied() else {
            return R::CreditAccountNotFound;
        };
        if asked.ledger != THB {
            return R::TransferMustHaveTheSameLedgerAsAccounts;
        }
        if self.is_closed(asked.debit_account_id) {
            return R::DebitAccountAlreadyClosed;
        }
        if self.is_closed(asked.credit_account_id) {
            return R::CreditAccountAlreadyClosed;
        }
        let debit = self.balances(asked.debit_account_id);
        let credit = self.balances(asked.credit_account_id);
        let mut amount = asked.amount;
        if asked.flags.has(F::BALANCING_DEBIT) {
            amount = amount.min(debit[3].saturating_sub(debit[0] + debit[1]));
        }
        if asked.flags.has(F::BALANCING_CREDIT) {
            amount = amount.min(credit[1].saturating_sub(credit[2] + credit[3]));
        }
        if debit_rules.has(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS)
            && debit[0] + debit[1] + amount > debit[3]
        {
            return R::ExceedsCredits;
        }
        if credit_rules.has(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS)
            && credit[2] + credit[3] + amount > credit[1]
        {
            return R::ExceedsDebits;
        }
        let fate = if asked.flags.has(F::PENDING) {
            Fate::Held
        } else {
            Fate::Single
        };
        self.entries.push(Entry {
            transfer: Transfer { amount, ..*asked },
            made_at: now,
            fate,
        });
        R::Ok
    }

    fn settle(&mut self, now: i64, asked: &Transfer) -> R {
        if asked.pending_id == asked.id {
            return R::PendingIdMustBeDifferent;
        }
        let Some(place) = self
            .entries
            .iter()
            .position(|entry| entry.transfer.id == asked.pending_id)
        else {
            return R::PendingTransferNotFound;
        };
        let held = self.entries[place].clone();
        if matches!(held.fate, Fate::Single | Fate::Settler) {
            return R::PendingTransferNotPending;
        }
        let is_void = asked.flags.has(F::VOID_PENDING_TRANSFER);
        let amount = match asked.amount {
            0 if is_void => held.transfer.amount,
            u128::MAX if !is_void => held.transfer.amount,
            amount => amount,
        };
        if amount > held.transfer.amount {
            return R::ExceedsPendingTransferAmount;
        }
        if is_void && amount != held.transfer.amount {
            return R::PendingTransferHasDifferentAmount;
        }
        match held.fate {
            Fate::Posted(_) => return R::PendingTransferAlreadyPosted,
            Fate::Voided => return R::PendingTransferAlreadyVoided,
            Fate::Expired => return R::PendingTransferExpired,
            Fate::Held | Fate::Single | Fate::Settler => {}
        }
        if !is_void && self.is_closed(held.transfer.debit_account_id) {
            return R::DebitAccountAlreadyClosed;
        }
        if !is_void && self.is_closed(held.transfer.credit_account_id) {
            return R::CreditAccountAlreadyClosed;
        }
        self.entries[place].fate = if is_void {
            Fate::Voided
        } else {
            Fate::Posted(amount)
        };
        let transfer = Transfer {
            debit_account_id: held.transfer.debit_account_id,
            credit_account_id: held.transfer.credit_account_id,
            amount,
            ledger: THB,
            code: held.transfer.code,
            ..*asked
        };
        self.entries.push(Entry {
            transfer,
            made_at: now,
            fate: Fate::Settler,
        });
        R::Ok
    }

    /// The generator varies these fields only.
    fn same(&self, known: &Transfer, asked: &Transfer) -> R {
        if asked.flags != known.flags {
            return R::ExistsWithDifferentFlags;
        }
        if asked.pending_id != known.pending_id {
            return R::ExistsWithDifferentPendingId;
        }
        if asked.timeout != known.timeout {
            return R::ExistsWithDifferentTimeout;
        }
        let settles = asked.pending_id != 0;
        if !settles && asked.debit_account_id != known.debit_account_id {
            return R::ExistsWithDifferentDebitAccountId;
        }
        if !settles && asked.credit_account_id != known.credit_account_id {
            return R::ExistsWithDifferentCreditAccountId;
        }
        let all_of_it = if asked.flags.has(F::VOID_PENDING_TRANSFER) {
            0
        } else {
            u128::MAX
        };
        let amount = if settles && asked.amount == all_of_it {
            self.entries
                .iter()
                .find(|entry| entry.transfer.id == asked.pending_id)
                .unwrap()
                .transfer
                .amount
        } else {
            asked.amount
        };
        let balancing = asked.flags.has(F::BALANCING_DEBIT) || asked.flags.has(F::BALANCING_CREDIT);
        if if balancing {
            known.amount > amount
        } else {
            known.amount != amount
        } {
            return R::ExistsWithDifferentAmount;
        }
        if !settles && asked.ledger != known.ledger {
            return R::ExistsWithDifferentLedger;
        }
        R::Exists
    }
}
