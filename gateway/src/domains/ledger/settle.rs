//! What ends a pending transfer: a post, a void, or its time.

use super::model::{AccountState, IdState, Place, Transfer, TransferFlags, TransferState};
use super::results::TransferResult;
use super::working::Working;
use crate::kernel::{ApplyError, Rejection};

type R = TransferResult;

/// A post or void with the fields that it leaves to its pending transfer.
pub(super) fn completed(asked: &Transfer, pending: &Transfer) -> Transfer {
    let or = |number: u128, other: u128| if number == 0 { other } else { number };
    let all_of_it = if asked.flags.has(TransferFlags::VOID_PENDING_TRANSFER) {
        0
    } else {
        u128::MAX
    };
    Transfer {
        debit_account_id: or(asked.debit_account_id, pending.debit_account_id),
        credit_account_id: or(asked.credit_account_id, pending.credit_account_id),
        amount: if asked.amount == all_of_it {
            pending.amount
        } else {
            asked.amount
        },
        user_data_128: or(asked.user_data_128, pending.user_data_128),
        user_data_64: if asked.user_data_64 == 0 {
            pending.user_data_64
        } else {
            asked.user_data_64
        },
        user_data_32: if asked.user_data_32 == 0 {
            pending.user_data_32
        } else {
            asked.user_data_32
        },
        ledger: if asked.ledger == 0 {
            pending.ledger
        } else {
            asked.ledger
        },
        code: if asked.code == 0 {
            pending.code
        } else {
            asked.code
        },
        ..*asked
    }
}

/// Posts or voids.
pub(super) fn settle(working: &mut Working<'_, '_, '_>, asked: &Transfer) -> Result<R, ApplyError> {
    if asked.pending_id == 0 {
        return Ok(R::PendingIdMustNotBeZero);
    }
    if asked.pending_id == u128::MAX {
        return Ok(R::PendingIdMustNotBeIntMax);
    }
    if asked.pending_id == asked.id {
        return Ok(R::PendingIdMustBeDifferent);
    }
    if asked.timeout != 0 {
        return Ok(R::TimeoutReservedForPendingTransfer);
    }
    let Some(IdState::Transfer(state, place)) = working.id(asked.pending_id)? else {
        return Ok(R::PendingTransferNotFound);
    };
    if state == TransferState::Final {
        return Ok(R::PendingTransferNotPending);
    }
    let (pending, made_at) = working.record(place)?;
    let transfer = completed(asked, &pending);
    let is_void = asked.flags.has(TransferFlags::VOID_PENDING_TRANSFER);
    if let Some(result) = mismatch(&transfer, &pending, is_void) {
        return Ok(result);
    }
    match state {
        TransferState::Posted => return Ok(R::PendingTransferAlreadyPosted),
        TransferState::Voided => return Ok(R::PendingTransferAlreadyVoided),
        TransferState::Expired => return Ok(R::PendingTransferExpired),
        TransferState::Pending | TransferState::Final => {}
    }
    let expires_at = pending.expires_at(made_at);
    if expires_at.is_some_and(|at| at <= working.context.now()) {
        return Ok(R::PendingTransferExpired);
    }
    // Before what burns the id: no stranger spends an id that the owner would take.
    if !working.may_settle(asked)? {
        return Ok(R::PendingTransferOwned);
    }
    let (mut debit, mut credit) = accounts(working, &pending)?;
    if !is_void && debit.closed {
        return Ok(R::DebitAccountAlreadyClosed);
    }
    if !is_void && credit.closed {
        return Ok(R::CreditAccountAlreadyClosed);
    }
    release(&pending, &mut debit, &mut credit, is_void)?;
    if !is_void {
        let (from, to) = (&mut debit.balances, &mut credit.balances);
        // The sum with what was pending was checked when it was held, and was no less.
        from.debits_posted = add(from.debits_posted, transfer.amount)?;
        to.credits_posted = add(to.credits_posted, transfer.amount)?;
    }
    let own = working.post(transfer, debit, credit)?;
    working.set_id(transfer.id, IdState::Transfer(TransferState::Final, own));
    let settled = if is_void {
        TransferState::Voided
    } else {
        TransferState::Posted
    };
    working.set_id(pending.id, IdState::Transfer(settled, place));
    if let Some(at) = expires_at {
        working.set_expiry(at, pending.id, false);
    }
    Ok(R::Ok)
}

fn mismatch(transfer: &Transfer, pending: &Transfer, is_void: bool) -> Option<R> {
    let checks = [
        (
            transfer.debit_account_id != pending.debit_account_id,
            R::PendingTransferHasDifferentDebitAccountId,
        ),
        (
            transfer.credit_account_id != pending.credit_account_id,
            R::PendingTransferHasDifferentCreditAccountId,
        ),
        (
            transfer.ledger != pending.ledger,
            R::PendingTransferHasDifferentLedger,
        ),
        (
            transfer.code != pending.code,
            R::PendingTransferHasDifferentCode,
        ),
        (
            transfer.amount > pending.amount,
            R::ExceedsPendingTransferAmount,
        ),
        (
            is_void && transfer.amount < pending.amount,
            R::PendingTransferHasDifferentAmount,
        ),
    ];
    checks
        .into_iter()
        .find_map(|(fails, result)| fails.then_some(result))
}

/// Lets expire what is due, the earliest first. A command sees no hold whose time is over,
/// whether or not the sweep has come to it.
pub(super) fn sweep(working: &mut Working<'_, '_, '_>) -> Result<(), ApplyError> {
    for (at, id) in working.due()? {
        let Some(IdState::Transfer(TransferState::Pending, place)) = working.id(id)? else {
            return Err(ApplyError::Rejected(Rejection::Invariant));
        };
        expire(working, place)?;
        working.set_expiry(at, id, false);
        working.set_id(id, IdState::Transfer(TransferState::Expired, place));
    }
    working.keep();
    Ok(())
}

fn expire(working: &mut Working<'_, '_, '_>, place: Place) -> Result<(), ApplyError> {
    let (pending, _) = working.record(place)?;
    let (mut debit, mut credit) = accounts(working, &pending)?;
    // Mutant: what expired goes on holding.
    if cfg!(not(khlong_mutant = "expiry")) {
        release(&pending, &mut debit, &mut credit, true)?;
    }
    let record = Transfer {
        id: 0,
        pending_id: pending.id,
        timeout: 0,
        flags: TransferFlags::EXPIRED,
        ..pending
    };
    working.post(record, debit, credit)?;
    Ok(())
}

/// Ends the hold; if it closed an account and did not come about, opens it again.
fn release(
    pending: &Transfer,
    debit: &mut AccountState,
    credit: &mut AccountState,
    reopens: bool,
) -> Result<(), ApplyError> {
    let (from, to) = (&mut debit.balances, &mut credit.balances);
    from.debits_pending = subtract(from.debits_pending, pending.amount)?;
    to.credits_pending = subtract(to.credits_pending, pending.amount)?;
    if reopens {
        debit.closed &= !pending.flags.has(TransferFlags::CLOSING_DEBIT);
        credit.closed &= !pending.flags.has(TransferFlags::CLOSING_CREDIT);
    }
    Ok(())
}

fn accounts(
    working: &mut Working<'_, '_, '_>,
    pending: &Transfer,
) -> Result<(AccountState, AccountState), ApplyError> {
    let debit = working.account(pending.debit_account_id)?;
    let credit = working.account(pending.credit_account_id)?;
    debit
        .zip(credit)
        .ok_or(ApplyError::Rejected(Rejection::Invariant))
}

fn add(sum: u128, amount: u128) -> Result<u128, ApplyError> {
    sum.checked_add(amount)
        .ok_or(ApplyError::Rejected(Rejection::Invariant))
}

fn subtract(sum: u128, amount: u128) -> Result<u128, ApplyError> {
    sum.checked_sub(amount)
        .ok_or(ApplyError::Rejected(Rejection::Invariant))
}
