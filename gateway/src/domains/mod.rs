//! What the gateway decides about, a folder each. A domain imports only those of lower
//! layers; what it tells those above is an event.

pub mod ledger;
