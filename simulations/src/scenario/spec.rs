//! A scenario as its file writes it. `SCENARIOS.md` describes every key; a test
//! compares the two.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::protocol::Protocol;
use crate::actors::world::Fidelity;
use crate::links::LinkSpec;
use crate::mobility::spec::MobilitySpec;
use crate::plan::Role;
use crate::routing::prophet::Parameters;
use crate::units::{Size, Span};

/// Replications when a scenario does not say.
pub const REPLICATIONS: u32 = 20;

/// A whole scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// A short name; also of the run folder.
    pub name: String,
    /// What it shows, for people.
    pub about: String,
    /// Parts of the real system that are not built yet, and what is assumed instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumes: Vec<String>,
    /// Length of a run.
    pub duration: Span,
    /// Messages written before this are in no statistic.
    #[serde(default)]
    pub warm_up: Span,
    /// Runs, each with its own seed.
    #[serde(default = "replications")]
    pub replications: u32,
    /// What links are to the real node and relay; protocols of the literature have frames.
    #[serde(default)]
    pub fidelity: Fidelity,
    /// Multiplies counts of nodes and timelines, and rates of messages; above 0, at most 10.
    #[serde(default = "whole")]
    pub scale: f64,
    /// Kinds of link, by name.
    #[serde(default)]
    pub link: BTreeMap<String, LinkSpec>,
    /// Machines, by name of their group.
    pub group: BTreeMap<String, GroupSpec>,
    /// Links between groups that do not depend on where machines are.
    #[serde(default)]
    pub connect: Vec<ConnectSpec>,
    /// Who writes to whom.
    #[serde(default)]
    pub traffic: Vec<TrafficSpec>,
    /// Machines that fail.
    #[serde(default)]
    pub outage: Vec<OutageSpec>,
    /// What is compared.
    #[serde(default)]
    pub routing: RoutingSpec,
}

const fn replications() -> u32 {
    REPLICATIONS
}

const fn whole() -> f64 {
    1.0
}

const fn yes() -> bool {
    true
}

/// Machines that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// What runs on them.
    pub role: RoleSpec,
    /// How many, before scaling.
    pub count: u32,
    /// Whether `scale` changes the count; of relays it never does.
    #[serde(default = "yes")]
    pub scales: bool,
    /// How they move.
    #[serde(default = "nowhere")]
    pub mobility: MobilitySpec,
    /// How they reach whom they meet.
    #[serde(default)]
    pub radio: Option<RadioSpec>,
}

const fn nowhere() -> MobilitySpec {
    MobilitySpec::Nowhere
}

/// What runs on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleSpec {
    /// A person's device.
    Node,
    /// A relay.
    Relay,
}

impl From<RoleSpec> for Role {
    fn from(role: RoleSpec) -> Self {
        match role {
            RoleSpec::Node => Self::Node,
            RoleSpec::Relay => Self::Relay,
        }
    }
}

/// A radio that reaches whoever is near, or meets by the mobility model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadioSpec {
    /// How far, in metres; models without space need none.
    #[serde(default)]
    pub range_m: f64,
    /// Name of the link that a contact is.
    pub link: String,
}

/// Machines of one group reach machines of another, wherever they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectSpec {
    /// Names its randomness.
    pub name: String,
    /// One group.
    pub from: String,
    /// The other, or the same.
    pub to: String,
    /// Name of the link; its `forth` goes from `from` to `to`.
    pub link: String,
    /// Which pairs.
    #[serde(default)]
    pub pairs: Pairs,
    /// Share of the members of `from` that have the link, each by its own draw; 0 to 1.
    #[serde(default = "whole")]
    pub share: f64,
    /// Cuts in time order or not; they may overlap.
    #[serde(default)]
    pub cuts: Vec<CutSpec>,
    /// The link comes and goes; absent = always there.
    #[serde(default)]
    pub availability: Option<AvailabilitySpec>,
}

/// Which machines of two groups have a link to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pairs {
    /// Each of `from` with each of `to`.
    #[default]
    All,
    /// Each of `from` with one of `to`, in turn.
    InTurn,
}

/// Nothing passes for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutSpec {
    /// From here on.
    pub from: Span,
    /// Until here.
    pub until: Span,
    /// Which way.
    #[serde(default)]
    pub direction: CutDirection,
}

/// Which way is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutDirection {
    /// No contact at all.
    #[default]
    Both,
    /// Nothing passes from `from` to `to`.
    Forth,
    /// Nothing passes from `to` to `from`.
    Back,
}

/// A link alternates between up and down; each pair on its own, beginning at a random place of its cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvailabilitySpec {
    /// How long it is up.
    pub up: SpanDistribution,
    /// How long it is down.
    pub down: SpanDistribution,
}

/// A random length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SpanDistribution {
    /// Always this.
    Fixed(Span),
    /// Between the two.
    Uniform([Span; 2]),
    /// Exponential with this mean.
    Exponential(Span),
}

/// A random size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SizeDistribution {
    /// Always this.
    Fixed(Size),
    /// Between the two.
    Uniform([Size; 2]),
    /// Lognormal.
    LogNormal(LogNormalSpec),
}

/// A lognormal size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogNormalSpec {
    /// Half of all are smaller.
    pub median: Size,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
    /// Nothing is greater.
    pub most: Size,
}

/// Messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficSpec {
    /// Names its randomness.
    pub name: String,
    /// Two machines, drawn anew for each message. Either this or `timelines`.
    #[serde(default)]
    pub pairs: Option<PairsSpec>,
    /// Timelines with fixed members.
    #[serde(default)]
    pub timelines: Option<TimelinesSpec>,
    /// Between two messages.
    pub interval: SpanDistribution,
    /// Of what the interval is.
    #[serde(default)]
    pub per: Per,
    /// Length of texts.
    pub size: SizeDistribution,
    /// The first message comes one interval later.
    #[serde(default)]
    pub begin: Span,
    /// No message from here on; absent = the end of the run.
    #[serde(default)]
    pub until: Option<Span>,
    /// Hours of the day in which people write, [first, last), 0 to 24; the run begins at midnight.
    #[serde(default)]
    pub hours: Option<[u32; 2]>,
}

/// Writer and reader of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairsSpec {
    /// Groups that write.
    pub from: Vec<String>,
    /// Groups that read.
    pub to: Vec<String>,
}

/// Conversations of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimelinesSpec {
    /// Groups that members are drawn from.
    pub of: Vec<String>,
    /// How many, before scaling.
    pub count: u32,
    /// Members of each; fewer if the groups have fewer.
    pub members: u32,
    /// How many of the members write; absent = all.
    #[serde(default)]
    pub writers: Option<u32>,
}

/// Of what an interval between messages is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Of all messages of the entry; `scale` divides it.
    #[default]
    Network,
    /// Of each writer on its own.
    Writer,
}

/// A machine is killed and started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutageSpec {
    /// Of this group.
    pub group: String,
    /// Which one, from 1; absent = all.
    #[serde(default)]
    pub member: Option<u32>,
    /// Killed here; what was not synced is lost.
    pub from: Span,
    /// Started here.
    pub until: Span,
}

/// What is compared on the same plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutingSpec {
    /// Names, with parameters after a colon.
    #[serde(default = "all_protocols")]
    pub protocols: Vec<Protocol>,
    /// Room of one machine; absent = unlimited. The oldest message goes first.
    #[serde(default)]
    pub buffer: Option<Size>,
    /// A message is worthless after this; absent = never.
    #[serde(default)]
    pub ttl: Option<Span>,
    /// Parameters of PRoPHET.
    #[serde(default)]
    pub prophet: ProphetSpec,
}

impl Default for RoutingSpec {
    fn default() -> Self {
        Self {
            protocols: all_protocols(),
            buffer: None,
            ttl: None,
            prophet: ProphetSpec::default(),
        }
    }
}

fn all_protocols() -> Vec<Protocol> {
    vec![
        Protocol::Direct,
        Protocol::Epidemic,
        Protocol::TwoHop,
        Protocol::SourceSpray { copies: 8 },
        Protocol::BinarySpray { copies: 8 },
        Protocol::Prophet,
        Protocol::Khlong,
    ]
}

/// Parameters of PRoPHET as RFC 6693 §3.3 names them; defaults are those of
/// [`Parameters`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProphetSpec {
    /// What a meeting after a typical interval counts.
    pub encounter_max: f64,
    /// The predictability after the first meeting.
    pub encounter_first: f64,
    /// Below it a machine counts as never met.
    pub first_threshold: f64,
    /// What a way over another machine counts.
    pub beta: f64,
    /// What is left after one `time_unit`.
    pub gamma: f64,
    /// Keeps predictabilities below 1.
    pub delta: f64,
    /// Two meetings closer than this count less.
    pub typical_interval: Span,
    /// Of ageing.
    pub time_unit: Span,
}

impl Default for ProphetSpec {
    fn default() -> Self {
        let known = Parameters::default();
        Self {
            encounter_max: known.encounter_max,
            encounter_first: known.encounter_first,
            first_threshold: known.first_threshold,
            beta: known.beta,
            gamma: known.gamma,
            delta: known.delta,
            typical_interval: known.typical_interval,
            time_unit: known.time_unit,
        }
    }
}

impl From<ProphetSpec> for Parameters {
    fn from(spec: ProphetSpec) -> Self {
        Self {
            encounter_max: spec.encounter_max,
            encounter_first: spec.encounter_first,
            first_threshold: spec.first_threshold,
            beta: spec.beta,
            gamma: spec.gamma,
            delta: spec.delta,
            typical_interval: spec.typical_interval,
            time_unit: spec.time_unit,
        }
    }
}
