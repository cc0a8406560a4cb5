//! One plan: torment, heal, require. What each step does: `steps`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "frames and answers of other kinds say nothing here"
)]

mod steps;

use std::collections::BTreeMap;

use khlong_crdt::id::{AuthorKey, Seq};
use khlong_crdt::time::Monotonic;
use khlong_node::api::{Request, Response};

pub(in crate::fuzz) use self::steps::fault_of;
use super::checkers::pace::DRAIN_MAX;
use super::checkers::{Ledger, Written};
use super::log::Log;
use super::plan::{FuzzPlan, blocked_end};
use super::workload::{DISK_FAULTS, Outcome, caught};
use crate::actors::setup::{self, Met};
use crate::actors::world::{Action, Carriage, World, WorldOptions};
use crate::kernel::seeds::Seeds;
use crate::kernel::{MINUTE, SECOND};
use crate::plan::{Entity, LinkIndex, Plan};

/// Until what is on a wire when all is quiet has arrived.
const LAST_ARRIVALS: u64 = MINUTE;

/// Carries out a plan. Anything that goes wrong, a panic of a core included, is in the outcome.
#[must_use]
pub fn replay(plan: &FuzzPlan) -> Outcome {
    if let Err(reason) = plan.check() {
        return Outcome::failed(format!("the plan cannot be run: {reason}"));
    }
    let log = Log::default();
    caught(|| log.keeping(|| Run::carry_out(plan, log.clone())))
}

/// What a person asked of a device.
struct Asked {
    timeline: String,
    /// Whether it is a new message.
    is_new: bool,
    /// What the device showed last before.
    saw: Option<String>,
    /// In which of its lives.
    life: u32,
}

struct Run<'p> {
    plan: &'p FuzzPlan,
    world: World,
    met: Met,
    ledger: Ledger,
    log: Log,
    /// What each request was about.
    asked: BTreeMap<u32, Asked>,
    number: u32,
    /// Messages written by each device in each timeline, in order.
    mine: BTreeMap<(Entity, String), Vec<String>>,
    messages: u32,
    /// Strangers so far.
    strangers: usize,
}

impl<'p> Run<'p> {
    fn carry_out(plan: &'p FuzzPlan, log: Log) -> Outcome {
        let world_plan = plan.world_plan();
        let mut run = match Self::begin(plan, &world_plan, log) {
            Ok(run) => run,
            Err(reason) => return Outcome::failed(format!("setup: {reason}")),
        };
        for step in &plan.steps {
            run.advance(run.met.begin.after_micros(step.at.0));
            run.perform(step);
        }
        run.advance(run.met.begin.after_micros(plan.span().0));
        run.lift_faults();
        let shared = run.shared(&world_plan);
        run.ledger.check_deliveries(&mut run.world, &shared);
        run.heal();
        run.require(&world_plan);
        run.outcome()
    }

    fn begin(plan: &'p FuzzPlan, world_plan: &Plan, log: Log) -> Result<Self, String> {
        let options = WorldOptions {
            carriage: if plan.swarm.bytes {
                Carriage::Bytes
            } else {
                Carriage::Values
            },
            node_commit_us: plan.swarm.node_commit.0,
            relay_commit_us: plan.swarm.relay_commit.0,
            shuffled: plan.swarm.shuffled,
            capture: true,
            ..WorldOptions::default()
        };
        let seeds = Seeds::new(plan.seed);
        let mut world =
            World::new(world_plan, seeds, options).map_err(|error| error.to_string())?;
        let met = setup::meet(&mut world, world_plan).map_err(|error| error.to_string())?;
        let mut ledger = Ledger::default();
        let promises = world.take_facts_of_setup();
        ledger.absorb(&world, promises);
        ledger.learn_secrets(&world);
        ledger.overhear(&mut world);
        world.take_events();
        let mut run = Self {
            plan,
            world,
            met,
            ledger,
            log,
            asked: BTreeMap::new(),
            number: 0,
            mine: BTreeMap::new(),
            messages: 0,
            strangers: 0,
        };
        run.connect_all();
        Ok(run)
    }

    /// Every device can reach every relay.
    fn connect_all(&mut self) {
        let now = self.world.now();
        for node in self.plan.node_entities() {
            for relay in self.plan.relay_entities() {
                if !self.world.is_reachable(node, relay) {
                    self.world.act(now, Action::Up(node, relay, LinkIndex(0)));
                }
            }
        }
        self.advance(now);
    }

    fn advance(&mut self, until: Monotonic) {
        while self.world.step(until) {
            self.absorb();
        }
        self.absorb();
    }

    fn absorb(&mut self) {
        let facts = self.world.take_facts();
        if !facts.is_empty() {
            self.ledger.absorb(&self.world, facts);
        }
        self.ledger.overhear(&mut self.world);
        self.ledger.read_log(&self.log.take());
        for (who, number, response) in self.world.take_answers() {
            self.answered(who, number, response);
        }
        self.world.take_events();
    }

    fn answered(&mut self, who: Entity, number: u32, response: Response) {
        let Some(asked) = self.asked.remove(&number) else {
            return;
        };
        match response {
            Response::Written {
                message: Some(id),
                envelope,
                ..
            } if asked.is_new => {
                self.ledger.findings.happened("messages written");
                // What a device had not committed before it failed, it had not seen.
                let lives_on = self.life_of(who) == asked.life;
                self.ledger.written.push(Written {
                    who,
                    timeline: asked.timeline.clone(),
                    id: id.clone(),
                    envelope: envelope.as_deref().and_then(place_of),
                    saw: asked.saw.filter(|_| lives_on),
                });
                self.mine.entry((who, asked.timeline)).or_default().push(id);
            }
            Response::Refused { .. } => self.ledger.findings.happened("requests refused"),
            _ => {}
        }
    }

    fn life_of(&self, who: Entity) -> u32 {
        self.world.node(who).map_or(0, |node| node.life())
    }

    /// Power and disks work again; networks, and what waits for them, are as they were.
    fn lift_faults(&mut self) {
        let now = self.world.now();
        self.count_disk_faults();
        let machines: Vec<Entity> = self.world.entities().collect();
        for who in &machines {
            if let Some(disk) = self.world.disk(*who) {
                disk.forget_faults();
            }
            self.world.act(now, Action::FreeBytes(*who, None));
            self.world.act(now, Action::Start(*who));
        }
        self.advance(now);
    }

    /// Everything works again; clocks stay as they are.
    fn heal(&mut self) {
        let now = self.world.now();
        for node in self.plan.node_entities() {
            for relay in self.plan.relay_entities() {
                for from_node in [true, false] {
                    let end = blocked_end(from_node);
                    self.world.act(now, Action::Block(node, relay, end, false));
                }
            }
        }
        self.advance(now);
        self.connect_all();
        self.world.connect_twins(now, LinkIndex(0));
        // A person who sees a refusal presses "retry" once the cause is gone.
        for node in self.plan.node_entities() {
            self.ask(node, String::new(), false, Request::OutboxRetry);
        }
        self.ledger.pace.begin();
    }

    fn count_disk_faults(&mut self) {
        let machines: Vec<Entity> = self.world.entities().collect();
        for who in machines {
            let Some(disk) = self.world.disk(who) else {
                continue;
            };
            let fired: Vec<_> = DISK_FAULTS
                .iter()
                .filter(|(kind, _)| disk.fired(*kind) > 0)
                .map(|(_, name)| *name)
                .collect();
            for name in fired {
                self.ledger.findings.happened(name);
            }
        }
    }

    fn require(&mut self, world_plan: &Plan) {
        let end = self.world.now().after_micros(DRAIN_MAX);
        let mut quiet = false;
        while self.world.now() < end && !quiet {
            let pause = self.world.now().after_micros(SECOND);
            self.advance(pause);
            // A device between two attempts to connect has nothing to do, and is not finished.
            quiet = self.world.is_connected() && self.world.is_idle() && self.world.outboxes() == 0;
        }
        let waiting = (!quiet).then(|| {
            let (waiting, why) = (self.world.outboxes(), self.world.why_busy());
            format!("{waiting} envelopes wait ({why})")
        });
        // What was acknowledged last is still on its way to the others: where three packets of
        // ten are lost, one may be sent many times, each time later.
        let pause = self.world.now().after_micros(LAST_ARRIVALS);
        self.advance(pause);
        let shared = self.shared(world_plan);
        let ledger = &mut self.ledger;
        ledger.pace.check(waiting.as_deref(), &mut ledger.findings);
        ledger.check_all(&mut self.world, &shared, quiet);
    }

    /// Each timeline as text, with its members.
    fn shared(&self, world_plan: &Plan) -> Vec<(String, Vec<Entity>)> {
        let timelines = self.met.timelines.iter().cloned();
        timelines
            .zip(world_plan.timelines.iter().cloned())
            .collect()
    }

    fn outcome(self) -> Outcome {
        let (violations, sometimes) = self.ledger.findings.into_parts();
        Outcome {
            violations,
            sometimes,
            trace_hash: self.world.trace().hash(),
            events: self.world.events_handled(),
            simulated_us: self.world.now().0,
        }
    }
}

/// Author and place of an envelope, from `aut_…:seq`.
fn place_of(text: &str) -> Option<(AuthorKey, Seq)> {
    let (author, seq) = text.rsplit_once(':')?;
    Some((author.parse().ok()?, Seq(seq.parse().ok()?)))
}
