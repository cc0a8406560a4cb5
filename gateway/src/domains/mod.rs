//! What the gateway decides about, a folder each. A domain imports only those of lower
//! layers: `promptpay` may name `l10n`, never the reverse. What it tells those above is an event.

mod behind;
pub mod books;
pub mod l10n;
pub mod ledger;
pub mod promptpay;

use crate::kernel::Domain;

/// Every domain of this release that has tables, the lower layers first (`tests/layers.rs` names them): what
/// a kernel is opened with.
#[must_use]
pub fn all() -> Vec<Box<dyn Domain>> {
    vec![
        Box::new(ledger::Ledger::with_owners(books::payout::may_settle)),
        Box::new(books::Books),
    ]
}
