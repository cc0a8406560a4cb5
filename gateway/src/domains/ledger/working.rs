//! What one command has done so far, and how to take a part of it back.
//!
//! Accounts stand in memory; rows are written once, when the command is through. So a
//! batch of thousands costs few rows, and a chain that fails leaves nothing.

use std::collections::BTreeMap;

use khlong_crdt::time::UnixMillis;
use khlong_store::error::StoreError;
use khlong_store::table::Table;

use super::limits::{ACCOUNTS_CACHED_MAX, CHUNK_RECORDS, EXPIRIES_MAX};
use super::model::{AccountState, Balances, IdState, Place, Transfer};
use super::upcoming::Upcoming;
use super::{MaySettle, tables};
use crate::kernel::{ApplyError, Context, Rejection};

/// What is kept between commands; all of it can be read again.
#[derive(Debug, Default)]
pub(super) struct Cache {
    accounts: BTreeMap<u128, AccountState>,
    pub(super) upcoming: Upcoming,
}

/// A step, backwards.
enum Undo {
    /// An account was moved by the last record.
    Moved(u128, Balances, bool),
    Record,
    Id(u128, Option<IdState>),
    Expiry((UnixMillis, u128), Option<bool>),
}

/// The working state of one command.
pub(super) struct Working<'w, 'c, 'e> {
    pub(super) context: &'w mut Context<'c, 'e>,
    cache: &'w mut Cache,
    may_settle: Option<MaySettle>,
    records: Vec<Transfer>,
    moved: BTreeMap<u128, Vec<u16>>,
    ids: BTreeMap<u128, IdState>,
    /// `true` begins a wait, `false` ends it.
    expiries: BTreeMap<(UnixMillis, u128), bool>,
    /// Since the chain began.
    undo: Vec<Undo>,
}

impl<'w, 'c, 'e> Working<'w, 'c, 'e> {
    pub(super) fn new(
        context: &'w mut Context<'c, 'e>,
        cache: &'w mut Cache,
        may_settle: Option<MaySettle>,
    ) -> Self {
        if cache.accounts.len() > ACCOUNTS_CACHED_MAX {
            cache.accounts.clear();
        }
        Self {
            context,
            cache,
            may_settle,
            records: Vec::new(),
            moved: BTreeMap::new(),
            ids: BTreeMap::new(),
            expiries: BTreeMap::new(),
            undo: Vec::new(),
        }
    }

    /// Whether nobody owns the hold that `asked` settles, or its owner wants just that.
    pub(super) fn may_settle(&self, asked: &Transfer) -> Result<bool, StoreError> {
        self.may_settle.map_or(Ok(true), |may_settle| {
            may_settle(self.context.rows(), asked)
        })
    }

    /// What expires now at the latest, as much of it as one command lets expire.
    pub(super) fn due(&self) -> Result<Vec<(UnixMillis, u128)>, StoreError> {
        let (rows, now) = (self.context.rows(), self.context.now());
        self.cache.upcoming.due(rows, now, EXPIRIES_MAX)
    }

    /// The account as it stands.
    pub(super) fn account(&mut self, id: u128) -> Result<Option<AccountState>, StoreError> {
        if let Some(known) = self.cache.accounts.get(&id) {
            return Ok(Some(*known));
        }
        let found = tables::account(self.context.rows(), id)?;
        if let Some(account) = found {
            self.cache.accounts.insert(id, account);
        }
        Ok(found)
    }

    /// What the id stands for, this command included.
    pub(super) fn id(&self, id: u128) -> Result<Option<IdState>, StoreError> {
        match self.ids.get(&id) {
            Some(state) => Ok(Some(*state)),
            None => tables::id_state(self.context.rows(), id),
        }
    }

    /// The transfer at `place`, and its time.
    pub(super) fn record(&self, place: Place) -> Result<(Transfer, UnixMillis), ApplyError> {
        if place.seq != self.context.seq() {
            return Ok(tables::record(self.context.rows(), place)?);
        }
        self.records
            .get(usize::from(place.index))
            .map(|record| (*record, self.context.now()))
            .ok_or(ApplyError::Rejected(Rejection::Invariant))
    }

    /// Writes a record and the accounts that it moved.
    pub(super) fn post(
        &mut self,
        record: Transfer,
        debit: AccountState,
        credit: AccountState,
    ) -> Result<Place, ApplyError> {
        let index = u16::try_from(self.records.len())
            .map_err(|_| ApplyError::Rejected(Rejection::Invariant))?;
        self.records.push(record);
        self.undo.push(Undo::Record);
        for account in [debit, credit] {
            let id = account.account.id;
            let Some(before) = self.cache.accounts.insert(id, account) else {
                return Err(ApplyError::Rejected(Rejection::Invariant));
            };
            self.moved.entry(id).or_default().push(index);
            self.undo
                .push(Undo::Moved(id, before.balances, before.closed));
        }
        Ok(Place {
            seq: self.context.seq(),
            index,
        })
    }

    pub(super) fn set_id(&mut self, id: u128, state: IdState) {
        let before = self.ids.insert(id, state);
        self.undo.push(Undo::Id(id, before));
    }

    pub(super) fn set_expiry(&mut self, at: UnixMillis, id: u128, waits: bool) {
        let before = self.expiries.insert((at, id), waits);
        self.undo.push(Undo::Expiry((at, id), before));
    }

    /// What was done so far stays.
    pub(super) fn keep(&mut self) {
        self.undo.clear();
    }

    /// Takes back everything since [`Self::keep`].
    pub(super) fn take_back(&mut self) {
        while let Some(step) = self.undo.pop() {
            match step {
                Undo::Record => {
                    self.records.pop();
                }
                Undo::Moved(id, balances, closed) => {
                    if let Some(account) = self.cache.accounts.get_mut(&id) {
                        account.balances = balances;
                        account.closed = closed;
                    }
                    if let Some(moves) = self.moved.get_mut(&id) {
                        moves.pop();
                        if moves.is_empty() {
                            self.moved.remove(&id);
                        }
                    }
                }
                Undo::Id(id, before) => restore(&mut self.ids, id, before),
                Undo::Expiry(key, before) => restore(&mut self.expiries, key, before),
            }
        }
    }

    /// Writes the rows.
    pub(super) fn write(self) -> Result<(), ApplyError> {
        let context = self.context;
        let (seq, now) = (context.seq(), context.now());
        for (chunk, records) in (0_u16..).zip(self.records.chunks(CHUNK_RECORDS)) {
            let row = tables::encode_chunk(now, records);
            context.put(Table::LedgerTransfer, tables::chunk_key(seq, chunk), row)?;
        }
        for (id, state) in &self.ids {
            let row = tables::encode_id(state);
            context.put(Table::LedgerTransferId, tables::id_key(*id).to_vec(), row)?;
        }
        for (id, moves) in &self.moved {
            let account = self
                .cache
                .accounts
                .get(id)
                .ok_or(ApplyError::Rejected(Rejection::Invariant))?;
            let row = tables::encode_balance(now, &account.balances, account.closed, moves);
            context.put(Table::LedgerBalance, tables::balance_key(*id, seq), row)?;
        }
        for ((at, id), waits) in &self.expiries {
            let key = tables::expiry_key(*at, *id);
            if *waits {
                context.put(Table::LedgerExpiry, key, Vec::new())?;
            } else {
                context.delete(Table::LedgerExpiry, key)?;
            }
            self.cache.upcoming.set((*at, *id), *waits);
        }
        Ok(())
    }
}

fn restore<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => {
            map.insert(key, value);
        }
        None => {
            map.remove(&key);
        }
    }
}
