//! A ledger that keeps every transfer in a list and adds up from the start whenever it is
//! asked. It shares nothing with the real one but its words: commands and names of results.
//!
//! The property tests of the gateway compile this file too, so there is one such ledger.
//! Amounts stay far below 2¹²⁸, user data and the codes of accounts are not looked at.

use std::collections::{BTreeMap, BTreeSet};

use khlong_gateway::domains::ledger::{
    Account, AccountFlags, AccountResult, Asset, AssetResult, Failures, LedgerCommand, Transfer,
    TransferFlags as F, TransferResult as R,
};

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

impl Entry {
    /// When a hold ends by itself.
    fn expires_at(&self) -> Option<i64> {
        let wait = i64::from(self.transfer.timeout) * 1_000;
        (self.fate == Fate::Held && wait > 0).then(|| self.made_at + wait)
    }
}

/// The naive ledger.
#[derive(Clone, Default)]
pub(crate) struct Naive {
    assets: BTreeMap<u32, Asset>,
    accounts: BTreeMap<u128, Account>,
    entries: Vec<Entry>,
    /// Where the transfer of an id stands.
    places: BTreeMap<u128, usize>,
    /// Which entries name an account.
    of: BTreeMap<u128, Vec<usize>>,
    burned: BTreeSet<u128>,
}

impl Naive {
    /// The accounts that there are, and their rules.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// debits pending and posted, credits pending and posted: all of history, added up.
    pub(crate) fn balances(&self, account: u128) -> [u128; 4] {
        let (mut from, mut to) = ([0_u128; 2], [0_u128; 2]);
        for entry in self.entries_of(account) {
            let moved = match entry.fate {
                Fate::Held => [entry.transfer.amount, 0],
                Fate::Posted(amount) => [0, amount],
                Fate::Single => [0, entry.transfer.amount],
                Fate::Voided | Fate::Expired | Fate::Settler => [0, 0],
            };
            let side = if entry.transfer.debit_account_id == account {
                &mut from
            } else {
                &mut to
            };
            for (sum, amount) in side.iter_mut().zip(moved) {
                *sum = sum.saturating_add(amount);
            }
        }
        let ([held_out, out], [held_in, into]) = (from, to);
        [held_out, out, held_in, into]
    }

    /// Whether it was opened closed, or a closing transfer holds it, or was posted.
    pub(crate) fn is_closed(&self, account: u128) -> bool {
        let known = self.accounts.get(&account);
        let from_the_start = known.is_some_and(|it| it.flags.has(AccountFlags::CLOSED));
        let mut entries = self.entries_of(account);
        let is_closing = |entry: &Entry| {
            let flags = entry.transfer.flags;
            matches!(entry.fate, Fate::Held | Fate::Posted(_))
                && ((flags.has(F::CLOSING_DEBIT) && entry.transfer.debit_account_id == account)
                    || (flags.has(F::CLOSING_CREDIT)
                        && entry.transfer.credit_account_id == account))
        };
        from_the_start || entries.any(is_closing)
    }

    /// When the first of the holds that wait for their time ends.
    pub(crate) fn next_expiry(&self) -> Option<i64> {
        self.entries.iter().filter_map(Entry::expires_at).min()
    }

    /// Carries out a command of time `now`.
    pub(crate) fn apply(&mut self, now: i64, command: &LedgerCommand) -> Failures {
        self.expire(now);
        let codes: Vec<u8> = match command {
            LedgerCommand::CreateAssets(assets) => assets
                .iter()
                .map(|asset| self.create_asset(asset).code())
                .collect(),
            LedgerCommand::CreateAccounts(accounts) => accounts
                .iter()
                .map(|account| self.create_account(account).code())
                .collect(),
            LedgerCommand::CreateTransfers(transfers) => self
                .batch(now, transfers)
                .iter()
                .map(|result| result.code())
                .collect(),
            LedgerCommand::Sweep => Vec::new(),
        };
        let failed = (0_u16..).zip(codes).filter(|(_, code)| *code != 0);
        Failures(failed.collect())
    }

    /// Ends the holds whose time is over, and says how many those are.
    pub(crate) fn expire(&mut self, now: i64) -> u64 {
        let mut expired = 0;
        for entry in &mut self.entries {
            if entry.expires_at().is_some_and(|at| at <= now) {
                entry.fate = Fate::Expired;
                expired += 1;
            }
        }
        expired
    }

    pub(crate) fn create_asset(&mut self, asset: &Asset) -> AssetResult {
        match self.assets.get(&asset.ledger) {
            Some(known) if known.scale != asset.scale => AssetResult::ExistsWithDifferentScale,
            Some(known) if known.symbol != asset.symbol => AssetResult::ExistsWithDifferentSymbol,
            Some(_) => AssetResult::Exists,
            None => {
                self.assets.insert(asset.ledger, *asset);
                AssetResult::Ok
            }
        }
    }

    pub(crate) fn create_account(&mut self, account: &Account) -> AccountResult {
        let rules = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS
            .with(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS);
        match self.accounts.get(&account.id) {
            Some(known) if known.flags != account.flags => AccountResult::ExistsWithDifferentFlags,
            Some(known) if known.ledger != account.ledger => {
                AccountResult::ExistsWithDifferentLedger
            }
            Some(_) => AccountResult::Exists,
            None if account.flags.has(rules) => AccountResult::FlagsAreMutuallyExclusive,
            None if !self.assets.contains_key(&account.ledger) => AccountResult::LedgerNotFound,
            None => {
                self.accounts.insert(account.id, *account);
                AccountResult::Ok
            }
        }
    }

    /// Creates transfers at `now`; one result each.
    pub(crate) fn batch(&mut self, now: i64, transfers: &[Transfer]) -> Vec<R> {
        self.expire(now);
        let mut results = Vec::new();
        let mut rest = transfers;
        while !rest.is_empty() {
            let end = rest
                .iter()
                .position(|transfer| !transfer.flags.has(F::LINKED));
            let (chain, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            rest = after;
            results.extend(self.chain(now, chain, end.is_none()));
        }
        results
    }

    fn chain(&mut self, now: i64, chain: &[Transfer], is_open: bool) -> Vec<R> {
        let saved = (chain.len() > 1).then(|| self.clone());
        let last = chain.len().saturating_sub(1);
        for (place, transfer) in chain.iter().enumerate() {
            let result = if is_open && place == last {
                R::LinkedEventChainOpen
            } else {
                self.one(now, transfer)
            };
            if result == R::Ok {
                continue;
            }
            if let Some(saved) = saved {
                *self = saved;
            }
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
                self.burned.insert(transfer.id);
            }
            let told = |at| match at {
                at if at == place => result,
                at if is_open && at == last => R::LinkedEventChainOpen,
                _ => R::LinkedEventFailed,
            };
            return (0..chain.len()).map(told).collect();
        }
        vec![R::Ok; chain.len()]
    }

    fn one(&mut self, now: i64, asked: &Transfer) -> R {
        if self.burned.contains(&asked.id) {
            return R::IdAlreadyFailed;
        }
        if let Some(known) = self.entry(asked.id) {
            return self.same(&known.transfer, asked);
        }
        if asked.flags.has(F::POST_PENDING_TRANSFER) || asked.flags.has(F::VOID_PENDING_TRANSFER) {
            return self.settle(now, asked);
        }
        if asked.debit_account_id == asked.credit_account_id {
            return R::AccountsMustBeDifferent;
        }
        let Some(payer) = self.accounts.get(&asked.debit_account_id).copied() else {
            return R::DebitAccountNotFound;
        };
        let Some(payee) = self.accounts.get(&asked.credit_account_id).copied() else {
            return R::CreditAccountNotFound;
        };
        if payer.ledger != payee.ledger {
            return R::AccountsMustHaveTheSameLedger;
        }
        if asked.ledger != payer.ledger {
            return R::TransferMustHaveTheSameLedgerAsAccounts;
        }
        if self.is_closed(payer.id) {
            return R::DebitAccountAlreadyClosed;
        }
        if self.is_closed(payee.id) {
            return R::CreditAccountAlreadyClosed;
        }
        let [held_out, out, _, into] = self.balances(payer.id);
        let (debits, has) = (held_out.saturating_add(out), into);
        let [_, owed, held_in, got] = self.balances(payee.id);
        let credits = held_in.saturating_add(got);
        let mut amount = asked.amount;
        if asked.flags.has(F::BALANCING_DEBIT) {
            amount = amount.min(has.saturating_sub(debits));
        }
        if asked.flags.has(F::BALANCING_CREDIT) {
            amount = amount.min(owed.saturating_sub(credits));
        }
        if payer
            .flags
            .has(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS)
            && debits.saturating_add(amount) > has
        {
            return R::ExceedsCredits;
        }
        if payee
            .flags
            .has(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS)
            && credits.saturating_add(amount) > owed
        {
            return R::ExceedsDebits;
        }
        let fate = if asked.flags.has(F::PENDING) {
            Fate::Held
        } else {
            Fate::Single
        };
        self.push(now, Transfer { amount, ..*asked }, fate);
        R::Ok
    }

    fn settle(&mut self, now: i64, asked: &Transfer) -> R {
        if asked.pending_id == asked.id {
            return R::PendingIdMustBeDifferent;
        }
        let Some(held) = self.entry(asked.pending_id).cloned() else {
            return R::PendingTransferNotFound;
        };
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
        let place = self.places.get(&asked.pending_id);
        if let Some(entry) = place.and_then(|place| self.entries.get_mut(*place)) {
            entry.fate = if is_void {
                Fate::Voided
            } else {
                Fate::Posted(amount)
            };
        }
        let transfer = Transfer {
            debit_account_id: held.transfer.debit_account_id,
            credit_account_id: held.transfer.credit_account_id,
            amount,
            ledger: held.transfer.ledger,
            code: held.transfer.code,
            ..*asked
        };
        self.push(now, transfer, Fate::Settler);
        R::Ok
    }

    /// What is asked again under an id, and in which field it differs. User data, codes and
    /// the accounts of a settlement do not vary.
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
        let amount = match self.entry(asked.pending_id) {
            Some(held) if settles && asked.amount == all_of_it => held.transfer.amount,
            Some(_) | None => asked.amount,
        };
        let balancing = asked.flags.has(F::BALANCING_DEBIT) || asked.flags.has(F::BALANCING_CREDIT);
        let differs = if balancing {
            known.amount > amount
        } else {
            known.amount != amount
        };
        if differs {
            return R::ExistsWithDifferentAmount;
        }
        if !settles && asked.ledger != known.ledger {
            return R::ExistsWithDifferentLedger;
        }
        R::Exists
    }

    fn push(&mut self, now: i64, transfer: Transfer, fate: Fate) {
        let place = self.entries.len();
        self.places.insert(transfer.id, place);
        for account in [transfer.debit_account_id, transfer.credit_account_id] {
            self.of.entry(account).or_default().push(place);
        }
        self.entries.push(Entry {
            transfer,
            made_at: now,
            fate,
        });
    }

    fn entry(&self, id: u128) -> Option<&Entry> {
        self.entries.get(*self.places.get(&id)?)
    }

    fn entries_of(&self, account: u128) -> impl Iterator<Item = &Entry> {
        let places = self.of.get(&account).into_iter().flatten();
        places.filter_map(|place| self.entries.get(*place))
    }
}
