//! Assets, accounts and transfers. Field names and flags are those of TigerBeetle.

use khlong_crdt::time::UnixMillis;
use khlong_store::journal::JournalSeq;

/// What a ledger counts. Amounts are whole numbers of its smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its number, not 0.
    pub ledger: u32,
    /// Decimal places: an amount of 1 is 10^−scale.
    pub scale: u8,
    /// Its name in ASCII, `THB`, filled with zeros.
    pub symbol: [u8; 8],
}

/// Flags of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountFlags(pub u16);

impl AccountFlags {
    /// The next account of the batch is created with this one, or neither.
    pub const LINKED: Self = Self(1);
    /// Debits, pending ones included, never exceed posted credits.
    pub const DEBITS_MUST_NOT_EXCEED_CREDITS: Self = Self(1 << 1);
    /// The reverse.
    pub const CREDITS_MUST_NOT_EXCEED_DEBITS: Self = Self(1 << 2);
    /// Its balances after each transfer are asked for. They are kept for every account.
    pub const HISTORY: Self = Self(1 << 3);
    /// Takes no transfer but the void of the one that closed it.
    pub const CLOSED: Self = Self(1 << 5);
    /// Every flag that means something; bit 4 is reserved.
    pub const KNOWN: Self = Self(0b10_1111);

    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

/// An account: what does not change with a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Made by the client; neither 0 nor 2¹²⁸ − 1.
    pub id: u128,
    /// For the client.
    pub user_data_128: u128,
    /// For the client.
    pub user_data_64: u64,
    /// For the client.
    pub user_data_32: u32,
    /// Which asset.
    pub ledger: u32,
    /// What kind of account; not 0.
    pub code: u16,
    /// Its rules.
    pub flags: AccountFlags,
}

/// An account's balances. Each only grows by transfers, but for the pending ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balances {
    /// Held, to be debited.
    pub debits_pending: u128,
    /// Debited.
    pub debits_posted: u128,
    /// Held, to be credited.
    pub credits_pending: u128,
    /// Credited.
    pub credits_posted: u128,
}

/// An account as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountState {
    /// What does not change.
    pub account: Account,
    /// What does.
    pub balances: Balances,
    /// Whether it is closed now.
    pub closed: bool,
}

/// Flags of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransferFlags(pub u16);

impl TransferFlags {
    /// The next transfer of the batch happens with this one, or neither.
    pub const LINKED: Self = Self(1);
    /// Holds the amount until it is posted, voided or expires.
    pub const PENDING: Self = Self(1 << 1);
    /// Posts the pending transfer `pending_id`, or part of it.
    pub const POST_PENDING_TRANSFER: Self = Self(1 << 2);
    /// Gives back what the pending transfer `pending_id` holds.
    pub const VOID_PENDING_TRANSFER: Self = Self(1 << 3);
    /// At most so much that the debit account's debits do not exceed its credits.
    pub const BALANCING_DEBIT: Self = Self(1 << 4);
    /// At most so much that the credit account's credits do not exceed its debits.
    pub const BALANCING_CREDIT: Self = Self(1 << 5);
    /// Closes the debit account; pending only.
    pub const CLOSING_DEBIT: Self = Self(1 << 6);
    /// Closes the credit account; pending only.
    pub const CLOSING_CREDIT: Self = Self(1 << 7);
    /// Every flag that a client may set.
    pub const KNOWN: Self = Self(0xff);
    /// In a record of the ledger alone: the pending transfer `pending_id` expired.
    pub const EXPIRED: Self = Self(1 << 15);

    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether any of `flags` is set.
    #[must_use]
    pub const fn has_any(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

/// A transfer from one account to another of the same asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transfer {
    /// Made by the client; neither 0 nor 2¹²⁸ − 1.
    pub id: u128,
    /// Who pays. 0 in a post or void: that of the pending transfer.
    pub debit_account_id: u128,
    /// Who is paid. 0 in a post or void: that of the pending transfer.
    pub credit_account_id: u128,
    /// How much; 2¹²⁸ − 1 in a post: all of it; 0 in a void: all of it.
    pub amount: u128,
    /// The pending transfer that this one settles, else 0.
    pub pending_id: u128,
    /// For the client. 0 in a post or void: that of the pending transfer.
    pub user_data_128: u128,
    /// As `user_data_128`.
    pub user_data_64: u64,
    /// As `user_data_128`.
    pub user_data_32: u32,
    /// Seconds after which a pending transfer expires; 0 never.
    pub timeout: u32,
    /// Which asset. 0 in a post or void: that of the pending transfer.
    pub ledger: u32,
    /// What kind of transfer; not 0, but in a post or void as `ledger`.
    pub code: u16,
    /// How it goes.
    pub flags: TransferFlags,
}

impl Transfer {
    /// Whether it settles a pending transfer.
    #[must_use]
    pub fn settles(&self) -> bool {
        let settling = TransferFlags::POST_PENDING_TRANSFER
            .with(TransferFlags::VOID_PENDING_TRANSFER)
            .with(TransferFlags::EXPIRED);
        self.flags.has_any(settling)
    }

    /// When a pending transfer of that time expires; `None` if never, or beyond all times.
    #[must_use]
    pub fn expires_at(&self, made_at: UnixMillis) -> Option<UnixMillis> {
        if self.timeout == 0 {
            return None;
        }
        let wait = i64::from(self.timeout).checked_mul(1_000)?;
        made_at.0.checked_add(wait).map(UnixMillis)
    }
}

/// Where a record stands: the command that wrote it, and which of its records it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The command.
    pub seq: JournalSeq,
    /// From 0.
    pub index: u16,
}

/// What became of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferState {
    /// It happened, in one step, and nothing can follow. Posts and voids are so too.
    Final,
    /// It holds its amount.
    Pending,
    /// It was posted, in whole or in part.
    Posted,
    /// It was voided.
    Voided,
    /// Its time ran out.
    Expired,
}

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdState {
    /// A transfer.
    Transfer(TransferState, Place),
    /// One that failed for a reason that may pass; the id is burned all the same, so
    /// that a late retry does not happen when nobody counts on it any more.
    Burned,
}
