//! A plan, carried out by the real cores.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "frames and answers of other kinds say nothing here"
)]

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::time::Monotonic;
use khlong_node::api::{Event, Request, Response};

use super::WorldError;
use super::facts::{Fact, What};
use super::setup::{self, Met};
use super::wire::End;
use super::world::{Action, World, WorldOptions};
use crate::kernel::seeds::Seeds;
use crate::plan::{Entity, Plan};
use crate::results::{Happening, MessageResult, Occupancy, RunResults};

/// The name of this protocol in results.
pub const PROTOCOL: &str = "khlong";
/// The name of a counter: bytes that left on links during the run, all headers and
/// retransmissions included.
pub const LINK_BYTES: &str = "bytes on links";
/// How often the outboxes are counted.
const OCCUPANCY_EVERY_US: u64 = 60 * crate::kernel::SECOND;

/// How a plan is carried out.
#[derive(Clone, Debug, Default)]
pub struct ExecuteOptions {
    /// Of the world.
    pub world: WorldOptions,
    /// Whether every transfer becomes a row of the event table.
    pub happenings: bool,
}

/// Carries out `plan`: timelines are made beforehand ([`setup`]), then contacts,
/// messages and outages happen as planned.
///
/// # Errors
/// [`WorldError`] if the timelines cannot be made.
pub fn execute(
    plan: &Plan,
    seeds: Seeds,
    options: &ExecuteOptions,
) -> Result<RunResults, WorldError> {
    Ok(Prepared::new(plan, seeds, options)?.carry_out())
}

/// A plan whose people have met; its time 0 has not come yet.
pub struct Prepared<'p> {
    plan: &'p Plan,
    world: World,
    met: Met,
    happenings: bool,
}

impl<'p> Prepared<'p> {
    /// Makes the machines and the timelines.
    ///
    /// # Errors
    /// [`WorldError`] if the timelines cannot be made.
    pub fn new(plan: &'p Plan, seeds: Seeds, options: &ExecuteOptions) -> Result<Self, WorldError> {
        let mut world_options = options.world.clone();
        world_options.note_frames = true;
        let mut world = World::new(plan, seeds, world_options)?;
        let met = setup::meet(&mut world, plan)?;
        world.take_facts();
        world.take_events();
        Ok(Self {
            plan,
            world,
            met,
            happenings: options.happenings,
        })
    }

    /// Lets everything happen as planned, to the end of the run.
    #[must_use]
    pub fn carry_out(self) -> RunResults {
        let Self {
            plan,
            mut world,
            met,
            happenings,
        } = self;
        let mut recorder = Recorder::new(plan, &met, happenings);
        let bytes_before = world.link_bytes();
        schedule(&mut world, plan, &met);
        let end = met.begin.after_micros(plan.end.0);
        let mut sample = met.begin;
        while sample < end {
            sample = sample.after_micros(OCCUPANCY_EVERY_US).min(end);
            while world.step(sample) {
                recorder.absorb(&mut world);
            }
            recorder.sample(&world, sample);
        }
        let bytes = world.link_bytes() - bytes_before;
        recorder
            .results
            .counters
            .insert(LINK_BYTES.to_owned(), bytes);
        recorder.finish(&world)
    }
}

fn schedule(world: &mut World, plan: &Plan, met: &Met) {
    let at = |time: Monotonic| met.begin.after_micros(time.0);
    for contact in &plan.contacts {
        world.act(
            at(contact.up),
            Action::Up(contact.a, contact.b, contact.link),
        );
        world.act(at(contact.down), Action::Down(contact.a, contact.b));
    }
    for way in &plan.one_way {
        let (node, relay, end) = if world.node(way.sender).is_some() {
            (way.sender, way.receiver, End::Node)
        } else {
            (way.receiver, way.sender, End::Relay)
        };
        world.act(at(way.from), Action::Block(node, relay, end, true));
        world.act(at(way.until), Action::Block(node, relay, end, false));
    }
    for outage in &plan.outages {
        world.act(at(outage.from), Action::Crash(outage.who, 0));
        world.act(at(outage.until), Action::Start(outage.who));
    }
    for (number, message) in (0..).zip(&plan.messages) {
        let Some(timeline) = met.timelines.get(message.timeline as usize) else {
            continue;
        };
        let request = Request::Send {
            timeline: timeline.clone(),
            body: body(number, message.bytes),
            reply_to: None,
        };
        world.act(
            at(message.at),
            Action::Ask(message.from, number, Box::new(request)),
        );
    }
}

/// A text of `bytes` bytes that names its message.
#[must_use]
pub fn body(number: u32, bytes: u32) -> String {
    let mut text = format!("#{number} ");
    let filler = "สวัสดีจากคลอง hello from the canal ";
    for letter in filler.chars().cycle() {
        if text.len() + letter.len_utf8() > bytes as usize {
            break;
        }
        text.push(letter);
    }
    text
}

struct Recorder<'p> {
    plan: &'p Plan,
    begin: Monotonic,
    happenings: bool,
    /// Which planned message an id is.
    ids: BTreeMap<String, u32>,
    shown: BTreeMap<(u32, Entity), Monotonic>,
    written: BTreeSet<u32>,
    /// Seen before the answer that names it.
    early: BTreeMap<String, Vec<(Entity, Monotonic)>>,
    results: RunResults,
}

impl<'p> Recorder<'p> {
    fn new(plan: &'p Plan, met: &Met, happenings: bool) -> Self {
        Self {
            plan,
            begin: met.begin,
            happenings,
            ids: BTreeMap::new(),
            shown: BTreeMap::new(),
            written: BTreeSet::new(),
            early: BTreeMap::new(),
            results: RunResults {
                protocol: PROTOCOL.to_owned(),
                ..RunResults::default()
            },
        }
    }

    fn absorb(&mut self, world: &mut World) {
        let now = world.now();
        for (who, number, response) in world.take_answers() {
            self.answered(now, who, number, response);
        }
        for (who, event) in world.take_events() {
            if let Event::Message { message, .. } = event {
                self.saw(now, who, message);
            }
        }
        for fact in world.take_facts() {
            self.fact(&fact);
        }
    }

    fn answered(&mut self, now: Monotonic, who: Entity, number: u32, response: Response) {
        match response {
            Response::Written {
                message: Some(id), ..
            } => {
                self.written.insert(number);
                self.happened(now, "created", who, None, Some(number), 0);
                self.ids.insert(id.clone(), number);
                for (who, at) in self.early.remove(&id).unwrap_or_default() {
                    self.saw(at, who, id.clone());
                }
            }
            Response::Refused { .. } => {
                *self
                    .results
                    .dropped
                    .entry("refused by the node")
                    .or_default() += 1;
            }
            _ => {}
        }
    }

    fn saw(&mut self, at: Monotonic, who: Entity, id: String) {
        let Some(number) = self.ids.get(&id).copied() else {
            return self.early.entry(id).or_default().push((who, at));
        };
        let is_writer = self
            .plan
            .messages
            .get(number as usize)
            .is_some_and(|message| message.from == who);
        if !is_writer && self.shown.insert((number, who), at).is_none() {
            self.happened(at, "delivered", who, None, Some(number), 0);
        }
    }

    fn fact(&mut self, fact: &Fact) {
        let (at, who) = (fact.at, fact.who);
        match &fact.what {
            What::Sent { to, class, bytes } => {
                *self.results.bytes.entry(class).or_default() += bytes;
                self.happened(at, "sent", who, Some(*to), None, *bytes);
            }
            What::Aborted { to } => {
                self.results.aborted += 1;
                self.happened(at, "aborted", who, Some(*to), None, 0);
            }
            What::Offered { envelopes, .. } => self.count("envelopes offered", envelopes.len()),
            What::Acknowledged { envelopes, .. } => {
                self.count("envelopes acknowledged", envelopes.len());
            }
            What::Refused { code, .. } => {
                self.count(&format!("envelopes refused: {code}"), 1);
            }
            What::Attempt { .. } => self.count("connection attempts", 1),
            What::Connected { .. } => self.count("connections", 1),
            What::CoreFailed { .. } => self.count("cores failed", 1),
            What::ForkSeen { .. } => self.count("forks seen", 1),
            What::Crashed => self.happened(at, "crash", who, None, None, 0),
            What::Started => self.happened(at, "start", who, None, None, 0),
            What::Disconnected { .. } => {}
        }
    }

    fn count(&mut self, name: &str, more: usize) {
        *self.results.counters.entry(name.to_owned()).or_default() += more as u64;
    }

    fn happened(
        &mut self,
        at: Monotonic,
        kind: &'static str,
        from: Entity,
        to: Option<Entity>,
        message: Option<u32>,
        bytes: u64,
    ) {
        if self.happenings {
            let at = Monotonic(at.since_micros(self.begin));
            self.results.happenings.push(Happening {
                at,
                kind,
                from,
                to,
                message,
                bytes,
            });
        }
    }

    /// What is written and has not arrived everywhere.
    fn sample(&mut self, world: &World, at: Monotonic) {
        let mut occupancy = Occupancy {
            at: Monotonic(at.since_micros(self.begin)),
            messages: 0,
            bytes: 0,
        };
        for who in world.entities() {
            if let Some(peer) = world.node(who).and_then(super::node::NodeMachine::peer) {
                occupancy.messages += peer.queued();
            }
            if let Some(disk) = world.disk(who) {
                occupancy.bytes += disk.live_bytes();
            }
        }
        self.results.occupancy.push(occupancy);
    }

    fn finish(mut self, world: &World) -> RunResults {
        for (number, message) in (0..).zip(&self.plan.messages) {
            if !self.written.contains(&number) {
                *self
                    .results
                    .dropped
                    .entry("the device was off")
                    .or_default() += 1;
            }
            for to in self.plan.receivers(message) {
                let delivered = self
                    .shown
                    .get(&(number, to))
                    .map(|at| Monotonic(at.since_micros(self.begin)));
                self.results.relayed += u64::from(delivered.is_some()) * 2;
                self.results.messages.push(MessageResult {
                    message: number,
                    to,
                    created: message.at,
                    delivered,
                    hops: if delivered.is_some() { 2 } else { 0 },
                    copies: 0,
                });
            }
        }
        self.results.events = world.events_handled();
        self.results.trace_hash = world.trace().hash();
        self.results
    }
}
