//! What the steps of a plan mean in the words of the ledger, and which of them the model knows.

use khlong_gateway::domains::ledger::{
    Account, AccountFlags, Asset, LedgerCommand, Transfer, TransferFlags,
};

use super::plan::{Doing, Moved, Opened, TIMEOUT_S_MAX, TRANSFERS_MAX};

/// Number and symbol of the assets.
pub const ASSETS: [(u32, [u8; 8]); 2] = [(764, *b"THB\0\0\0\0\0"), (840, *b"USD\0\0\0\0\0")];

impl Doing {
    /// The transfers that it asks for, if it does.
    #[must_use]
    pub fn transfers(&self) -> &[Moved] {
        if let Self::Transfers { transfers, .. } = self {
            transfers
        } else {
            &[]
        }
    }

    /// As a command of the ledger, if it is one.
    #[must_use]
    pub fn command(&self) -> Option<LedgerCommand> {
        match self {
            Self::Assets { .. } => Some(LedgerCommand::CreateAssets(
                ASSETS.into_iter().map(asset).collect(),
            )),
            Self::Accounts { accounts, .. } => Some(LedgerCommand::CreateAccounts(
                accounts.iter().map(Opened::account).collect(),
            )),
            Self::Transfers { transfers, .. } => Some(LedgerCommand::CreateTransfers(
                transfers.iter().map(Moved::transfer).collect(),
            )),
            Self::Garbage { .. }
            | Self::Again { .. }
            | Self::Reuse { .. }
            | Self::Read { .. }
            | Self::Crash { .. }
            | Self::Disk { .. }
            | Self::Full { .. }
            | Self::Slow { .. }
            | Self::Clock { .. }
            | Self::Cut { .. }
            | Self::Remote { .. } => None,
        }
    }
}

fn asset((ledger, symbol): (u32, [u8; 8])) -> Asset {
    Asset {
        ledger,
        scale: 2,
        symbol,
    }
}

impl Opened {
    fn account(&self) -> Account {
        Account {
            id: self.id.into(),
            ledger: self.ledger,
            code: 1,
            flags: AccountFlags(self.flags),
            ..Account::default()
        }
    }
}

impl Moved {
    fn transfer(&self) -> Transfer {
        Transfer {
            id: self.id.into(),
            debit_account_id: self.debit.into(),
            credit_account_id: self.credit.into(),
            amount: self.amount.map_or(u128::MAX, u128::from),
            pending_id: self.pending_id.into(),
            timeout: self.timeout_s,
            ledger: self.ledger,
            code: u16::from(self.pending_id == 0),
            flags: TransferFlags(self.flags),
            ..Transfer::default()
        }
    }

    /// Whether the model knows what it comes to: it settles, or it holds or moves.
    fn is_known(&self) -> bool {
        use TransferFlags as F;
        let flags = TransferFlags(self.flags);
        let settling = [F::POST_PENDING_TRANSFER, F::VOID_PENDING_TRANSFER];
        let alone = settling.contains(&TransferFlags(self.flags & !F::LINKED.0));
        let settles = flags.has_any(F::POST_PENDING_TRANSFER.with(F::VOID_PENDING_TRANSFER));
        let balancing = flags.has_any(F::BALANCING_DEBIT.with(F::BALANCING_CREDIT));
        let closing = flags.has_any(F::CLOSING_DEBIT.with(F::CLOSING_CREDIT));
        let is_pending = flags.has(F::PENDING);
        let fields = if settles {
            alone
                && self.pending_id != 0
                && (self.debit, self.credit, self.ledger, self.timeout_s) == (0, 0, 0, 0)
        } else {
            self.pending_id == 0
                && self.debit != 0
                && self.credit != 0
                && self.ledger != 0
                && (is_pending || (self.timeout_s == 0 && !closing))
                && (self.amount.is_some() || balancing)
        };
        fields && self.id != 0 && self.timeout_s <= TIMEOUT_S_MAX && self.flags & !F::KNOWN.0 == 0
    }
}

/// Whether the model knows what comes of it.
///
/// # Errors
/// That it does not.
pub(super) fn check_step(what: &Doing) -> Result<(), String> {
    let is_known = match what {
        Doing::Accounts { accounts, .. } => accounts.iter().all(|account| {
            account.id != 0 && account.ledger != 0 && account.flags & !FLAGS_OF_ACCOUNTS.0 == 0
        }),
        Doing::Transfers { transfers, .. } => {
            transfers.len() <= TRANSFERS_MAX && transfers.iter().all(Moved::is_known)
        }
        Doing::Assets { .. }
        | Doing::Garbage { .. }
        | Doing::Again { .. }
        | Doing::Reuse { .. }
        | Doing::Read { .. }
        | Doing::Crash { .. }
        | Doing::Disk { .. }
        | Doing::Full { .. }
        | Doing::Slow { .. }
        | Doing::Clock { .. }
        | Doing::Cut { .. }
        | Doing::Remote { .. } => true,
    };
    if is_known {
        Ok(())
    } else {
        Err(format!("the model does not know what comes of {what:?}"))
    }
}

/// Those that the model knows.
const FLAGS_OF_ACCOUNTS: AccountFlags = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS
    .with(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS)
    .with(AccountFlags::HISTORY)
    .with(AccountFlags::CLOSED);
