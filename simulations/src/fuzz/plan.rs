//! An explicit plan: everything that a run does, so that steps can be left out.

use serde::{Deserialize, Serialize};

use crate::actors::wire::End;
use crate::kernel::SECOND;
use crate::links::{LinkSpec, PipeSpec};
use crate::plan::{Entity, EntitySpec, Plan, Role};
use crate::units::{Rate, Size, Span};

/// Raised when a field changes its meaning; older files are refused.
pub const SCHEMA_VERSION: u32 = 1;
/// Machines of one plan at most.
pub const MACHINES_MAX: u8 = 32;
/// Steps of one plan at most.
pub const STEPS_MAX: usize = 100_000;

/// What is the same during a whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swarm {
    /// Share of packets lost on every link.
    pub loss: f64,
    /// Of every link, both ways.
    pub rate: Rate,
    /// One way.
    pub propagation: Span,
    /// Uniform from 0.
    pub jitter: Span,
    /// Frames travel as bytes, and are decoded and verified at each receiver.
    pub bytes: bool,
    /// Concurrent events in an order drawn from the seed.
    pub shuffled: bool,
    /// What a synced commit takes on a device.
    pub node_commit: Span,
    /// What it takes on a relay.
    pub relay_commit: Span,
}

/// A run, written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FuzzPlan {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Of keys, delays and everything else that is drawn during the run.
    pub seed: u64,
    /// The version of the code that it was found with; empty if unknown.
    #[serde(default)]
    pub commit: String,
    /// What went wrong when it was written.
    #[serde(default)]
    pub violations: Vec<String>,
    /// Machines 0 … are relays.
    pub relays: u8,
    /// The following ones are devices.
    pub nodes: u8,
    /// Members of each timeline, as machine numbers; the first one opens it.
    pub timelines: Vec<Vec<u8>>,
    /// What is the same during the whole run.
    pub swarm: Swarm,
    /// In the order of time.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// After the begin of the run.
    pub at: Span,
    /// What.
    #[serde(flatten)]
    pub what: Doing,
}

/// A fault of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskFault {
    /// An fsync fails, and the bytes are not there.
    SyncLost,
    /// An fsync fails, and the bytes are there.
    SyncKept,
    /// Power goes within a commit.
    Torn,
    /// No space in the middle of a write.
    NoSpace,
    /// The engine asks for patience.
    Stall,
    /// A read fails.
    Read,
}

/// What a stranger does to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RogueAct {
    /// Bytes that are no frame.
    Garbage,
    /// An append of somebody else, as it was seen on the wire.
    Replay,
    /// The same with one bit flipped, and one more in its author's name without its signature.
    Forge,
    /// An envelope that is well made, by an author whom nobody admitted.
    Stranger,
    /// More control frames than anybody needs.
    Flood,
    /// A proof of possession made for another connection.
    StolenProof,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Doing {
    /// A person writes a message.
    Say {
        /// Who.
        node: u8,
        /// Where, by number.
        timeline: u8,
        /// Length of the text.
        bytes: u32,
    },
    /// Changes an own message: the `nth` of those written so far, counted round.
    Edit {
        /// Who.
        node: u8,
        /// Where.
        timeline: u8,
        /// Which.
        nth: u16,
    },
    /// Takes back an own message.
    Delete {
        /// Who.
        node: u8,
        /// Where.
        timeline: u8,
        /// Which.
        nth: u16,
    },
    /// Reacts to anybody's message.
    React {
        /// Who.
        node: u8,
        /// Where.
        timeline: u8,
        /// Which.
        nth: u16,
    },
    /// Reads everything that is there.
    Read {
        /// Who.
        node: u8,
        /// Where.
        timeline: u8,
    },
    /// The network between two goes.
    Down {
        /// Which device.
        node: u8,
        /// Which relay.
        relay: u8,
    },
    /// It comes back.
    Up {
        /// Which device.
        node: u8,
        /// Which relay.
        relay: u8,
    },
    /// The connection breaks, the network stays.
    Break {
        /// Which device.
        node: u8,
        /// Which relay.
        relay: u8,
    },
    /// What one end sends is held back, or let go: a one-way partition.
    Block {
        /// Which device.
        node: u8,
        /// Which relay.
        relay: u8,
        /// `true`: what the device sends; `false`: what the relay sends.
        from_node: bool,
        /// Held back or let go.
        blocked: bool,
    },
    /// Power goes; of the bytes not synced the first ones are on the disk.
    Crash {
        /// Whose.
        machine: u8,
        /// How many.
        kept_bytes: u32,
    },
    /// Power comes back.
    Start {
        /// Whose.
        machine: u8,
    },
    /// A disk fails once.
    Disk {
        /// Whose.
        machine: u8,
        /// How.
        fault: DiskFault,
        /// Operations that succeed before.
        after: u8,
    },
    /// A disk is full, or has room again.
    Full {
        /// Whose.
        machine: u8,
        /// Full, or not.
        full: bool,
    },
    /// A wall clock jumps.
    Clock {
        /// Whose.
        machine: u8,
        /// Forth or back.
        by_ms: i64,
    },
    /// A stranger connects to a relay.
    Rogue {
        /// Which relay.
        relay: u8,
        /// And does this.
        act: RogueAct,
    },
    /// A device's disk is copied and the copy switched on: two devices with one author key.
    Twin {
        /// Whose.
        node: u8,
    },
}

impl FuzzPlan {
    /// How long the part with faults lasts.
    #[must_use]
    pub fn span(&self) -> Span {
        Span(self.steps.last().map_or(0, |step| step.at.0) + SECOND)
    }

    /// A device by its machine number.
    #[must_use]
    pub const fn machine(number: u8) -> Entity {
        Entity(number as u32)
    }

    /// The devices.
    pub fn node_entities(&self) -> impl Iterator<Item = Entity> {
        (self.relays..self.relays.saturating_add(self.nodes)).map(Self::machine)
    }

    /// The relays.
    pub fn relay_entities(&self) -> impl Iterator<Item = Entity> {
        (0..self.relays).map(Self::machine)
    }

    /// Whether it can be run at all.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if self.schema_version != SCHEMA_VERSION {
            return Err(format!(
                "the plan has schema {}, this program reads {SCHEMA_VERSION}",
                self.schema_version
            ));
        }
        let machines = self.relays.saturating_add(self.nodes);
        if self.relays == 0 || self.nodes == 0 || machines > MACHINES_MAX {
            return Err(format!(
                "a plan has 1 to {MACHINES_MAX} machines of both kinds"
            ));
        }
        if self.steps.len() > STEPS_MAX {
            return Err(format!("a plan has at most {STEPS_MAX} steps"));
        }
        let is_node = |number: &u8| (self.relays..machines).contains(number);
        if !self.timelines.iter().flatten().all(is_node) || self.timelines.iter().any(Vec::is_empty)
        {
            return Err("a member of a timeline is no device of the plan".to_owned());
        }
        if !(0.0..1.0).contains(&self.swarm.loss) {
            return Err("`loss` is a share from 0 up to, not including, 1".to_owned());
        }
        Ok(())
    }

    /// The world that it runs in, without any happening.
    #[must_use]
    pub fn world_plan(&self) -> Plan {
        let names = ["bkk", "cnx", "kkc", "sgn"];
        let pipe = PipeSpec {
            rate: self.swarm.rate,
            propagation: self.swarm.propagation,
            jitter: self.swarm.jitter,
            loss: self.swarm.loss,
            queue: Size(64_000),
        };
        let relays = (0..self.relays).map(|number| EntitySpec {
            name: names
                .get(usize::from(number))
                .map_or_else(|| format!("relay {number}"), |name| (*name).to_owned()),
            role: Role::Relay,
            group: 0,
        });
        let nodes = (0..self.nodes).map(|number| EntitySpec {
            name: format!("node {number}"),
            role: Role::Node,
            group: 1,
        });
        Plan {
            entities: relays.chain(nodes).collect(),
            links: vec![LinkSpec {
                forth: pipe,
                back: None,
                handshake_round_trips: 1,
                discovery: Span(0),
                channel: None,
            }],
            timelines: self
                .timelines
                .iter()
                .map(|members| members.iter().copied().map(Self::machine).collect())
                .collect(),
            ..Plan::default()
        }
    }
}

/// The end that a one-way partition silences.
#[must_use]
pub const fn blocked_end(from_node: bool) -> End {
    if from_node { End::Node } else { End::Relay }
}
