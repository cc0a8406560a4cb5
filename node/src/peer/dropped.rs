//! Envelopes that their user took out of the outbox: which ones, so that nothing else is
//! called dropped and no relay is offered them again. One row of `node_state` each, for good,
//! as the id of the envelope stays too.

use khlong_crdt::id::EnvelopeId;
use khlong_store::batch::Batch;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::tables::named::{self, Named};

/// Of the row's layout.
const VERSION: u8 = 1;

fn name(id: &EnvelopeId) -> String {
    format!("dropped/{id}")
}

/// Notes it.
pub(super) fn insert(batch: &mut Batch<'_>, id: &EnvelopeId) -> Result<(), StoreError> {
    named::put(batch, Named::NodeState, name(id).as_bytes(), vec![VERSION])
}

/// Whether it was noted.
pub(super) fn contains(rows: &dyn Rows, id: &EnvelopeId) -> Result<bool, StoreError> {
    Ok(named::get(rows, Named::NodeState, name(id).as_bytes())?.is_some())
}
