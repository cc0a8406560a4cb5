//! From which relay an envelope came first: a row of `node_state` for each one that a relay
//! sent and this folder did not have. It says who served a message, and who needs not be told of it.

use khlong_crdt::id::{EnvelopeId, RelayKey};
use khlong_store::batch::Batch;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::tables::named::{self, Named};

/// Of the row's layout: version, whether the relay has lost it since, relay 32.
const VERSION: u8 = 1;

/// What is known of an envelope that came from a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) by: RelayKey,
    /// Its log was another afterwards.
    pub(super) is_lost: bool,
}

fn name(id: &EnvelopeId) -> Vec<u8> {
    [b"served/", &id.as_bytes()[..]].concat()
}

/// Notes it.
pub(super) fn put(
    batch: &mut Batch<'_>,
    id: &EnvelopeId,
    served: Served,
) -> Result<(), StoreError> {
    let value = [
        &[VERSION, u8::from(served.is_lost)],
        &served.by.as_bytes()[..],
    ]
    .concat();
    named::put(batch, Named::NodeState, &name(id), value)
}

/// What was noted; a row of another version says nothing.
pub(super) fn get(rows: &dyn Rows, id: &EnvelopeId) -> Result<Option<Served>, StoreError> {
    let row = named::get(rows, Named::NodeState, &name(id))?;
    Ok(row.and_then(|row| match row.split_first_chunk::<2>() {
        Some((&[VERSION, lost], relay)) => Some(Served {
            by: RelayKey::from_bytes(relay.try_into().ok()?),
            is_lost: lost != 0,
        }),
        Some(_) | None => None,
    }))
}

/// `relay` does not have it any more, if it had it first.
pub(super) fn forget(
    batch: &mut Batch<'_>,
    id: &EnvelopeId,
    relay: &RelayKey,
) -> Result<(), StoreError> {
    match get(batch, id)? {
        Some(served) if served.by == *relay && !served.is_lost => {
            let is_lost = true;
            put(batch, id, Served { is_lost, ..served })
        }
        Some(_) | None => Ok(()),
    }
}
