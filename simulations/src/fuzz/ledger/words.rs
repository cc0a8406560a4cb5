//! Small things that the auditor reads off entries and accounts.

use khlong_gateway::domains::ledger::{
    AccountFlags, AccountState, Balances, Transfer, TransferFlags, TransferResult,
};
use khlong_gateway::kernel::Command;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::Decoder;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

/// Caller, scope and key.
pub(super) type Name = (Vec<u8>, Vec<u8>, Vec<u8>);

/// What a result shows that must happen sometimes.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other results are compared, and not counted"
)]
pub(super) fn tell(transfer: &Transfer, result: Option<TransferResult>) -> Option<&'static str> {
    use TransferFlags as F;
    use TransferResult as R;
    let flags = transfer.flags;
    let closing = F::CLOSING_DEBIT.with(F::CLOSING_CREDIT);
    let balancing = F::BALANCING_DEBIT.with(F::BALANCING_CREDIT);
    match result? {
        R::Ok if flags.has(F::POST_PENDING_TRANSFER) && transfer.amount == u128::MAX => {
            Some("holds posted")
        }
        R::Ok if flags.has(F::POST_PENDING_TRANSFER) => Some("holds posted in part"),
        R::Ok if flags.has(F::VOID_PENDING_TRANSFER) => Some("holds voided"),
        R::Ok if flags.has_any(closing) => Some("accounts closed"),
        R::Ok if flags.has_any(balancing) => Some("transfers balanced"),
        R::Ok if flags.has(F::LINKED) => Some("transfers of a chain"),
        R::Ok if flags.has(F::PENDING) => Some("holds made"),
        R::Ok => Some("transfers made"),
        R::LinkedEventFailed => Some("chains undone"),
        R::ExceedsCredits | R::ExceedsDebits => Some("overdrafts refused"),
        R::DebitAccountAlreadyClosed | R::CreditAccountAlreadyClosed => {
            Some("closed accounts left alone")
        }
        R::PendingTransferExpired => Some("settled too late"),
        R::IdAlreadyFailed => Some("burned ids refused"),
        R::Exists => Some("transfers there already"),
        _ => None,
    }
}

/// The rule of an account that its balances break.
pub(super) fn broken_rule(state: &AccountState) -> Option<&'static str> {
    let held = state.balances;
    let debits = held.debits_posted.saturating_add(held.debits_pending);
    let credits = held.credits_posted.saturating_add(held.credits_pending);
    let flags = state.account.flags;
    if flags.has(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS) && debits > held.credits_posted {
        return Some("debits exceed credits");
    }
    if flags.has(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS) && credits > held.debits_posted {
        return Some("credits exceed debits");
    }
    None
}

pub(super) fn sums(balances: &Balances) -> [u128; 4] {
    [
        balances.debits_pending,
        balances.debits_posted,
        balances.credits_pending,
        balances.credits_posted,
    ]
}

pub(super) fn name_of(command: &Command) -> Name {
    (
        command.caller.clone(),
        command.scope.clone(),
        command.key.clone(),
    )
}

/// `version 1 ‖ logic 2 ‖ admitted_at 8 ‖ (length 1 ‖ name)·3`, as DOMAINS.md has it.
pub(super) fn read_header(header: &[u8]) -> Option<(i64, Name)> {
    let mut fields = Decoder::new(header);
    let _ = (fields.u8()?, fields.fixed::<2>()?);
    let admitted_at = fields.i64()?;
    let mut name = || {
        let bytes = fields.u8()?;
        fields.bytes(bytes.into()).map(<[u8]>::to_vec)
    };
    let names = (name()?, name()?, name()?);
    fields.end()?;
    Some((admitted_at, names))
}

/// Where tables say that they stand, if that is not this entry at this time: `seq 8 ‖ time 8 ‖ …`, as DOMAINS.md has
/// it.
pub(super) fn other_time(
    rows: &dyn Rows,
    seq: JournalSeq,
    time: i64,
) -> Result<Option<String>, StoreError> {
    let row = rows.get(Table::Meta, b"applied")?;
    if row.is_none() && seq.0 == 0 {
        return Ok(None);
    }
    let found = row.and_then(|row| {
        let mut fields = Decoder::new(&row);
        fields.u64().zip(fields.i64())
    });
    Ok((found != Some((seq.0, time))).then(|| {
        format!(
            "tables stand at {found:?} (entry, time), and should at {:?}",
            (seq.0, time)
        )
    }))
}
