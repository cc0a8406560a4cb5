//! What must hold, looked up on the wires, on the disks and on people's screens; never in a
//! core's own opinion of itself.
//!
//! | file | rule | when |
//! |---|---|---|
//! | [`promises`] | acknowledged writes survive | at each ack, each restart, the end |
//! | [`growth`] | id rows only grow: no arrival goes, moves or comes twice | at each ack, each restart, the end |
//! | [`cursors`] | no cursor passes what its batch does not hold | at each start of a device, the end |
//! | [`chains`] | chains are linked; forks are kept as evidence, and told | at the end |
//! | [`forgery`] | nothing by strangers, nothing unsigned, on any disk | at the end |
//! | [`secrecy`] | no text and no key on a relay's disk, on a wire, in a log | at each frame and log line, the end |
//! | [`limits`] | frames, rows, outboxes, receipts, quotas, connections within limits | at each frame, the end |
//! | [`order`] | clocks change no order and no verdict | at each refusal, the end |
//! | [`equality`] | replicas are equal, each message once, nothing written is missing | at the end |
//! | [`delivery`] | stored is told apart from accepted | before healing, the end |
//! | [`conservation`] | created = delivered + live + expired + dropped(reason) | at the end |
//! | [`pace`] | the backlog drains in bounded time, without a retry storm | after healing |
//!
//! A checker is a function of rows, frames and answers, so that a test can hand it a violation
//! (`simulations/tests/checkers.rs` does, to each). [`Ledger`] feeds them from a world.
//!
//! Not looked for yet: revoked members (no part of the product revokes), and bodies that
//! expire (no plan has relays with retention).

pub mod chains;
pub mod conservation;
pub mod cursors;
pub mod delivery;
pub mod equality;
mod findings;
pub mod forgery;
pub mod growth;
mod ledger;
pub mod limits;
pub mod order;
pub mod pace;
pub mod promises;
pub mod secrecy;

pub use self::findings::Findings;
pub use self::ledger::Ledger;

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, Seq};
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::tables::timelines::{self, Stored};

use crate::plan::Entity;

/// Rows of an arrival log read at once.
const ARRIVALS_A_READ: usize = 4_096;

/// A message that a person was told is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// On which device.
    pub who: Entity,
    /// In which timeline, as text.
    pub timeline: String,
    /// Which message.
    pub id: String,
    /// The place of its envelope.
    pub envelope: Option<(AuthorKey, Seq)>,
    /// The last message that the device showed before.
    pub saw: Option<String>,
}

/// Shows `visit` every envelope of every log.
fn each_envelope(rows: &dyn Rows, visit: &mut dyn FnMut(&Stored)) -> Result<(), StoreError> {
    for class in Class::ALL {
        let mut after = ArrivalSeq(0);
        loop {
            let page = timelines::arrivals(rows, class, after, ARRIVALS_A_READ)?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, place) in page {
                let (_, id) = place?;
                if let Some(stored) = timelines::get(rows, &id)? {
                    visit(&stored);
                }
            }
        }
    }
    Ok(())
}
