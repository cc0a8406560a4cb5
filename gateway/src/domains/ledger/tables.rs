//! The rows of the ledger: one encoder and one decoder each.

use std::ops::ControlFlow;

use khlong_crdt::time::UnixMillis;
use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::{Decoder, Encoder, KeyRange};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::commands::{put_account, put_transfer, take_account, take_transfer};
use super::limits::{BALANCE_BYTES, CHUNK_RECORDS, TRANSFER_BYTES};
use super::model::{
    Account, AccountFlags, AccountState, Asset, Balances, IdState, Place, Transfer, TransferState,
};

const LAYOUT: &str = "the row does not have the layout of its table";

/// An account's balances after one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BalanceRow {
    pub(super) seq: JournalSeq,
    pub(super) time: UnixMillis,
    pub(super) balances: Balances,
    pub(super) closed: bool,
    /// Which records of the command moved it.
    pub(super) moves: Vec<u16>,
}

pub(super) fn id_key(id: u128) -> [u8; 16] {
    id.to_be_bytes()
}

pub(super) fn balance_key(account: u128, seq: JournalSeq) -> Vec<u8> {
    Encoder::new().fixed(&id_key(account)).u64(seq.0).finish()
}

pub(super) fn chunk_key(seq: JournalSeq, chunk: u16) -> Vec<u8> {
    Encoder::new()
        .u64(seq.0)
        .fixed(&chunk.to_be_bytes())
        .finish()
}

pub(super) fn expiry_key(at: UnixMillis, id: u128) -> Vec<u8> {
    let at = u64::try_from(at.0).unwrap_or(0);
    Encoder::new().u64(at).fixed(&id_key(id)).finish()
}

/// What the key says. Times before 1970 are not admitted by a driver; one that is sorts as 0.
pub(super) fn expiry_order(at: UnixMillis, id: u128) -> (UnixMillis, u128) {
    (UnixMillis(at.0.max(0)), id)
}

/// `scale 1 ‖ symbol 8`.
pub(super) fn encode_asset(asset: &Asset) -> Vec<u8> {
    Encoder::new().u8(asset.scale).fixed(&asset.symbol).finish()
}

pub(super) fn asset(rows: &dyn Rows, ledger: u32) -> Result<Option<Asset>, StoreError> {
    read(rows, Table::LedgerAsset, &ledger.to_be_bytes(), |fields| {
        Some(Asset {
            ledger,
            scale: fields.u8()?,
            symbol: fields.fixed()?,
        })
    })
}

/// As it was asked for, the id included.
pub(super) fn encode_account(account: &Account) -> Vec<u8> {
    let mut row = Vec::new();
    put_account(&mut row, account);
    row
}

/// The account's row alone: what does not change.
pub(super) fn account_fields(rows: &dyn Rows, id: u128) -> Result<Option<Account>, StoreError> {
    read(rows, Table::LedgerAccount, &id_key(id), take_account)
}

/// The account as it stands: its row, and its latest balances.
pub(super) fn account(rows: &dyn Rows, id: u128) -> Result<Option<AccountState>, StoreError> {
    let Some(account) = account_fields(rows, id)? else {
        return Ok(None);
    };
    let latest = balance_before(rows, id, JournalSeq(u64::MAX))?;
    Ok(Some(match latest {
        Some(row) => AccountState {
            account,
            balances: row.balances,
            closed: row.closed,
        },
        None => AccountState {
            account,
            balances: Balances::default(),
            closed: account.flags.has(AccountFlags::CLOSED),
        },
    }))
}

/// `time 8 ‖ debits_pending 16 ‖ debits_posted 16 ‖ credits_pending 16 ‖ credits_posted 16
/// ‖ closed 1 ‖ (index 2)*`.
pub(super) fn encode_balance(
    time: UnixMillis,
    balances: &Balances,
    closed: bool,
    moves: &[u16],
) -> Vec<u8> {
    let mut row = Vec::with_capacity(BALANCE_BYTES + 2 * moves.len() + 9);
    row.extend_from_slice(&time.0.to_be_bytes());
    for amount in [
        balances.debits_pending,
        balances.debits_posted,
        balances.credits_pending,
        balances.credits_posted,
    ] {
        row.extend_from_slice(&amount.to_be_bytes());
    }
    row.push(u8::from(closed));
    for index in moves {
        row.extend_from_slice(&index.to_be_bytes());
    }
    row
}

fn decode_balance(key: &[u8], row: &[u8]) -> Result<BalanceRow, StoreError> {
    let mut place = Decoder::new(key);
    let mut fields = Decoder::new(row);
    let decoded = (|| {
        place.bytes(16)?;
        let seq = JournalSeq(place.u64()?);
        let time = UnixMillis(fields.i64()?);
        let mut amount = || fields.fixed().map(u128::from_be_bytes);
        let balances = Balances {
            debits_pending: amount()?,
            debits_posted: amount()?,
            credits_pending: amount()?,
            credits_posted: amount()?,
        };
        let closed = fields.u8()? == 1;
        let (moves, []) = fields.tail().as_chunks::<2>() else {
            return None;
        };
        Some(BalanceRow {
            seq,
            time,
            balances,
            closed,
            moves: moves
                .iter()
                .map(|index| u16::from_be_bytes(*index))
                .collect(),
        })
    })();
    decoded.ok_or_else(|| StoreError::corrupt(Table::LedgerBalance, key, LAYOUT))
}

/// The account's row of the last command before `seq`.
pub(super) fn balance_before(
    rows: &dyn Rows,
    account: u128,
    seq: JournalSeq,
) -> Result<Option<BalanceRow>, StoreError> {
    let range = KeyRange::between(
        balance_key(account, JournalSeq(0)),
        balance_key(account, seq),
    );
    first_balance(rows, &range, Direction::Reverse)
}

/// The account's row of the first command from `seq` on.
pub(super) fn balance_from(
    rows: &dyn Rows,
    account: u128,
    seq: JournalSeq,
) -> Result<Option<BalanceRow>, StoreError> {
    let range = KeyRange::between(
        balance_key(account, seq),
        balance_key(account, JournalSeq(u64::MAX)),
    );
    first_balance(rows, &range, Direction::Forward)
}

fn first_balance(
    rows: &dyn Rows,
    range: &KeyRange,
    direction: Direction,
) -> Result<Option<BalanceRow>, StoreError> {
    let mut found = None;
    rows.scan(Table::LedgerBalance, range, direction, &mut |key, row| {
        found = Some(decode_balance(key, row)?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// `time 8 ‖ record 120 *`, at most [`CHUNK_RECORDS`].
pub(super) fn encode_chunk(time: UnixMillis, records: &[Transfer]) -> Vec<u8> {
    let mut row = Vec::with_capacity(8 + records.len() * TRANSFER_BYTES + 9);
    row.extend_from_slice(&time.0.to_be_bytes());
    for record in records {
        put_transfer(&mut row, record);
    }
    row
}

/// The record at `place`, and the time of its command.
pub(super) fn record(rows: &dyn Rows, place: Place) -> Result<(Transfer, UnixMillis), StoreError> {
    Records::default().read(rows, place)
}

/// Reads records of one row after another, each row once.
#[derive(Debug, Default)]
pub(super) struct Records {
    key: Vec<u8>,
    row: Option<Vec<u8>>,
}

impl Records {
    /// As [`record`].
    pub(super) fn read(
        &mut self,
        rows: &dyn Rows,
        place: Place,
    ) -> Result<(Transfer, UnixMillis), StoreError> {
        let index = usize::from(place.index);
        let chunk = u16::try_from(index / CHUNK_RECORDS).unwrap_or(u16::MAX);
        let key = chunk_key(place.seq, chunk);
        if self.key != key {
            self.row = rows.get(Table::LedgerTransfer, &key)?;
            self.key = key;
        }
        let decoded = self.row.as_deref().and_then(|row| {
            let mut fields = Decoder::new(row);
            let time = UnixMillis(fields.i64()?);
            fields.bytes(index % CHUNK_RECORDS * TRANSFER_BYTES)?;
            Some((take_transfer(&mut fields)?, time))
        });
        decoded.ok_or_else(|| {
            StoreError::corrupt(Table::LedgerTransfer, &self.key, "a transfer is missing")
        })
    }
}

const BURNED: u8 = 0xff;

/// `state 1 ‖ seq 8 ‖ index 2`, or `0xff`.
pub(super) fn encode_id(state: &IdState) -> Vec<u8> {
    match state {
        IdState::Burned => vec![BURNED],
        IdState::Transfer(state, place) => Encoder::new()
            .u8(match state {
                TransferState::Final => 0,
                TransferState::Pending => 1,
                TransferState::Posted => 2,
                TransferState::Voided => 3,
                TransferState::Expired => 4,
            })
            .u64(place.seq.0)
            .fixed(&place.index.to_be_bytes())
            .finish(),
    }
}

pub(super) fn id_state(rows: &dyn Rows, id: u128) -> Result<Option<IdState>, StoreError> {
    read(rows, Table::LedgerTransferId, &id_key(id), |fields| {
        let state = match fields.u8()? {
            0 => TransferState::Final,
            1 => TransferState::Pending,
            2 => TransferState::Posted,
            3 => TransferState::Voided,
            4 => TransferState::Expired,
            BURNED => return Some(IdState::Burned),
            _ => return None,
        };
        let place = Place {
            seq: JournalSeq(fields.u64()?),
            index: u16::from_be_bytes(fields.fixed()?),
        };
        Some(IdState::Transfer(state, place))
    })
}

/// At most `max` pending transfers that expire, the earliest first, from `(at, id)` on.
pub(super) fn expiring(
    rows: &dyn Rows,
    (at, id): (UnixMillis, u128),
    max: usize,
) -> Result<Vec<(UnixMillis, u128)>, StoreError> {
    let mut found = Vec::new();
    if max == 0 {
        return Ok(found);
    }
    rows.scan(
        Table::LedgerExpiry,
        &KeyRange {
            start: expiry_key(at, id),
            end: None,
        },
        Direction::Forward,
        &mut |key, _| {
            let mut fields = Decoder::new(key);
            let (Some(at), Some(id)) = (fields.u64(), fields.fixed()) else {
                return Err(StoreError::corrupt(Table::LedgerExpiry, key, LAYOUT));
            };
            let at = UnixMillis(i64::try_from(at).unwrap_or(i64::MAX));
            found.push((at, u128::from_be_bytes(id)));
            // Not one step further: what comes before the next row may be many that were deleted.
            Ok(if found.len() < max {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        },
    )?;
    Ok(found)
}

fn read<T>(
    rows: &dyn Rows,
    table: Table,
    key: &[u8],
    take: impl FnOnce(&mut Decoder<'_>) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let Some(row) = rows.get(table, key)? else {
        return Ok(None);
    };
    let mut fields = Decoder::new(&row);
    let decoded = take(&mut fields).filter(|_| fields.end().is_some());
    decoded
        .map(Some)
        .ok_or_else(|| StoreError::corrupt(table, key, LAYOUT))
}
