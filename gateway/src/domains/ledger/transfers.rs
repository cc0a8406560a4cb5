//! Creating transfers: chains, ids, and transfers that stand alone or hold. What settles a
//! held one is in `settle`.

use super::commands::Failures;
use super::model::{AccountFlags, AccountState, IdState, Transfer, TransferFlags, TransferState};
use super::results::TransferResult;
use super::settle;
use super::working::Working;
use crate::kernel::{ApplyError, Logic};

type R = TransferResult;

/// Creates each transfer, or each chain of linked ones as a whole.
pub(super) fn create_transfers(
    working: &mut Working<'_, '_, '_>,
    transfers: &[Transfer],
) -> Result<Failures, ApplyError> {
    let mut failures = Failures::default();
    let mut first = 0_usize;
    while let Some(rest) = transfers.get(first..).filter(|rest| !rest.is_empty()) {
        let linked = rest
            .iter()
            .take_while(|transfer| transfer.flags.has(TransferFlags::LINKED))
            .count();
        let is_open = linked == rest.len();
        let chain = rest.get(..=linked).unwrap_or(rest);
        working.keep();
        let mut failed = None;
        for (place, transfer) in chain.iter().enumerate() {
            let result = if is_open && place + 1 == chain.len() {
                R::LinkedEventChainOpen
            } else {
                create(working, transfer)?
            };
            if result != R::Ok {
                failed = Some((place, transfer, result));
                break;
            }
        }
        if let Some((failing, transfer, result)) = failed {
            working.take_back();
            if result.burns_id() {
                working.set_id(transfer.id, IdState::Burned);
            }
            for place in 0..chain.len() {
                let result = if place == failing {
                    result
                } else if is_open && place + 1 == chain.len() {
                    R::LinkedEventChainOpen
                } else {
                    R::LinkedEventFailed
                };
                let index = u16::try_from(first + place).unwrap_or(u16::MAX);
                failures.0.push((index, result.code()));
            }
        }
        first += chain.len();
    }
    working.keep();
    Ok(failures)
}

/// In this order: when several reasons hold, the first is told.
fn create(working: &mut Working<'_, '_, '_>, transfer: &Transfer) -> Result<R, ApplyError> {
    if transfer.flags.0 & !TransferFlags::KNOWN.0 != 0 {
        return Ok(R::ReservedFlag);
    }
    if transfer.id == 0 {
        return Ok(R::IdMustNotBeZero);
    }
    if transfer.id == u128::MAX {
        return Ok(R::IdMustNotBeIntMax);
    }
    match working.id(transfer.id)? {
        Some(IdState::Burned) => return Ok(R::IdAlreadyFailed),
        Some(IdState::Transfer(_, place)) => {
            let (known, _) = working.record(place)?;
            return compare(working, transfer, &known);
        }
        None => {}
    }
    if excludes_itself(transfer.flags) {
        return Ok(R::FlagsAreMutuallyExclusive);
    }
    if transfer.settles() {
        return settle::settle(working, transfer);
    }
    if let Some(result) = check_fields(transfer) {
        return Ok(result);
    }
    let Some(debit) = working.account(transfer.debit_account_id)? else {
        return Ok(R::DebitAccountNotFound);
    };
    let Some(credit) = working.account(transfer.credit_account_id)? else {
        return Ok(R::CreditAccountNotFound);
    };
    if debit.account.ledger != credit.account.ledger {
        return Ok(R::AccountsMustHaveTheSameLedger);
    }
    if transfer.ledger != debit.account.ledger {
        return Ok(R::TransferMustHaveTheSameLedgerAsAccounts);
    }
    if debit.closed {
        return Ok(R::DebitAccountAlreadyClosed);
    }
    if credit.closed {
        return Ok(R::CreditAccountAlreadyClosed);
    }
    let amount = balanced(transfer, &debit, &credit);
    if working.context.logic() == Logic::V1 && amount == 0 {
        if transfer.flags.has(TransferFlags::BALANCING_DEBIT) {
            return Ok(R::ExceedsCredits);
        }
        if transfer.flags.has(TransferFlags::BALANCING_CREDIT) {
            return Ok(R::ExceedsDebits);
        }
    }
    book(working, transfer, amount, debit, credit)
}

fn excludes_itself(flags: TransferFlags) -> bool {
    use TransferFlags as F;
    let with_post = F::PENDING
        .with(F::VOID_PENDING_TRANSFER)
        .with(F::BALANCING_DEBIT)
        .with(F::BALANCING_CREDIT)
        .with(F::CLOSING_DEBIT)
        .with(F::CLOSING_CREDIT);
    let with_void = F(with_post.0 & !F::VOID_PENDING_TRANSFER.0);
    (flags.has(F::POST_PENDING_TRANSFER) && flags.has_any(with_post))
        || (flags.has(F::VOID_PENDING_TRANSFER) && flags.has_any(with_void))
}

fn check_fields(transfer: &Transfer) -> Option<R> {
    let closing = TransferFlags::CLOSING_DEBIT.with(TransferFlags::CLOSING_CREDIT);
    let is_pending = transfer.flags.has(TransferFlags::PENDING);
    let checks = [
        (
            transfer.debit_account_id == 0,
            R::DebitAccountIdMustNotBeZero,
        ),
        (
            transfer.debit_account_id == u128::MAX,
            R::DebitAccountIdMustNotBeIntMax,
        ),
        (
            transfer.credit_account_id == 0,
            R::CreditAccountIdMustNotBeZero,
        ),
        (
            transfer.credit_account_id == u128::MAX,
            R::CreditAccountIdMustNotBeIntMax,
        ),
        (
            transfer.debit_account_id == transfer.credit_account_id,
            R::AccountsMustBeDifferent,
        ),
        (transfer.pending_id != 0, R::PendingIdMustBeZero),
        (
            !is_pending && transfer.timeout != 0,
            R::TimeoutReservedForPendingTransfer,
        ),
        (
            !is_pending && transfer.flags.has_any(closing),
            R::ClosingTransferMustBePending,
        ),
        (transfer.ledger == 0, R::LedgerMustNotBeZero),
        (transfer.code == 0, R::CodeMustNotBeZero),
    ];
    checks
        .into_iter()
        .find_map(|(fails, result)| fails.then_some(result))
}

/// How much a balancing transfer moves: never more than asked for, and never so much that
/// an account goes over.
fn balanced(transfer: &Transfer, debit: &AccountState, credit: &AccountState) -> u128 {
    let mut amount = transfer.amount;
    if transfer.flags.has(TransferFlags::BALANCING_DEBIT) {
        let held = debit.balances;
        let spent = held.debits_posted.saturating_add(held.debits_pending);
        amount = amount.min(held.credits_posted.saturating_sub(spent));
    }
    if transfer.flags.has(TransferFlags::BALANCING_CREDIT) {
        let held = credit.balances;
        let received = held.credits_posted.saturating_add(held.credits_pending);
        amount = amount.min(held.debits_posted.saturating_sub(received));
    }
    amount
}

/// The sums, each checked; then the rules of the accounts; then the record.
fn book(
    working: &mut Working<'_, '_, '_>,
    transfer: &Transfer,
    amount: u128,
    mut debit: AccountState,
    mut credit: AccountState,
) -> Result<R, ApplyError> {
    let is_pending = transfer.flags.has(TransferFlags::PENDING);
    let (from, to) = (&mut debit.balances, &mut credit.balances);
    let moved = if is_pending {
        (&mut from.debits_pending, &mut to.credits_pending)
    } else {
        (&mut from.debits_posted, &mut to.credits_posted)
    };
    let Some(debited) = moved.0.checked_add(amount) else {
        return Ok(if is_pending {
            R::OverflowsDebitsPending
        } else {
            R::OverflowsDebitsPosted
        });
    };
    let Some(credited) = moved.1.checked_add(amount) else {
        return Ok(if is_pending {
            R::OverflowsCreditsPending
        } else {
            R::OverflowsCreditsPosted
        });
    };
    (*moved.0, *moved.1) = (debited, credited);
    let Some(debits) = from.debits_pending.checked_add(from.debits_posted) else {
        return Ok(R::OverflowsDebits);
    };
    let Some(credits) = to.credits_pending.checked_add(to.credits_posted) else {
        return Ok(R::OverflowsCredits);
    };
    let now = working.context.now();
    let expires_at = transfer.expires_at(now);
    if transfer.timeout != 0 && expires_at.is_none() {
        return Ok(R::OverflowsTimeout);
    }
    let rules = (debit.account.flags, credit.account.flags);
    // Mutant "overdraft": an account pays what it does not have.
    if rules.0.has(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS)
        && debits > debit.balances.credits_posted
        && cfg!(not(khlong_mutant = "overdraft"))
    {
        return Ok(R::ExceedsCredits);
    }
    if rules.1.has(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS)
        && credits > credit.balances.debits_posted
    {
        return Ok(R::ExceedsDebits);
    }
    debit.closed |= transfer.flags.has(TransferFlags::CLOSING_DEBIT);
    credit.closed |= transfer.flags.has(TransferFlags::CLOSING_CREDIT);
    let record = Transfer {
        amount,
        ..*transfer
    };
    let place = working.post(record, debit, credit)?;
    let state = if is_pending {
        TransferState::Pending
    } else {
        TransferState::Final
    };
    working.set_id(transfer.id, IdState::Transfer(state, place));
    if let Some(at) = expires_at {
        working.set_expiry(at, transfer.id, true);
    }
    Ok(R::Ok)
}

/// A transfer whose id is there: the same one, or in what it differs.
fn compare(
    working: &Working<'_, '_, '_>,
    transfer: &Transfer,
    known: &Transfer,
) -> Result<R, ApplyError> {
    let mut asked = *transfer;
    if asked.flags == known.flags
        && asked.pending_id == known.pending_id
        && asked.settles()
        && let Some(IdState::Transfer(_, place)) = working.id(asked.pending_id)?
    {
        let (pending, _) = working.record(place)?;
        asked = settle::completed(&asked, &pending);
    }
    let balancing = TransferFlags::BALANCING_DEBIT.with(TransferFlags::BALANCING_CREDIT);
    let same_amount = if asked.flags.has_any(balancing) {
        known.amount <= asked.amount
    } else {
        known.amount == asked.amount
    };
    let checks = [
        (asked.flags == known.flags, R::ExistsWithDifferentFlags),
        (
            asked.pending_id == known.pending_id,
            R::ExistsWithDifferentPendingId,
        ),
        (
            asked.timeout == known.timeout,
            R::ExistsWithDifferentTimeout,
        ),
        (
            asked.debit_account_id == known.debit_account_id,
            R::ExistsWithDifferentDebitAccountId,
        ),
        (
            asked.credit_account_id == known.credit_account_id,
            R::ExistsWithDifferentCreditAccountId,
        ),
        (same_amount, R::ExistsWithDifferentAmount),
        (
            asked.user_data_128 == known.user_data_128,
            R::ExistsWithDifferentUserData128,
        ),
        (
            asked.user_data_64 == known.user_data_64,
            R::ExistsWithDifferentUserData64,
        ),
        (
            asked.user_data_32 == known.user_data_32,
            R::ExistsWithDifferentUserData32,
        ),
        (asked.ledger == known.ledger, R::ExistsWithDifferentLedger),
        (asked.code == known.code, R::ExistsWithDifferentCode),
    ];
    Ok(checks
        .into_iter()
        .find_map(|(same, result)| (!same).then_some(result))
        .unwrap_or(R::Exists))
}
