//! Creating assets and accounts.

use std::collections::BTreeMap;

use khlong_store::error::StoreError;
use khlong_store::rows::Rows as _;
use khlong_store::table::Table;

use super::commands::Failures;
use super::model::{Account, AccountFlags, Asset};
use super::results::{AccountResult, AssetResult};
use super::tables;
use crate::kernel::{ApplyError, Context};

/// 10³⁸ is the largest power of ten in 128 bits.
const SCALE_MAX: u8 = 38;

pub(super) fn create_assets(
    context: &mut Context<'_, '_>,
    assets: &[Asset],
) -> Result<Failures, ApplyError> {
    let mut failures = Failures::default();
    for (index, asset) in (0_u16..).zip(assets) {
        let result = create_asset(context, asset)?;
        if result != AssetResult::Ok {
            failures.0.push((index, result.code()));
        }
    }
    Ok(failures)
}

fn create_asset(context: &mut Context<'_, '_>, asset: &Asset) -> Result<AssetResult, ApplyError> {
    if asset.ledger == 0 {
        return Ok(AssetResult::LedgerMustNotBeZero);
    }
    if asset.scale > SCALE_MAX {
        return Ok(AssetResult::ScaleTooLarge);
    }
    if let Some(known) = tables::asset(context.rows(), asset.ledger)? {
        return Ok(if known.scale != asset.scale {
            AssetResult::ExistsWithDifferentScale
        } else if known.symbol != asset.symbol {
            AssetResult::ExistsWithDifferentSymbol
        } else {
            AssetResult::Exists
        });
    }
    let row = tables::encode_asset(asset);
    let key = asset.ledger.to_be_bytes().to_vec();
    context.put(Table::LedgerAsset, key, row)?;
    Ok(AssetResult::Ok)
}

pub(super) fn create_accounts(
    context: &mut Context<'_, '_>,
    accounts: &[Account],
) -> Result<Failures, ApplyError> {
    let mut failures = Failures::default();
    let mut created: BTreeMap<u128, Account> = BTreeMap::new();
    let mut first = 0_usize;
    while let Some(rest) = accounts.get(first..).filter(|rest| !rest.is_empty()) {
        let linked = rest
            .iter()
            .take_while(|account| account.flags.has(AccountFlags::LINKED))
            .count();
        let is_open = linked == rest.len();
        let chain = rest.get(..=linked).unwrap_or(rest);
        let mut made = Vec::new();
        let mut failed = None;
        for (place, account) in chain.iter().enumerate() {
            let result = if is_open && place + 1 == chain.len() {
                AccountResult::LinkedEventChainOpen
            } else {
                check_account(context, &created, account)?
            };
            if result == AccountResult::Ok {
                created.insert(account.id, *account);
                made.push(account.id);
            } else {
                failed = Some((place, result));
                break;
            }
        }
        if let Some((failing, result)) = failed {
            for id in made {
                created.remove(&id);
            }
            for place in 0..chain.len() {
                let result = if place == failing {
                    result
                } else if is_open && place + 1 == chain.len() {
                    AccountResult::LinkedEventChainOpen
                } else {
                    AccountResult::LinkedEventFailed
                };
                let index = u16::try_from(first + place).unwrap_or(u16::MAX);
                failures.0.push((index, result.code()));
            }
        }
        first += chain.len();
    }
    for (id, account) in created {
        let row = tables::encode_account(&account);
        context.put(Table::LedgerAccount, tables::id_key(id).to_vec(), row)?;
    }
    Ok(failures)
}

fn check_account(
    context: &Context<'_, '_>,
    created: &BTreeMap<u128, Account>,
    account: &Account,
) -> Result<AccountResult, StoreError> {
    use AccountResult as R;
    if account.flags.0 & !AccountFlags::KNOWN.0 != 0 {
        return Ok(R::ReservedFlag);
    }
    if account.id == 0 {
        return Ok(R::IdMustNotBeZero);
    }
    if account.id == u128::MAX {
        return Ok(R::IdMustNotBeIntMax);
    }
    let known = match created.get(&account.id) {
        Some(known) => Some(*known),
        None => tables::account(context.rows(), account.id)?.map(|state| state.account),
    };
    if let Some(known) = known {
        return Ok(compare(account, &known));
    }
    let both = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS
        .with(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS);
    if account.flags.has(both) {
        return Ok(R::FlagsAreMutuallyExclusive);
    }
    if account.ledger == 0 {
        return Ok(R::LedgerMustNotBeZero);
    }
    if account.code == 0 {
        return Ok(R::CodeMustNotBeZero);
    }
    let asset = context
        .rows()
        .get(Table::LedgerAsset, &account.ledger.to_be_bytes())?;
    Ok(if asset.is_none() {
        R::LedgerNotFound
    } else {
        R::Ok
    })
}

fn compare(asked: &Account, known: &Account) -> AccountResult {
    use AccountResult as R;
    if asked.flags != known.flags {
        R::ExistsWithDifferentFlags
    } else if asked.user_data_128 != known.user_data_128 {
        R::ExistsWithDifferentUserData128
    } else if asked.user_data_64 != known.user_data_64 {
        R::ExistsWithDifferentUserData64
    } else if asked.user_data_32 != known.user_data_32 {
        R::ExistsWithDifferentUserData32
    } else if asked.ledger != known.ledger {
        R::ExistsWithDifferentLedger
    } else if asked.code != known.code {
        R::ExistsWithDifferentCode
    } else {
        R::Exists
    }
}
