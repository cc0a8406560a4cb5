//! One folder a domain. Imports go downward only: `promptpay` may name `l10n`, never the reverse.

pub mod l10n;
pub mod promptpay;
