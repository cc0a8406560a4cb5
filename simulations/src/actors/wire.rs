//! A connection between a node and a relay in frame mode.

use std::collections::BTreeMap;

use khlong_crdt::id::EnvelopeId;
use khlong_crdt::time::Monotonic;
use khlong_relay::hub::ConnectionId;
use khlong_sync::wire::frame::{Frame, Lane};
use khlong_sync::wire::lane::{self, Lanes};

use super::carry::Lost;
use crate::links::LinkSpec;
use crate::links::flow::Flow;
use crate::plan::Entity;

/// Place of a wire in the world's table; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WireId(pub u64);

/// Which end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The node, which opened it.
    Node,
    /// The relay.
    Relay,
}

impl End {
    /// The opposite one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Node => Self::Relay,
            Self::Relay => Self::Node,
        }
    }

    /// Whether what it sends goes towards the client.
    #[must_use]
    pub const fn is_back(self) -> bool {
        matches!(self, Self::Relay)
    }
}

/// What travels.
#[derive(Clone, Debug)]
pub enum Parcel {
    /// The handshake is over, towards either end.
    Open,
    /// A frame, as a value: its envelopes were verified by whoever sealed them.
    Frame(Box<Frame>),
    /// A frame as bytes, decoded and verified strictly where it arrives.
    Bytes(Lane, Vec<u8>),
    /// The other end closed in good order.
    Close,
}

impl Parcel {
    /// Whether nothing follows it.
    #[must_use]
    pub const fn is_close(&self) -> bool {
        matches!(self, Self::Close)
    }

    /// For the trace.
    #[must_use]
    pub const fn kind(&self) -> u64 {
        match self {
            Self::Open => 0,
            Self::Frame(_) | Self::Bytes(..) => 1,
            Self::Close => 2,
        }
    }
}

/// The way from one machine to another, both directions, while it stands.
#[derive(Debug)]
pub struct Wire {
    /// Who opened it.
    pub node: Entity,
    /// To whom.
    pub relay: Entity,
    /// Which life of the node it belongs to.
    pub node_life: u32,
    /// Which life of the relay.
    pub relay_life: u32,
    /// The relay's number for it.
    pub connection: ConnectionId,
    /// The channel binding that both ends would derive from TLS.
    pub exporter: [u8; 32],
    /// Whether each end still believes in it.
    pub node_open: bool,
    /// See [`Self::node_open`].
    pub relay_open: bool,
    /// Whether each end has given it up.
    pub node_gone: bool,
    /// See [`Self::node_gone`].
    pub relay_gone: bool,
    /// The contact is gone: nothing arrives any more, whoever believes what.
    pub is_cut: bool,
    /// What each append that waits for its ack holds.
    pub appends: BTreeMap<u64, Vec<EnvelopeId>>,
    /// See [`LinkSpec::channel`].
    pub channel: Option<u8>,
    /// What its frames cost, in frame mode.
    pub flow: Flow,
    /// Frames so far, those sent again included.
    pub launched: u64,
    lost: [Vec<Lost>; 2],
    lanes: [Lanes; 2],
    taps: [Lanes; 2],
}

impl Wire {
    /// A wire over `link`; `from_a` says whether the node is the link's `a`.
    #[must_use]
    pub fn new(
        (node, node_life): (Entity, u32),
        (relay, relay_life): (Entity, u32),
        connection: ConnectionId,
        exporter: [u8; 32],
        link: &LinkSpec,
        node_is_a: bool,
        now: Monotonic,
    ) -> Self {
        let (forth, back) = (link.direction(node_is_a), link.direction(!node_is_a));
        Self {
            node,
            relay,
            node_life,
            relay_life,
            connection,
            exporter,
            node_open: false,
            relay_open: false,
            node_gone: false,
            relay_gone: false,
            is_cut: false,
            appends: BTreeMap::new(),
            channel: link.channel,
            flow: Flow::new(forth, back, now),
            launched: 0,
            lost: Default::default(),
            lanes: [lane::End::Client, lane::End::Server].map(Lanes::new),
            taps: [lane::End::Client; 2].map(Lanes::new),
        }
    }

    /// What an end has encoded and decoded so far, lane by lane.
    pub(super) const fn lanes_of(&mut self, end: End) -> &mut Lanes {
        let [node, relay] = &mut self.lanes;
        match end {
            End::Node => node,
            End::Relay => relay,
        }
    }

    /// Reads what an end has just encoded, as its receiver will.
    pub(super) fn tap(
        &mut self,
        from: End,
        frame: &Frame,
        encoded: &[u8],
    ) -> Result<usize, String> {
        let [of_node, of_relay] = &mut self.taps;
        // The relay's Hello is in both directions' terms.
        if from == End::Relay {
            of_node.heard(frame);
        }
        let tap = match from {
            End::Node => of_node,
            End::Relay => of_relay,
        };
        match tap.decode(frame.lane(), encoded) {
            Ok(read) if read == *frame => Ok(encoded.len()),
            Ok(_) => Err("it reads as another frame".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Frames of an end that were lost, in the order in which they left.
    pub(super) const fn lost_from(&mut self, end: End) -> &mut Vec<Lost> {
        let [node, relay] = &mut self.lost;
        match end {
            End::Node => node,
            End::Relay => relay,
        }
    }

    /// Whether an end has been told of the connection and has not given it up.
    #[must_use]
    pub const fn is_open(&self, end: End) -> bool {
        match end {
            End::Node => self.node_open && !self.node_gone,
            End::Relay => self.relay_open && !self.relay_gone,
        }
    }

    /// At which end somebody is.
    #[must_use]
    pub fn end_of(&self, who: Entity) -> End {
        if who == self.node {
            End::Node
        } else {
            End::Relay
        }
    }

    /// Who is at an end.
    #[must_use]
    pub const fn at(&self, end: End) -> Entity {
        match end {
            End::Node => self.node,
            End::Relay => self.relay,
        }
    }
}

/// The name of a lane's class in figures.
#[must_use]
pub const fn class_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Control => "control",
        Lane::Class(class) => match class {
            khlong_crdt::class::Class::Control => "control",
            khlong_crdt::class::Class::Text => "text",
            khlong_crdt::class::Class::Bulk => "bulk",
            khlong_crdt::class::Class::Media => "media",
        },
        Lane::Ephemeral => "ephemeral",
    }
}
