//! What the gateway decides about, a folder each. A domain imports only those of lower
//! layers: `promptpay` may name `l10n`, never the reverse. What it tells those above is an event.

pub mod books;
pub mod l10n;
pub mod ledger;
pub mod promptpay;
