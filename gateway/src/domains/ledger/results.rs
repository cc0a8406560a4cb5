//! What each item of a batch comes to. The names are those of TigerBeetle, but for
//! `pending_transfer_owned`; the numbers are our own, stand in the journal, and are never used again.

macro_rules! results {
    ($(#[$about:meta])* $name:ident { $($code:literal $variant:ident $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant = $code,)*
        }

        impl $name {
            /// As it stands in outcomes.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The result with that code.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

results! {
    /// What an asset of a batch comes to.
    AssetResult {
        0 Ok "ok",
        1 LedgerMustNotBeZero "ledger_must_not_be_zero",
        2 ScaleTooLarge "scale_too_large",
        3 ExistsWithDifferentScale "exists_with_different_scale",
        4 ExistsWithDifferentSymbol "exists_with_different_symbol",
        5 Exists "exists",
    }
}

results! {
    /// What an account of a batch comes to.
    AccountResult {
        0 Ok "ok",
        1 LinkedEventFailed "linked_event_failed",
        2 LinkedEventChainOpen "linked_event_chain_open",
        3 ReservedFlag "reserved_flag",
        4 IdMustNotBeZero "id_must_not_be_zero",
        5 IdMustNotBeIntMax "id_must_not_be_int_max",
        6 ExistsWithDifferentFlags "exists_with_different_flags",
        7 ExistsWithDifferentUserData128 "exists_with_different_user_data_128",
        8 ExistsWithDifferentUserData64 "exists_with_different_user_data_64",
        9 ExistsWithDifferentUserData32 "exists_with_different_user_data_32",
        10 ExistsWithDifferentLedger "exists_with_different_ledger",
        11 ExistsWithDifferentCode "exists_with_different_code",
        12 Exists "exists",
        13 FlagsAreMutuallyExclusive "flags_are_mutually_exclusive",
        14 LedgerMustNotBeZero "ledger_must_not_be_zero",
        15 CodeMustNotBeZero "code_must_not_be_zero",
        16 LedgerNotFound "ledger_not_found",
    }
}

results! {
    /// What a transfer of a batch comes to.
    TransferResult {
        0 Ok "ok",
        1 LinkedEventFailed "linked_event_failed",
        2 LinkedEventChainOpen "linked_event_chain_open",
        3 ReservedFlag "reserved_flag",
        4 IdMustNotBeZero "id_must_not_be_zero",
        5 IdMustNotBeIntMax "id_must_not_be_int_max",
        6 ExistsWithDifferentFlags "exists_with_different_flags",
        7 ExistsWithDifferentPendingId "exists_with_different_pending_id",
        8 ExistsWithDifferentTimeout "exists_with_different_timeout",
        9 ExistsWithDifferentDebitAccountId "exists_with_different_debit_account_id",
        10 ExistsWithDifferentCreditAccountId "exists_with_different_credit_account_id",
        11 ExistsWithDifferentAmount "exists_with_different_amount",
        12 ExistsWithDifferentUserData128 "exists_with_different_user_data_128",
        13 ExistsWithDifferentUserData64 "exists_with_different_user_data_64",
        14 ExistsWithDifferentUserData32 "exists_with_different_user_data_32",
        15 ExistsWithDifferentLedger "exists_with_different_ledger",
        16 ExistsWithDifferentCode "exists_with_different_code",
        17 Exists "exists",
        18 IdAlreadyFailed "id_already_failed",
        19 FlagsAreMutuallyExclusive "flags_are_mutually_exclusive",
        20 DebitAccountIdMustNotBeZero "debit_account_id_must_not_be_zero",
        21 DebitAccountIdMustNotBeIntMax "debit_account_id_must_not_be_int_max",
        22 CreditAccountIdMustNotBeZero "credit_account_id_must_not_be_zero",
        23 CreditAccountIdMustNotBeIntMax "credit_account_id_must_not_be_int_max",
        24 AccountsMustBeDifferent "accounts_must_be_different",
        25 PendingIdMustBeZero "pending_id_must_be_zero",
        26 PendingIdMustNotBeZero "pending_id_must_not_be_zero",
        27 PendingIdMustNotBeIntMax "pending_id_must_not_be_int_max",
        28 PendingIdMustBeDifferent "pending_id_must_be_different",
        29 TimeoutReservedForPendingTransfer "timeout_reserved_for_pending_transfer",
        30 ClosingTransferMustBePending "closing_transfer_must_be_pending",
        31 LedgerMustNotBeZero "ledger_must_not_be_zero",
        32 CodeMustNotBeZero "code_must_not_be_zero",
        33 DebitAccountNotFound "debit_account_not_found",
        34 CreditAccountNotFound "credit_account_not_found",
        35 AccountsMustHaveTheSameLedger "accounts_must_have_the_same_ledger",
        36 TransferMustHaveTheSameLedgerAsAccounts "transfer_must_have_the_same_ledger_as_accounts",
        37 PendingTransferNotFound "pending_transfer_not_found",
        38 PendingTransferNotPending "pending_transfer_not_pending",
        39 PendingTransferHasDifferentDebitAccountId "pending_transfer_has_different_debit_account_id",
        40 PendingTransferHasDifferentCreditAccountId "pending_transfer_has_different_credit_account_id",
        41 PendingTransferHasDifferentLedger "pending_transfer_has_different_ledger",
        42 PendingTransferHasDifferentCode "pending_transfer_has_different_code",
        43 ExceedsPendingTransferAmount "exceeds_pending_transfer_amount",
        44 PendingTransferHasDifferentAmount "pending_transfer_has_different_amount",
        45 PendingTransferAlreadyPosted "pending_transfer_already_posted",
        46 PendingTransferAlreadyVoided "pending_transfer_already_voided",
        47 PendingTransferExpired "pending_transfer_expired",
        48 DebitAccountAlreadyClosed "debit_account_already_closed",
        49 CreditAccountAlreadyClosed "credit_account_already_closed",
        50 OverflowsDebitsPending "overflows_debits_pending",
        51 OverflowsCreditsPending "overflows_credits_pending",
        52 OverflowsDebitsPosted "overflows_debits_posted",
        53 OverflowsCreditsPosted "overflows_credits_posted",
        54 OverflowsDebits "overflows_debits",
        55 OverflowsCredits "overflows_credits",
        56 OverflowsTimeout "overflows_timeout",
        57 ExceedsCredits "exceeds_credits",
        58 ExceedsDebits "exceeds_debits",
        59 PendingTransferOwned "pending_transfer_owned",
    }
}

impl TransferResult {
    /// Whether the same transfer might succeed at another time: its id is burned, so that
    /// a retry cannot do what nobody expects any more.
    #[must_use]
    pub const fn burns_id(self) -> bool {
        matches!(
            self,
            Self::DebitAccountNotFound
                | Self::CreditAccountNotFound
                | Self::PendingTransferNotFound
                | Self::DebitAccountAlreadyClosed
                | Self::CreditAccountAlreadyClosed
                | Self::ExceedsCredits
                | Self::ExceedsDebits
        )
    }
}
