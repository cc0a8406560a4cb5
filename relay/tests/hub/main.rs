//! The hub in virtual time: real sessions, real signatures, an imaginary disk.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod acks;
mod admission;
mod connections;
mod faults;
mod reading;
#[path = "../support/mod.rs"]
mod support;

use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::EnvelopeId;
use khlong_relay::hub::{ConnectionId, Policy};
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;
use support::virtual_world::World;
use support::{Author, open};

/// A world with one open timeline, whose admin is connected.
fn opened(policy: Policy) -> (World, ConnectionId, Author) {
    let mut world = World::new(policy);
    let admin_conn = world.connect(None);
    let (timeline, admin, intro) = open(1);
    world.prove(admin_conn, &admin);
    let outcomes = world.append(admin_conn, vec![timeline.genesis, intro]);
    assert!(outcomes.iter().all(AppendOutcome::is_kept), "{outcomes:?}");
    (world, admin_conn, admin)
}

fn refusal(outcome: &AppendOutcome) -> Option<ErrorCode> {
    match outcome {
        AppendOutcome::Refused { code, .. } => Some(*code),
        AppendOutcome::Stored { .. } | AppendOutcome::Duplicate { .. } => None,
    }
}

fn ids(envelopes: &[VerifiedEnvelope]) -> Vec<EnvelopeId> {
    envelopes.iter().map(VerifiedEnvelope::id).collect()
}
