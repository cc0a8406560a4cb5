//! Strangers: whoever can reach a relay's port.
//!
//! They speak to the real hub with frames of their own making, or with what was
//! seen on the wire. Nothing that they do may be stored, hurt others, or end the relay.

#![expect(
    clippy::indexing_slicing,
    reason = "the bit was drawn below the length"
)]

use ed25519_dalek::SigningKey;
use khlong_crdt::envelope::{Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, Seq, TimelineId};
use khlong_crdt::time::Monotonic;
use khlong_relay::hub::{ConnectionId, HubInput};
use khlong_sync::wire::frame::{Append, Frame, Hello, Ping, Prove};
use khlong_sync::wire::{decode, encode};
use rand::Rng as _;
use rand::RngExt as _;

use super::plan::RogueAct;
use crate::actors::world::World;
use crate::plan::Entity;

/// More than a session allows at once (`PROTOCOL.md` §9: 16,384 control frames).
const FLOOD_FRAMES: u64 = 20_000;

/// What a stranger did, for the checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deed {
    /// Envelopes that may never be stored anywhere.
    pub forged: Vec<EnvelopeId>,
    /// Whether there was anything to do it with.
    pub took_effect: bool,
}

/// Connects to `relay` and does `act` in `timeline`.
pub fn perform(
    world: &mut World,
    now: Monotonic,
    relay: Entity,
    act: RogueAct,
    timeline: Option<TimelineId>,
) -> Deed {
    let mut deed = Deed::default();
    let connection = world.stranger_connects(now, relay);
    let give = |world: &mut World, input: HubInput| world.stranger_gives(now, relay, input);
    give(world, frame(connection, hello()));
    match act {
        RogueAct::Garbage => {
            let random = world.random();
            let mut bytes = vec![0; random.random_range(1..400)];
            random.fill_bytes(&mut bytes);
            deed.took_effect = true;
            give(world, received(connection, &bytes));
        }
        RogueAct::Replay => {
            if let Some(append) = world.captured_append() {
                deed.took_effect = true;
                give(world, frame(connection, Frame::Append(append)));
            }
        }
        RogueAct::Forge => {
            if let Some(append) = world.captured_append() {
                let mut bytes = encode(&Frame::Append(append));
                let bit = world.random().random_range(0..bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                deed.took_effect = true;
                give(world, received(connection, &bytes));
            }
            if let Some(forged) = world.captured_append().and_then(forge) {
                deed.forged.push(forged.id());
                // The bit has most probably ended the connection.
                let another = world.stranger_connects(now, relay);
                let key = SigningKey::from_bytes(&[9; 32]);
                let prove = prove(world, forged.timeline(), another, &key);
                let append = Frame::Append(Append {
                    request: 1,
                    envelopes: vec![forged],
                });
                give(world, frame(another, hello()));
                give(world, frame(another, Frame::Prove(prove)));
                give(world, received(another, &encode(&append)));
                give(
                    world,
                    HubInput::Disconnected {
                        connection: another,
                    },
                );
            }
        }
        RogueAct::Stranger => {
            if let Some(timeline) = timeline {
                let (prove, envelope) = strangers_envelope(world, timeline, connection);
                deed.forged.push(envelope.id());
                deed.took_effect = true;
                give(world, frame(connection, Frame::Prove(prove)));
                let append = Append {
                    request: 1,
                    envelopes: vec![envelope],
                };
                give(world, frame(connection, Frame::Append(append)));
            }
        }
        RogueAct::Flood => {
            deed.took_effect = true;
            for nonce in 0..FLOOD_FRAMES {
                give(world, frame(connection, Frame::Ping(Ping { nonce })));
            }
        }
        RogueAct::StolenProof => {
            if let Some(prove) = world.captured_proof() {
                deed.took_effect = true;
                give(world, frame(connection, Frame::Prove(prove)));
            }
        }
    }
    give(world, HubInput::Disconnected { connection });
    deed
}

fn frame(connection: ConnectionId, frame: Frame) -> HubInput {
    HubInput::Frame { connection, frame }
}

/// What the task that reads the socket makes of bytes.
fn received(connection: ConnectionId, bytes: &[u8]) -> HubInput {
    match decode(bytes) {
        Ok(frame) => HubInput::Frame { connection, frame },
        Err(error) => HubInput::Undecodable { connection, error },
    }
}

fn hello() -> Frame {
    Frame::Hello(Hello {
        versions: 1..=1,
        agent: "stranger".to_owned(),
        keep_alive_ms: 30_000,
        log: None,
        token: None,
        relay_time: None,
    })
}

/// Well sealed and well signed, with a valid proof of possession, and nobody admitted its author.
fn strangers_envelope(
    world: &mut World,
    timeline: TimelineId,
    connection: ConnectionId,
) -> (Prove, VerifiedEnvelope) {
    let mut seed = [0; 32];
    world.random().fill_bytes(&mut seed);
    let key = SigningKey::from_bytes(&seed);
    let prove = prove(world, timeline, connection, &key);
    let author = prove.author;
    let prefix = Prefix {
        kind: Kind::Change,
        timeline,
        author,
        seq: Seq::FIRST,
        prev: EnvelopeId::ZERO,
        epoch: EpochId::from_bytes([7; 32]),
        expiry: Expiry::Keep,
        refs: Vec::new(),
    };
    let envelope = VerifiedEnvelope::sign(prefix, [1; 24], &[9; 80], &key)
        .expect("a prefix within its limits, signed by its own author");
    (prove, envelope)
}

/// A valid proof of possession: of a key that nobody admitted.
fn prove(world: &World, timeline: TimelineId, connection: ConnectionId, key: &SigningKey) -> Prove {
    let author = AuthorKey::from_bytes(key.verifying_key().to_bytes());
    let exporter = world.exporter_of(connection);
    let proof = khlong_sync::session::proof::proof_bytes(&exporter, &timeline, &author);
    Prove {
        timeline,
        author,
        signature: ed25519_dalek::Signer::sign(key, &proof).to_bytes(),
    }
}

/// What the author of the newest envelope seen on a wire would write next, had it signed it.
fn forge(seen: Append) -> Option<VerifiedEnvelope> {
    let seen = seen.envelopes.last()?;
    let mut header = seen.header().clone();
    header.prefix.prev = seen.id();
    header.prefix.seq = seen.seq().next();
    let parts = [&header.encode(), seen.signature().as_slice(), seen.body()?];
    VerifiedEnvelope::assume_verified(parts.concat()).ok()
}
