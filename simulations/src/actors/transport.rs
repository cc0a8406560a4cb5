//! What QUIC does for the binaries, in frame mode: connections that stand or
//! break, frames that arrive in order or not at all.
//!
//! A node notices at once that its interface is gone; a relay notices by silence
//! (the keep-alive of its sessions). A machine that starts again answers old
//! connections with a stateless reset, so the other end finds out one way later.

#![expect(
    clippy::indexing_slicing,
    reason = "arrays of two, by the two ends of a wire"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "frames and answers of other kinds say nothing here"
)]

use khlong_crdt::id::{EnvelopeId, RelayKey};
use khlong_crdt::time::Monotonic;
use khlong_node::peer::{PeerInput, PeerOutput};
use khlong_relay::hub::{ConnectionId, HubInput, HubOutput};
use khlong_sync::wire::frame::{AppendOutcome, Frame, Lane};
use khlong_sync::wire::{WireError, encode};

use super::carry::Load;
use super::facts::What;
use super::node::{NodeInput, NodeTurn};
use super::relay::RelayTurn;
use super::strangers::Overheard;
use super::wire::{End, Parcel, Wire, WireId, class_name};
use super::world::{Carriage, Event, World};
use crate::kernel::queue::EventClass;
use crate::links::air::Sender;
use crate::plan::{Entity, LinkIndex};

/// The four bytes before each frame on a stream.
const FRAME_LENGTH_BYTES: u64 = 4;
/// A packet that says only "closed", or "I know nothing of this connection".
const CLOSE_BYTES: u64 = 40;

impl World {
    pub(super) fn release_node(&mut self, now: Monotonic, who: Entity, life: u32, turn: NodeTurn) {
        if self.life_of(who) != life || !self.is_on(who) {
            return; // it crashed between commit and release
        }
        for (number, response) in turn.answers {
            self.answers.push((who, number, response));
        }
        for output in turn.outputs {
            match output {
                PeerOutput::Connect { relay, .. } => self.connect(now, who, life, relay),
                PeerOutput::Send { relay, lane, frame } => {
                    if let Some(id) = self.wire_to(who, relay) {
                        self.transmit(now, id, End::Node, lane, frame);
                    }
                }
                PeerOutput::Disconnect { relay } => {
                    if let Some(id) = self.wire_to(who, relay) {
                        self.close(now, id, End::Node);
                    }
                }
                PeerOutput::Event(event) => {
                    if let khlong_node::api::Event::Fork { timeline, .. } = &event
                        && let Ok(timeline) = timeline.parse()
                    {
                        self.note(now, who, What::ForkSeen { timeline });
                    }
                    self.events.push((who, event));
                }
            }
        }
        self.quic_flush(now);
    }

    pub(super) fn release_relay(
        &mut self,
        now: Monotonic,
        who: Entity,
        life: u32,
        turn: RelayTurn,
    ) {
        if self.life_of(who) != life || !self.is_on(who) {
            return;
        }
        for output in turn.outputs {
            match output {
                HubOutput::Send {
                    connection,
                    lane,
                    frame,
                } => {
                    if let Some(id) = self.by_connection.get(&(who, connection)).copied() {
                        self.transmit(now, id, End::Relay, lane, frame);
                    }
                }
                HubOutput::Close { connection, .. } => {
                    if let Some(id) = self.by_connection.get(&(who, connection)).copied() {
                        self.close(now, id, End::Relay);
                    }
                }
            }
        }
        self.quic_flush(now);
    }

    fn wire_to(&self, node: Entity, relay: RelayKey) -> Option<WireId> {
        let relay = self.relay_keys.get(&relay)?;
        self.reach.get(&(node, *relay))?.wire
    }

    fn connect(&mut self, now: Monotonic, node: Entity, life: u32, key: RelayKey) {
        let relay = self.relay_keys.get(&key).copied();
        if let Some(relay) = relay {
            self.note(now, node, What::Attempt { relay });
        }
        let way = relay.and_then(|relay| {
            let reach = self.reach.get(&(node, relay))?;
            let link = self.links.get(usize::from(reach.link?.0))?;
            let usable = reach.contacts > 0 && reach.blocked == [false, false];
            (usable && self.is_on(relay)).then_some((relay, *link, reach.node_is_a))
        });
        let Some((relay, link, node_is_a)) = way else {
            let at = now.after_micros(self.options.connect_timeout_us);
            let event = Event::ConnectFailed(node, life, key);
            return self.queue.schedule(at, EventClass::Timer, event);
        };
        self.wires_made += 1;
        let id = WireId(self.wires_made);
        let connection = ConnectionId(self.wires_made);
        let exporter = self
            .seeds
            .bytes("exporter", &format!("{}", self.wires_made));
        let relay_life = self.life_of(relay);
        let (from, to) = ((node, life), (relay, relay_life));
        let mut wire = Wire::new(from, to, connection, exporter, &link, node_is_a, now);
        let mut ready = now.after_micros(link.discovery.0);
        if self.quic.is_none() {
            let deadline = ready.after_micros(self.options.connect_timeout_us);
            let (round_trips, random) = (link.handshake_round_trips, &mut self.random);
            let over = wire.flow.handshake(ready, deadline, round_trips, random);
            self.link_bytes += wire.flow.take_bytes();
            let Some(over) = over else {
                let event = Event::ConnectFailed(node, life, key);
                return self.queue.schedule(deadline, EventClass::Timer, event);
            };
            ready = over;
        }
        self.wires.insert(id, wire);
        self.by_connection.insert((relay, connection), id);
        if let Some(old) = self
            .reach
            .get_mut(&(node, relay))
            .and_then(|reach| reach.wire.replace(id))
        {
            self.forget_end(old, End::Node);
        }
        if self.quic.is_some() {
            return self.quic_dial(now, id, link.discovery.0);
        }
        // A relay's driver hands a connection over when the control stream is there: one way
        // later than the node's, and before what the node sends first.
        let one_way_us = link.direction(node_is_a).propagation.0;
        for (end, at) in [
            (End::Relay, ready.after_micros(one_way_us)),
            (End::Node, ready),
        ] {
            let event = Event::Arrive(id, end, Parcel::Open);
            self.queue.schedule(at, EventClass::Arrival, event);
        }
    }

    /// Puts a frame on a wire.
    fn transmit(&mut self, now: Monotonic, id: WireId, from: End, lane: Lane, frame: Frame) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        let encoded = wire.lanes_of(from).encode(&frame);
        let bytes = encoded.len() as u64;
        let (who, to) = (wire.at(from), wire.at(from.other()));
        let facts = wire.observe(from, &frame);
        if self.options.capture {
            let sent = wire.tap(from, &frame, &encoded);
            self.captured.frames.push(Overheard {
                from: who,
                to,
                bytes: encode(&frame),
                sent,
            });
            match &frame {
                Frame::Append(append) => self.captured.append = Some(append.clone()),
                Frame::Prove(prove) => self.captured.proof = Some(*prove),
                _ => {}
            }
        }
        for what in facts {
            self.note(now, who, what);
        }
        if self.options.note_frames {
            let class = class_name(lane);
            self.note(now, who, What::Sent { to, class, bytes });
        }
        if self.quic.is_some() {
            return self.quic_send(now, id, from, lane, encoded);
        }
        let parcel = match self.options.carriage {
            Carriage::Values => Parcel::Frame(Box::new(frame)),
            Carriage::Bytes => Parcel::Bytes(lane, encoded),
        };
        let bytes = FRAME_LENGTH_BYTES + bytes;
        self.carry(
            now,
            id,
            from,
            Load {
                lane,
                parcel,
                bytes,
            },
        );
    }

    pub(super) fn arrive(&mut self, now: Monotonic, id: WireId, end: End, parcel: Parcel) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        let (who, other) = (wire.at(end), wire.at(end.other()));
        if wire.is_cut {
            return self.note(now, other, What::Aborted { to: who });
        }
        let life = match end {
            End::Node => wire.node_life,
            End::Relay => wire.relay_life,
        };
        let (connection, relay, exporter) = (wire.connection, wire.relay, wire.exporter);
        match (&parcel, end) {
            (Parcel::Open, End::Node) => wire.node_open = true,
            (Parcel::Open, End::Relay) => wire.relay_open = true,
            (Parcel::Frame(_) | Parcel::Bytes(..) | Parcel::Close, _) if !wire.is_open(end) => {
                return;
            }
            (Parcel::Frame(_) | Parcel::Bytes(..) | Parcel::Close, _) => {}
        }
        if self.life_of(who) != life || !self.is_on(who) {
            return;
        }
        if let (Parcel::Frame(frame), Some(wire)) = (&parcel, self.wires.get_mut(&id)) {
            wire.lanes_of(end).heard(frame);
        }
        let mark = [id.0, end as u64, parcel.kind()];
        self.trace.note(now, "arrive", &mark);
        match end {
            End::Relay => {
                let input = match parcel {
                    Parcel::Open => HubInput::Connected {
                        connection,
                        exporter,
                    },
                    Parcel::Frame(frame) => HubInput::Frame {
                        connection,
                        frame: *frame,
                    },
                    Parcel::Bytes(lane, bytes) => match self.read_at(id, end, lane, &bytes) {
                        Ok(frame) => HubInput::Frame { connection, frame },
                        Err(error) => HubInput::Undecodable { connection, error },
                    },
                    Parcel::Close => {
                        self.forget_end(id, End::Relay);
                        HubInput::Disconnected { connection }
                    }
                };
                self.give_relay(now, who, input);
            }
            End::Node => {
                let Some(relay_key) = self.relay(relay).map(|relay| relay.relay_key()) else {
                    return;
                };
                let input = match parcel {
                    Parcel::Open => {
                        self.note(now, who, What::Connected { relay });
                        PeerInput::Connected {
                            relay: relay_key,
                            exporter,
                        }
                    }
                    Parcel::Frame(frame) => PeerInput::Frame {
                        relay: relay_key,
                        frame: *frame,
                    },
                    Parcel::Bytes(lane, bytes) => match self.read_at(id, end, lane, &bytes) {
                        Ok(frame) => PeerInput::Frame {
                            relay: relay_key,
                            frame,
                        },
                        Err(error) => {
                            self.close(now, id, End::Node);
                            PeerInput::Disconnected {
                                relay: relay_key,
                                reason: error.to_string(),
                            }
                        }
                    },
                    Parcel::Close => {
                        self.note(now, who, What::Disconnected { relay });
                        self.forget_end(id, End::Node);
                        PeerInput::Disconnected {
                            relay: relay_key,
                            reason: "the relay closed the connection".to_owned(),
                        }
                    }
                };
                self.give_node(now, who, NodeInput::Peer(input));
            }
        }
    }

    /// Decodes and verifies at the end where the bytes arrived.
    fn read_at(
        &mut self,
        id: WireId,
        end: End,
        lane: Lane,
        bytes: &[u8],
    ) -> Result<Frame, WireError> {
        let wire = self.wires.get_mut(&id);
        wire.map_or(Err(WireError::NoBody), |wire| {
            wire.lanes_of(end).decode(lane, bytes)
        })
    }

    /// One end closes in good order: what it sent before arrives before.
    fn close(&mut self, now: Monotonic, id: WireId, end: End) {
        if self.quic.is_some() {
            self.quic_close(now, id, end);
            return self.forget_end(id, end);
        }
        let load = Load {
            lane: Lane::Control,
            parcel: Parcel::Close,
            bytes: CLOSE_BYTES,
        };
        self.carry(now, id, end, load);
        self.forget_end(id, end);
    }

    pub(super) fn contact_up(&mut self, now: Monotonic, a: Entity, b: Entity, link: LinkIndex) {
        let (node, relay, node_is_a) = if self.node(a).is_some() {
            (a, b, true)
        } else {
            (b, a, false)
        };
        if self.node(node).is_none() || self.relay(relay).is_none() {
            return; // two nodes or two relays: no part of the product speaks yet between them
        }
        let reach = self.reach.entry((node, relay)).or_default();
        reach.contacts += 1;
        reach.link = Some(link);
        reach.node_is_a = node_is_a;
        self.trace
            .note(now, "up", &[u64::from(node.0), u64::from(relay.0)]);
    }

    pub(super) fn contact_down(&mut self, now: Monotonic, a: Entity, b: Entity) {
        let (node, relay) = if self.node(a).is_some() {
            (a, b)
        } else {
            (b, a)
        };
        let Some(reach) = self.reach.get_mut(&(node, relay)) else {
            return;
        };
        reach.contacts = reach.contacts.saturating_sub(1);
        if reach.contacts == 0 {
            self.trace
                .note(now, "down", &[u64::from(node.0), u64::from(relay.0)]);
            self.break_wire(now, node, relay);
        }
    }

    /// The wire between two breaks; the node notices at once.
    pub(super) fn break_wire(&mut self, now: Monotonic, node: Entity, relay: Entity) {
        let Some(reach) = self.reach.get_mut(&(node, relay)) else {
            return;
        };
        reach.held = Default::default();
        let wire = reach.wire.take();
        self.quic_cut(node, relay);
        let Some(id) = wire else { return };
        self.quic_abandon(node, id);
        self.cut(id);
        self.tell_node_lost(now, node, relay, "the network is gone");
        self.forget_end(id, End::Node);
    }

    pub(super) fn tell_node_lost(
        &mut self,
        now: Monotonic,
        node: Entity,
        relay: Entity,
        reason: &str,
    ) {
        let Some(key) = self.relay(relay).map(super::relay::RelayMachine::relay_key) else {
            return;
        };
        self.note(now, node, What::Disconnected { relay });
        let input = PeerInput::Disconnected {
            relay: key,
            reason: reason.to_owned(),
        };
        self.give_node(now, node, NodeInput::Peer(input));
    }

    pub(super) fn block(
        &mut self,
        now: Monotonic,
        node: Entity,
        relay: Entity,
        end: End,
        blocked: bool,
    ) {
        let Some(reach) = self.reach.get_mut(&(node, relay)) else {
            return;
        };
        reach.blocked[end as usize] = blocked;
        if !blocked {
            // What was lost meanwhile is sent again by the transport.
            for (id, load) in std::mem::take(&mut reach.held[end as usize]) {
                self.carry(now, id, end, load);
            }
        }
    }

    /// A machine lost its power: nothing of its wires moves any more, and nobody is told.
    pub(super) fn silence_wires(&mut self, who: Entity) {
        self.quic_silence(who);
        for id in self.wires_of(who) {
            if self.quic.is_none() {
                self.cut(id);
            }
            if let Some(wire) = self.wires.get(&id) {
                let end = wire.end_of(who);
                if end == End::Node
                    && let Some(reach) = self.reach.get_mut(&(wire.node, wire.relay))
                {
                    reach.wire = None;
                }
                self.forget_end(id, end);
            }
        }
    }

    /// A machine is back: what still believes in wires of its earlier lives is reset.
    pub(super) fn reset_old_wires(&mut self, now: Monotonic, who: Entity) {
        if self.quic.is_some() {
            return; // a stateless reset answers whoever sends
        }
        for id in self.wires_of(who) {
            let Some(wire) = self.wires.get(&id) else {
                continue;
            };
            let (node, relay, connection) = (wire.node, wire.relay, wire.connection);
            match wire.end_of(who) {
                End::Node => self.give_relay(now, relay, HubInput::Disconnected { connection }),
                End::Relay => {
                    self.tell_node_lost(now, node, relay, "the relay started anew");
                    if let Some(reach) = self.reach.get_mut(&(node, relay))
                        && reach.wire == Some(id)
                    {
                        reach.wire = None;
                    }
                }
            }
            self.forget_end(id, End::Node);
            self.forget_end(id, End::Relay);
        }
    }

    /// A machine's core failed: its driver closes every connection.
    pub(super) fn abandon_wires(&mut self, now: Monotonic, who: Entity) {
        for id in self.wires_of(who) {
            if let Some(wire) = self.wires.get(&id) {
                let end = wire.end_of(who);
                self.close(now, id, end);
            }
        }
    }

    fn wires_of(&self, who: Entity) -> Vec<WireId> {
        self.wires
            .iter()
            .filter(|(_, wire)| wire.node == who || wire.relay == who)
            .map(|(id, _)| *id)
            .collect()
    }

    /// One end believes no more; without believers a wire is gone.
    pub(super) fn forget_end(&mut self, id: WireId, end: End) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        match end {
            End::Node => {
                wire.node_gone = true;
                if let Some(reach) = self.reach.get_mut(&(wire.node, wire.relay))
                    && reach.wire == Some(id)
                {
                    reach.wire = None;
                }
            }
            End::Relay => {
                wire.relay_gone = true;
                self.by_connection.remove(&(wire.relay, wire.connection));
            }
        }
        let wire = &self.wires[&id];
        if wire.node_gone && wire.relay_gone {
            self.cut(id);
            self.wires.remove(&id);
        }
    }

    /// Nothing moves over a wire any more; the airtime of what was to come is free.
    fn cut(&mut self, id: WireId) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        wire.is_cut = true;
        let (ends, channel) = ([wire.node, wire.relay], wire.channel);
        for end in [End::Node, End::Relay] {
            let busy_until = wire.flow.free_at(end.is_back());
            if let Some(channel) = channel {
                self.air
                    .vacate(channel, ends, sender_of(id, end), busy_until);
            }
        }
    }
}

/// A direction of a wire, to whoever shares its air.
pub(super) const fn sender_of(id: WireId, from: End) -> Sender {
    Sender(id.0 * 2 + from as u64)
}

impl Wire {
    /// What a frame that leaves an end says about envelopes.
    pub(super) fn observe(&mut self, from: End, frame: &Frame) -> Vec<What> {
        match (from, frame) {
            (End::Node, Frame::Append(append)) => {
                let ids: Vec<EnvelopeId> = append
                    .envelopes
                    .iter()
                    .map(khlong_crdt::envelope::VerifiedEnvelope::id)
                    .collect();
                self.appends.insert(append.request, ids.clone());
                vec![What::Offered {
                    relay: self.relay,
                    envelopes: ids,
                }]
            }
            (End::Relay, Frame::Ack(ack)) => {
                let mut facts = Vec::new();
                let mut kept = Vec::new();
                let mut decided = Vec::new();
                for answer in std::iter::once(&ack.first).chain(&ack.further) {
                    let offered = self.appends.remove(&answer.request).unwrap_or_default();
                    decided.extend(offered.into_iter().zip(&answer.outcomes));
                }
                for (envelope, outcome) in decided {
                    match outcome {
                        AppendOutcome::Stored { .. } | AppendOutcome::Duplicate { .. } => {
                            kept.push(envelope);
                        }
                        AppendOutcome::Refused { code, .. } => facts.push(What::Refused {
                            node: self.node,
                            envelope,
                            code: *code,
                        }),
                    }
                }
                if !kept.is_empty() {
                    facts.push(What::Acknowledged {
                        node: self.node,
                        envelopes: kept,
                    });
                }
                facts
            }
            _ => Vec::new(),
        }
    }
}
