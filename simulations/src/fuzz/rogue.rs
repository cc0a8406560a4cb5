//! Strangers: whoever can reach a relay's port.
//!
//! They speak to the real hub with frames of their own making, or with what was
//! seen on the wire. Nothing that they do may be stored, hurt others, or end the relay.

#![expect(
    clippy::indexing_slicing,
    reason = "the bit was drawn below the length"
)]

use std::ops::RangeInclusive;

use ed25519_dalek::SigningKey;
use khlong_crdt::envelope::{Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, LogId, Seq, TimelineId};
use khlong_crdt::time::Monotonic;
use khlong_relay::hub::{ConnectionId, HubInput};
use khlong_sync::limits::PROTOCOL_VERSION_SHADOWS;
use khlong_sync::wire::WireError;
use khlong_sync::wire::frame::{Append, Frame, Hello, Lane, Ping, Prove, Proved};
use khlong_sync::wire::lane::{End, Lanes};
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
    /// Frames whose packed envelopes (version 2) no relay reads.
    pub shadows_refused: u64,
}

/// Connects to `relay`, in this version of the protocol, and does `act` in `timeline`.
pub fn perform(
    world: &mut World,
    now: Monotonic,
    relay: Entity,
    version: u16,
    act: RogueAct,
    timeline: Option<TimelineId>,
) -> Deed {
    let mut deed = Deed::default();
    let mut line = Line::open(world, now, relay, version);
    match act {
        RogueAct::Garbage => {
            let random = world.random();
            let mut bytes = vec![0; random.random_range(1..400)];
            random.fill_bytes(&mut bytes);
            deed.took_effect = true;
            line.give(world, Lane::Control, &bytes);
        }
        RogueAct::Replay => {
            if let Some(append) = world.captured_append() {
                deed.took_effect = true;
                line.say(world, &Frame::Append(append));
            }
        }
        RogueAct::Forge => forge_captured(world, &mut line, &mut deed),
        RogueAct::Stranger => {
            if let Some(timeline) = timeline {
                let (prove, envelope) = strangers_envelope(world, timeline, line.connection);
                deed.forged.push(envelope.id());
                deed.took_effect = true;
                line.prove(world, prove);
                line.say(world, &append_of(vec![envelope]));
            }
        }
        RogueAct::Flood => {
            deed.took_effect = true;
            for nonce in 0..FLOOD_FRAMES {
                line.say(world, &Frame::Ping(Ping { nonce }));
            }
        }
        RogueAct::StolenProof => {
            if let Some(prove) = world.captured_proof() {
                deed.took_effect = true;
                line.say(world, &Frame::Prove(prove));
            }
        }
    }
    line.hang_up(world, &mut deed);
    deed
}

/// One bit of what somebody sent; and one more in its author's name, without its signature.
fn forge_captured(world: &mut World, line: &mut Line, deed: &mut Deed) {
    let Some(append) = world.captured_append() else {
        return;
    };
    deed.took_effect = true;
    let frame = Frame::Append(append.clone());
    if line.version >= PROTOCOL_VERSION_SHADOWS {
        // As it was: what is spoilt is a shadow of it.
        line.say(world, &frame);
    }
    let mut bytes = line.client.encode(&frame);
    let bit = world.random().random_range(0..bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    line.give(world, frame.lane(), &bytes);
    let Some((seen, forged)) = forge(append) else {
        return;
    };
    deed.forged.push(forged.id());
    // The bit has most probably ended the connection.
    let (now, relay, version) = (line.now, line.relay, line.version);
    let mut another = Line::open(world, now, relay, version);
    let key = SigningKey::from_bytes(&[9; 32]);
    let prove = prove(world, forged.timeline(), another.connection, &key);
    another.prove(world, prove);
    if version >= PROTOCOL_VERSION_SHADOWS {
        another.say(world, &append_of(vec![seen]));
    }
    another.say(world, &append_of(vec![forged]));
    another.hang_up(world, deed);
}

fn append_of(envelopes: Vec<VerifiedEnvelope>) -> Frame {
    Frame::Append(Append {
        request: 1,
        envelopes,
    })
}

/// A stranger's connection, with what both its ends have said: from version 2 on a frame means
/// what those before it made of it.
struct Line {
    now: Monotonic,
    relay: Entity,
    connection: ConnectionId,
    version: u16,
    client: Lanes,
    server: Lanes,
    shadows_refused: u64,
    /// Something was unreadable: nothing more is read.
    is_over: bool,
}

impl Line {
    /// Connects and greets. What the relay greets back with is known: the version is the
    /// stranger's choice, and nothing that strangers send speaks of the log.
    fn open(world: &mut World, now: Monotonic, relay: Entity, version: u16) -> Self {
        let connection = world.stranger_connects(now, relay);
        let mut line = Self {
            now,
            relay,
            connection,
            version,
            client: Lanes::new(End::Client),
            server: Lanes::new(End::Server),
            shadows_refused: 0,
            is_over: false,
        };
        line.say(world, &hello(1..=version, None));
        let log = Some((LogId::from_bytes([0; 16]), 0));
        line.hear(&hello(version..=version, log));
        line
    }

    fn say(&mut self, world: &mut World, frame: &Frame) {
        let bytes = self.client.encode(frame);
        self.give(world, frame.lane(), &bytes);
    }

    /// What the relay says, for both ends to take note of.
    fn hear(&mut self, frame: &Frame) {
        let _ = self.server.encode(frame);
        self.client.heard(frame);
    }

    /// A proof that holds: the relay answers it.
    fn prove(&mut self, world: &mut World, prove: Prove) {
        self.say(world, &Frame::Prove(prove));
        self.hear(&Frame::Proved(Proved {
            timeline: prove.timeline,
            author: prove.author,
        }));
    }

    /// What the task that reads the socket makes of bytes. After what it cannot read it reads
    /// nothing more.
    fn give(&mut self, world: &mut World, lane: Lane, bytes: &[u8]) {
        if self.is_over {
            return;
        }
        let connection = self.connection;
        let input = match self.server.decode(lane, bytes) {
            Ok(frame) => HubInput::Frame { connection, frame },
            Err(error) => {
                let is_packed =
                    matches!(error, WireError::Envelope { .. } | WireError::Shadow { .. });
                let is_shadow = is_packed && self.version >= PROTOCOL_VERSION_SHADOWS;
                self.shadows_refused += u64::from(is_shadow);
                self.is_over = true;
                HubInput::Undecodable { connection, error }
            }
        };
        world.stranger_gives(self.now, self.relay, input);
    }

    fn hang_up(self, world: &mut World, deed: &mut Deed) {
        let connection = self.connection;
        let input = HubInput::Disconnected { connection };
        world.stranger_gives(self.now, self.relay, input);
        deed.shadows_refused += self.shadows_refused;
    }
}

fn hello(versions: RangeInclusive<u16>, log: Option<(LogId, u32)>) -> Frame {
    Frame::Hello(Hello {
        versions,
        agent: "stranger".to_owned(),
        keep_alive_ms: 30_000,
        log,
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

/// The newest envelope seen on a wire, and what its author would write next, had it signed it.
fn forge(append: Append) -> Option<(VerifiedEnvelope, VerifiedEnvelope)> {
    let seen = append.envelopes.into_iter().next_back()?;
    let mut header = seen.header().clone();
    header.prefix.prev = seen.id();
    header.prefix.seq = seen.seq().next();
    let parts = [&header.encode(), seen.signature().as_slice(), seen.body()?];
    let forged = VerifiedEnvelope::assume_verified(parts.concat()).ok()?;
    Some((seen, forged))
}
