//! Moves bundles over the contacts of a plan, as one protocol decides.
//!
//! A contact carries one transfer at a time in each direction. Contacts are
//! half-open, [up, down): a transfer that would end at `down` or later is lost,
//! and its bundle stays where it was. While a machine is out (an outage of the
//! plan) its contacts carry nothing and its buffer stays as it is, since a
//! bundle counts as received when it is on the disk.

#![expect(
    clippy::indexing_slicing,
    reason = "entities, messages and links were checked against the plan first"
)]

use std::collections::BTreeMap;

use khlong_crdt::time::Monotonic;

use super::bits::Bits;
use super::buffer::Buffer;
use super::check::{RoutingError, check};
use super::prophet::Predictabilities;
use super::state::{Connection, Machine};
use super::{Options, Router};
use crate::kernel::queue::{EventClass, EventQueue};
use crate::kernel::seeds::Seeds;
use crate::kernel::trace::Trace;
use crate::links::air::Air;
use crate::plan::{Entity, Plan};
use crate::results::{Happening, MessageResult, Occupancy, RunResults};

/// Rows of the event table; what comes later is counted as `happenings-left-out`.
pub const HAPPENINGS_MAX: usize = 10_000_000;

/// Executes the plan. The same arguments give the same results, the trace hash included.
///
/// # Errors
/// [`RoutingError`], if the plan contradicts itself.
pub fn run(
    plan: &Plan,
    router: Router,
    options: Options,
    seeds: Seeds,
) -> Result<RunResults, RoutingError> {
    check(plan, options)?;
    let mut run = Run::new(plan, router, options, seeds);
    run.begin();
    while let Some((now, event)) = run.queue.pop_until(plan.end) {
        run.handle(now, event);
    }
    Ok(run.finish())
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// The contact at this place of the plan begins.
    Up(u32),
    Down(u32),
    /// Its first bundle may leave now.
    Ready(u32),
    Done {
        contact: u32,
        direction: usize,
        transfer: u64,
    },
    Write(u32),
    Expire(u32),
    Crash(u32),
    Start(u32),
    Sample,
}

pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) router: Router,
    pub(super) options: Options,
    pub(super) seeds: Seeds,
    pub(super) queue: EventQueue<Event>,
    pub(super) air: Air,
    pub(super) trace: Trace,
    pub(super) machines: Vec<Machine>,
    pub(super) connections: BTreeMap<u32, Connection>,
    /// Where the receivers of each message begin in the results.
    pub(super) first_result: Vec<usize>,
    /// Copies in buffers, by message.
    pub(super) holders: Vec<u32>,
    pub(super) expired: Bits,
    pub(super) transfers: u64,
    pub(super) held_messages: u64,
    pub(super) held_bytes: u64,
    pub(super) results: RunResults,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, router: Router, options: Options, seeds: Seeds) -> Self {
        let count = plan.messages.len();
        let machine = |spec: &crate::plan::EntitySpec| Machine {
            buffer: Buffer::for_messages(count),
            got: Bits::for_messages(count),
            contacts: Vec::new(),
            incoming: Vec::new(),
            outgoing: Vec::new(),
            refused: Bits::for_messages(count),
            taken_back: 0,
            outages: 0,
            predictabilities: Predictabilities::default(),
            order: seeds.stream("bundle order", &spec.name),
        };
        let mut results = RunResults {
            protocol: router.name(),
            ..RunResults::default()
        };
        let mut first_result = vec![0];
        for (message, planned) in (0..).zip(&plan.messages) {
            let receivers = plan.timelines[planned.timeline as usize]
                .iter()
                .filter(|who| **who != planned.from);
            results.messages.extend(receivers.map(|to| MessageResult {
                message,
                to: *to,
                created: planned.at,
                delivered: None,
                hops: 0,
                copies: 0,
            }));
            first_result.push(results.messages.len());
        }
        Self {
            plan,
            router,
            options,
            seeds,
            queue: EventQueue::in_order(),
            air: Air::default(),
            trace: Trace::default(),
            machines: plan.entities.iter().map(machine).collect(),
            connections: BTreeMap::new(),
            first_result,
            holders: vec![0; count],
            expired: Bits::for_messages(count),
            transfers: 0,
            held_messages: 0,
            held_bytes: 0,
            results,
        }
    }

    fn begin(&mut self) {
        self.schedule_contact(0);
        self.schedule_message(0);
        for (index, outage) in (0..).zip(&self.plan.outages) {
            self.queue
                .schedule(outage.from, EventClass::World, Event::Crash(index));
            self.queue
                .schedule(outage.until, EventClass::World, Event::Start(index));
        }
        if self.options.sample_every.0 > 0 {
            self.queue
                .schedule(Monotonic(0), EventClass::Probe, Event::Sample);
        }
    }

    /// The next one only, so that millions of them do not wait in the queue.
    fn schedule_contact(&mut self, index: u32) {
        if let Some(contact) = self.plan.contacts.get(index as usize) {
            self.queue
                .schedule(contact.up, EventClass::World, Event::Up(index));
        }
    }

    fn schedule_message(&mut self, index: u32) {
        if let Some(message) = self.plan.messages.get(index as usize) {
            self.queue
                .schedule(message.at, EventClass::Workload, Event::Write(index));
        }
    }

    fn handle(&mut self, now: Monotonic, event: Event) {
        match event {
            Event::Up(index) => {
                self.schedule_contact(index + 1);
                self.up(now, index);
            }
            Event::Down(index) => self.down(now, index),
            Event::Ready(index) => self.ready(now, index),
            Event::Done {
                contact,
                direction,
                transfer,
            } => self.done(now, contact, direction, transfer),
            Event::Write(index) => {
                self.schedule_message(index + 1);
                self.write(now, index);
            }
            Event::Expire(message) => self.expire(now, message),
            Event::Crash(index) => self.crash(now, self.plan.outages[index as usize].who),
            Event::Start(index) => self.start(now, self.plan.outages[index as usize].who),
            Event::Sample => {
                let sample = Occupancy {
                    at: now,
                    messages: self.held_messages,
                    bytes: self.held_bytes,
                };
                self.results.occupancy.push(sample);
                let next = now.after_micros(self.options.sample_every.0);
                self.queue.schedule(next, EventClass::Probe, Event::Sample);
            }
        }
    }

    pub(super) fn note(
        &mut self,
        at: Monotonic,
        kind: &'static str,
        from: Entity,
        to: Option<Entity>,
        message: Option<u32>,
        bytes: u64,
    ) {
        let absent = u64::MAX;
        let other = to.map_or(absent, |to| u64::from(to.0));
        let about = message.map_or(absent, u64::from);
        self.trace
            .note(at, kind, &[u64::from(from.0), other, about, bytes]);
        if self.options.happenings {
            if self.results.happenings.len() < HAPPENINGS_MAX {
                self.results.happenings.push(Happening {
                    at,
                    kind,
                    from,
                    to,
                    message,
                    bytes,
                });
            } else {
                *self
                    .results
                    .counters
                    .entry("happenings-left-out".to_owned())
                    .or_default() += 1;
            }
        }
    }

    fn finish(mut self) -> RunResults {
        let counters = [
            ("transfers-started", self.transfers),
            ("copies-at-end", self.held_messages),
        ];
        self.results
            .counters
            .extend(counters.map(|(name, count)| (name.to_owned(), count)));
        self.results.events = self.queue.taken();
        self.results.trace_hash = self.trace.hash();
        self.results
    }
}
