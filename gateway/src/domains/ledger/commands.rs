//! Commands and outcomes of the ledger as bytes: fixed layouts, big-endian, one encoding
//! for each value. `DOMAINS.md` is their specification.

use khlong_store::key::{Decoder, Encoder};

use super::limits::{
    ACCOUNT_BYTES, ASSET_BYTES, BATCH_ITEMS_MAX, COMMAND_HEADER_BYTES, TRANSFER_BYTES,
};
use super::model::{Account, AccountFlags, Asset, Transfer, TransferFlags};

/// What is asked of the ledger. Each item of a batch comes to its own result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerCommand {
    /// Kind 1.
    CreateAssets(Vec<Asset>),
    /// Kind 2.
    CreateAccounts(Vec<Account>),
    /// Kind 3.
    CreateTransfers(Vec<Transfer>),
    /// Kind 4: nothing but the sweep that each command begins with.
    Sweep,
}

const VERSION: u8 = 1;
const ASSETS: u8 = 1;
const ACCOUNTS: u8 = 2;
const TRANSFERS: u8 = 3;
const SWEEP: u8 = 4;

impl LedgerCommand {
    /// As the body of a command. A batch has at most [`BATCH_ITEMS_MAX`] items; a larger
    /// one is refused by whoever decodes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::CreateAssets(items) => batch(ASSETS, items, ASSET_BYTES, put_asset),
            Self::CreateAccounts(items) => batch(ACCOUNTS, items, ACCOUNT_BYTES, put_account),
            Self::CreateTransfers(items) => batch(TRANSFERS, items, TRANSFER_BYTES, put_transfer),
            Self::Sweep => batch::<Asset>(SWEEP, &[], 0, put_asset),
        }
    }

    /// What a body asks for, in one word, without reading it whole.
    #[must_use]
    pub fn name_of(body: &[u8]) -> Option<&'static str> {
        match *body {
            [VERSION, ASSETS, ..] => Some("create_assets"),
            [VERSION, ACCOUNTS, ..] => Some("create_accounts"),
            [VERSION, TRANSFERS, ..] => Some("create_transfers"),
            [VERSION, SWEEP, ..] => Some("sweep"),
            _ => None,
        }
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(body);
        let (version, kind) = (fields.u8()?, fields.u8()?);
        let count = usize::from(u16::from_be_bytes(fields.fixed()?));
        if version != VERSION || count > BATCH_ITEMS_MAX {
            return None;
        }
        let rest = fields.tail();
        match kind {
            ASSETS => items(rest, count, ASSET_BYTES, take_asset).map(Self::CreateAssets),
            ACCOUNTS => items(rest, count, ACCOUNT_BYTES, take_account).map(Self::CreateAccounts),
            TRANSFERS => {
                items(rest, count, TRANSFER_BYTES, take_transfer).map(Self::CreateTransfers)
            }
            SWEEP => (count == 0 && rest.is_empty()).then_some(Self::Sweep),
            _ => None,
        }
    }
}

fn batch<T>(kind: u8, items: &[T], item_bytes: usize, put: fn(&mut Vec<u8>, &T)) -> Vec<u8> {
    let mut body = Vec::with_capacity(COMMAND_HEADER_BYTES + items.len() * item_bytes);
    let count = u16::try_from(items.len()).unwrap_or(u16::MAX);
    body.extend_from_slice(&[VERSION, kind]);
    body.extend_from_slice(&count.to_be_bytes());
    for item in items {
        put(&mut body, item);
    }
    body
}

/// The length is checked before anything is allocated for `count` items.
fn items<T>(
    bytes: &[u8],
    count: usize,
    item_bytes: usize,
    take: fn(&mut Decoder<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    if bytes.len() != count * item_bytes {
        return None;
    }
    bytes
        .chunks_exact(item_bytes)
        .map(|item| take(&mut Decoder::new(item)))
        .collect()
}

fn put_asset(body: &mut Vec<u8>, asset: &Asset) {
    body.extend_from_slice(&asset.ledger.to_be_bytes());
    body.push(asset.scale);
    body.extend_from_slice(&asset.symbol);
}

fn take_asset(fields: &mut Decoder<'_>) -> Option<Asset> {
    Some(Asset {
        ledger: fields.u32()?,
        scale: fields.u8()?,
        symbol: fields.fixed()?,
    })
}

/// `id 16 ‖ user_data 16, 8, 4 ‖ ledger 4 ‖ code 2 ‖ flags 2`.
pub(super) fn put_account(body: &mut Vec<u8>, account: &Account) {
    body.extend_from_slice(&account.id.to_be_bytes());
    body.extend_from_slice(&account.user_data_128.to_be_bytes());
    body.extend_from_slice(&account.user_data_64.to_be_bytes());
    body.extend_from_slice(&account.user_data_32.to_be_bytes());
    body.extend_from_slice(&account.ledger.to_be_bytes());
    body.extend_from_slice(&account.code.to_be_bytes());
    body.extend_from_slice(&account.flags.0.to_be_bytes());
}

pub(super) fn take_account(fields: &mut Decoder<'_>) -> Option<Account> {
    Some(Account {
        id: u128::from_be_bytes(fields.fixed()?),
        user_data_128: u128::from_be_bytes(fields.fixed()?),
        user_data_64: fields.u64()?,
        user_data_32: fields.u32()?,
        ledger: fields.u32()?,
        code: u16::from_be_bytes(fields.fixed()?),
        flags: AccountFlags(u16::from_be_bytes(fields.fixed()?)),
    })
}

/// `id 16 ‖ debit 16 ‖ credit 16 ‖ amount 16 ‖ pending_id 16 ‖ user_data 16, 8, 4 ‖
/// timeout 4 ‖ ledger 4 ‖ code 2 ‖ flags 2`.
pub(super) fn put_transfer(body: &mut Vec<u8>, transfer: &Transfer) {
    for number in [
        transfer.id,
        transfer.debit_account_id,
        transfer.credit_account_id,
        transfer.amount,
        transfer.pending_id,
        transfer.user_data_128,
    ] {
        body.extend_from_slice(&number.to_be_bytes());
    }
    body.extend_from_slice(&transfer.user_data_64.to_be_bytes());
    body.extend_from_slice(&transfer.user_data_32.to_be_bytes());
    body.extend_from_slice(&transfer.timeout.to_be_bytes());
    body.extend_from_slice(&transfer.ledger.to_be_bytes());
    body.extend_from_slice(&transfer.code.to_be_bytes());
    body.extend_from_slice(&transfer.flags.0.to_be_bytes());
}

pub(super) fn take_transfer(fields: &mut Decoder<'_>) -> Option<Transfer> {
    let mut number = || fields.fixed().map(u128::from_be_bytes);
    Some(Transfer {
        id: number()?,
        debit_account_id: number()?,
        credit_account_id: number()?,
        amount: number()?,
        pending_id: number()?,
        user_data_128: number()?,
        user_data_64: fields.u64()?,
        user_data_32: fields.u32()?,
        timeout: fields.u32()?,
        ledger: fields.u32()?,
        code: u16::from_be_bytes(fields.fixed()?),
        flags: TransferFlags(u16::from_be_bytes(fields.fixed()?)),
    })
}

/// The items of a batch that failed, as (index, code); all others are ok.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failures(pub Vec<(u16, u8)>);

impl Failures {
    /// `count 2 ‖ (index 2 ‖ code 1)*`, by index.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let count = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        let mut bytes = Encoder::new().fixed(&count.to_be_bytes());
        for (index, code) in &self.0 {
            bytes = bytes.fixed(&index.to_be_bytes()).u8(*code);
        }
        bytes.finish()
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(bytes);
        let count = u16::from_be_bytes(fields.fixed()?);
        let mut failures = Vec::new();
        for _ in 0..count {
            failures.push((u16::from_be_bytes(fields.fixed()?), fields.u8()?));
        }
        fields.end()?;
        Some(Self(failures))
    }
}
