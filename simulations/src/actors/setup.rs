//! Before a run begins: the members of each timeline have met.
//!
//! The timelines of a plan are made by the product's own flow, one relay address,
//! one invite, one join at a time, over perfect links in a time before the run.
//! So keys, grants and handovers are real, and a run begins where people
//! who know each other begin.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "frames and answers of other kinds say nothing here"
)]

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::time::Monotonic;
use khlong_node::api::{Request, Response};

use super::WorldError;
use super::world::{Action, World};
use crate::kernel::{HOUR, MINUTE, SECOND};
use crate::links::{LinkSpec, PipeSpec};
use crate::plan::{Entity, LinkIndex, Plan, Role};
use crate::units::{Rate, Size, Span};

/// How long meeting may take at most.
const SETUP_MAX: u64 = 6 * HOUR;
/// Invites that are under way at once.
const INVITES_A_ROUND: usize = 64;

/// What setup made.
#[derive(Clone, Debug, Default)]
pub struct Met {
    /// The run's time 0 on the world's clock.
    pub begin: Monotonic,
    /// Text id of each timeline.
    pub timelines: Vec<String>,
}

/// Makes the timelines of `plan` and leaves everybody unconnected.
///
/// # Errors
/// [`WorldError`] if a node refuses, or somebody cannot join in time.
pub fn meet(world: &mut World, plan: &Plan) -> Result<Met, WorldError> {
    let relays: Vec<Entity> = plan.of_role(Role::Relay).collect();
    if relays.is_empty() && !plan.timelines.is_empty() {
        let reason = "timelines need a relay: give a group `role = \"relay\"`".to_owned();
        return Err(WorldError::Plan(reason));
    }
    let members: BTreeSet<Entity> = plan.timelines.iter().flatten().copied().collect();
    let perfect = world.add_link(perfect_link());
    let mut asker = Asker { world, number: 0 };
    for (timeline, members) in plan.timelines.iter().enumerate() {
        for relay in plan.carriers(timeline) {
            for member in members {
                asker.connect(*member, relay, perfect);
            }
        }
    }
    let mut met = Met::default();
    for (place, members) in plan.timelines.iter().enumerate() {
        let addresses = plan
            .carriers(place)
            .into_iter()
            .map(|relay| asker.world.relay_address(relay))
            .collect();
        let Some(founder) = members.first() else {
            return Err(WorldError::Plan(format!("timeline {place} has no members")));
        };
        let request = Request::TimelineNew {
            title: format!("timeline {place}"),
            kind: "group".to_owned(),
            relays: addresses,
        };
        met.timelines
            .push(timeline_of(asker.ask(*founder, request)?)?);
    }
    asker.settle()?;
    let mut waiting: Vec<(Entity, Entity, String)> = Vec::new();
    for (members, timeline) in plan.timelines.iter().zip(&met.timelines) {
        if let Some((founder, others)) = members.split_first() {
            waiting.extend(
                others
                    .iter()
                    .map(|other| (*founder, *other, timeline.clone())),
            );
        }
    }
    // A member of several timelines joins one of them a round, so that no founder waits for long.
    while !waiting.is_empty() {
        let mut joining = BTreeMap::new();
        waiting.retain(|(founder, other, timeline)| {
            let takes = joining.len() < INVITES_A_ROUND && !joining.contains_key(other);
            if takes {
                joining.insert(*other, (*founder, timeline.clone()));
            }
            !takes
        });
        asker.join_all(joining)?;
    }
    let world = asker.world;
    for member in members {
        for relay in &relays {
            if world.is_reachable(member, *relay) {
                world.act(world.now(), Action::Down(member, *relay));
            }
        }
    }
    let begin = world.now().after_micros(SECOND);
    world.run_until(begin);
    met.begin = begin;
    Ok(met)
}

struct Asker<'w> {
    world: &'w mut World,
    number: u32,
}

impl Asker<'_> {
    fn connect(&mut self, node: Entity, relay: Entity, link: LinkIndex) {
        if !self.world.is_reachable(node, relay) {
            let now = self.world.now();
            self.world.act(now, Action::Up(node, relay, link));
            self.world.run_until(now);
        }
    }

    fn join_all(&mut self, joining: BTreeMap<Entity, (Entity, String)>) -> Result<(), WorldError> {
        let mut links = BTreeMap::new();
        for (other, (founder, timeline)) in joining {
            let request = Request::TimelineInvite {
                timeline,
                to: None,
                read_only: false,
                expires_in_s: 30 * 86_400,
            };
            match self.ask(founder, request)? {
                Response::Invite { link, .. } => links.insert(other, link),
                other => return Err(unexpected(&other)),
            };
        }
        self.settle()?;
        for (other, link) in links {
            timeline_of(self.ask(other, Request::TimelineJoin { link })?)?;
        }
        self.settle()
    }

    /// Asks, and runs the world until the answer is there.
    fn ask(&mut self, who: Entity, request: Request) -> Result<Response, WorldError> {
        self.number += 1;
        let number = self.number;
        self.world.act(
            self.world.now(),
            Action::Ask(who, number, Box::new(request)),
        );
        let end = self.world.now().after_micros(MINUTE);
        loop {
            let answer = self
                .world
                .take_answers()
                .into_iter()
                .find(|(from, of, _)| *from == who && *of == number);
            if let Some((_, _, response)) = answer {
                return match response {
                    Response::Refused { message, .. } => Err(WorldError::Plan(message)),
                    response => Ok(response),
                };
            }
            if !self.world.step(end) {
                let reason = format!("entity {} does not answer", who.0);
                return Err(WorldError::Plan(reason));
            }
        }
    }

    fn settle(&mut self) -> Result<(), WorldError> {
        if self.world.run_until_idle(SETUP_MAX) {
            return Ok(());
        }
        Err(WorldError::Plan(
            "the members of the timelines could not meet: they do not become idle".to_owned(),
        ))
    }
}

fn timeline_of(response: Response) -> Result<String, WorldError> {
    match response {
        Response::Timeline { timeline } => Ok(timeline.id),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(response: &Response) -> WorldError {
    WorldError::Plan(format!(
        "a node gave an answer of another kind: {response:?}"
    ))
}

const fn perfect_link() -> LinkSpec {
    let pipe = PipeSpec {
        rate: Rate(10_000_000_000),
        propagation: Span(100),
        jitter: Span(0),
        loss: 0.0,
        queue: Size(u64::MAX),
    };
    LinkSpec {
        forth: pipe,
        back: None,
        handshake_round_trips: 1,
        discovery: Span(0),
        channel: None,
    }
}
