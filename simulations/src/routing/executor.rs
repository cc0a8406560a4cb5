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
use rand_chacha::ChaCha8Rng;

use super::bits::Bits;
use super::buffer::Buffer;
use super::check::{RoutingError, check};
use super::prophet::Predictabilities;
use super::{Options, Router, Transfer};
use crate::kernel::queue::{EventClass, EventQueue};
use crate::kernel::seeds::Seeds;
use crate::kernel::trace::Trace;
use crate::links::air::{Air, Sender};
use crate::links::pipe::Pipe;
use crate::plan::{Contact, Entity, Plan};
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

pub(super) struct Machine {
    pub(super) buffer: Buffer,
    /// Messages delivered to it, as a receiver.
    pub(super) got: Bits,
    /// Contacts that stand, in the order in which they began.
    pub(super) contacts: Vec<u32>,
    /// Messages on their way to it.
    pub(super) incoming: Vec<u32>,
    /// Messages that it is sending: not dropped meanwhile.
    pub(super) outgoing: Vec<u32>,
    /// Messages that it dropped for want of room, if transfers take no time: taken back, two of
    /// them could change places for ever in one moment.
    pub(super) refused: Bits,
    /// How often something became possible again: a copy was dropped or came back with a broken
    /// transfer, or predictabilities changed.
    pub(super) taken_back: u64,
    /// Outages that last.
    pub(super) outages: u32,
    pub(super) predictabilities: Predictabilities,
    pub(super) order: ChaCha8Rng,
}

pub(super) struct Connection {
    pub(super) contact: Contact,
    pub(super) ready: bool,
    /// When the set-up that has begun is over; an outage makes it begin anew.
    pub(super) ready_at: Option<Monotonic>,
    /// From `a` to `b`, and back, with the stream of what is left to chance.
    pub(super) pipes: Option<([Pipe; 2], ChaCha8Rng)>,
    /// See [`crate::links::LinkSpec::channel`]; none if transfers do not go over links.
    pub(super) channel: Option<u8>,
    pub(super) transfers: [Option<Moving>; 2],
    pub(super) passed: [Passed; 2],
}

/// How far a direction has looked through its holder's buffer, by arrival.
///
/// What it passed over was nothing to hand over, and stays so until something is taken back:
/// [`Machine::taken_back`] of either end counts that, and then all is looked through again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Before this arrival nothing is for the other end itself.
    pub(super) for_it: u64,
    /// Before this arrival there is nothing at all.
    pub(super) any: u64,
    /// As of this count, of both ends together.
    pub(super) taken_back: u64,
}

impl Connection {
    /// Sends `bytes` bytes at `now` with this contact's part of the airtime: when they are there,
    /// and how many they are on the wire. `None` without pipes, or if too much waits already.
    pub(super) fn send(
        &mut self,
        now: Monotonic,
        air: &mut Air,
        index: u32,
        direction: usize,
        bytes: u64,
    ) -> Option<(Monotonic, u64)> {
        let (pipes, random) = self.pipes.as_mut()?;
        let pipe = &mut pipes[direction];
        if pipe.is_full(now) {
            return None;
        }
        let (wire_bytes, before) = (pipe.wire_bytes(), pipe.free_at());
        let (ends, sender) = (
            [self.contact.a, self.contact.b],
            sender_of(index, direction),
        );
        let share = self
            .channel
            .map_or(1, |channel| air.share(now, channel, ends, sender, before));
        let at = pipe.send_sharing(now, bytes, share, random);
        if let Some(channel) = self.channel {
            air.occupy(channel, ends, sender, before, pipe.free_at());
        }
        Some((at, pipe.wire_bytes() - wire_bytes))
    }

    /// What is under way is cut off: its airtime is free.
    fn vacate(&self, air: &mut Air, index: u32) {
        let (Some(channel), Some((pipes, _))) = (self.channel, &self.pipes) else {
            return;
        };
        for (direction, pipe) in pipes.iter().enumerate() {
            let ends = [self.contact.a, self.contact.b];
            air.vacate(channel, ends, sender_of(index, direction), pipe.free_at());
        }
    }
}

/// A direction of a contact, to whoever shares its air.
fn sender_of(index: u32, direction: usize) -> Sender {
    Sender(u64::from(index) * 2 + direction as u64)
}

/// A bundle on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moving {
    pub(super) id: u64,
    pub(super) message: u32,
    pub(super) started: Monotonic,
    pub(super) ends: Monotonic,
    pub(super) bytes: u64,
    pub(super) hops: u16,
    /// Whether the other one keeps a copy, and how many copies it may give away.
    pub(super) keeps: Option<u32>,
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

    fn up(&mut self, now: Monotonic, index: u32) {
        let contact = self.plan.contacts[index as usize];
        if contact.down <= now {
            return;
        }
        self.note(now, "up", contact.a, Some(contact.b), None, 0);
        let connection = Connection {
            contact,
            ready: false,
            ready_at: None,
            pipes: None,
            channel: None,
            transfers: [None; 2],
            passed: [Passed::default(); 2],
        };
        self.connections.insert(index, connection);
        for who in [contact.a, contact.b] {
            self.machines[who.0 as usize].contacts.push(index);
        }
        self.queue
            .schedule(contact.down, EventClass::World, Event::Down(index));
        self.set_up(now, index);
    }

    /// Discovery and handshake begin, if both are there.
    fn set_up(&mut self, now: Monotonic, index: u32) {
        let contact = self.plan.contacts[index as usize];
        if self.out(contact.a) || self.out(contact.b) {
            return;
        }
        let waits = match self.options.transfer {
            Transfer::Links => self.plan.links[contact.link.0 as usize].setup().0,
            Transfer::Bare | Transfer::Instant => 0,
        };
        let ready_at = now.after_micros(waits);
        if let Some(connection) = self.connections.get_mut(&index) {
            connection.ready_at = Some(ready_at);
        }
        if waits == 0 {
            self.ready(now, index);
        } else {
            self.queue
                .schedule(ready_at, EventClass::Timer, Event::Ready(index));
        }
    }

    fn ready(&mut self, now: Monotonic, index: u32) {
        let Some(connection) = self.connections.get_mut(&index) else {
            return;
        };
        if connection.ready_at != Some(now) {
            return;
        }
        connection.ready_at = None;
        connection.ready = true;
        let contact = connection.contact;
        if self.options.transfer == Transfer::Links {
            let link = &self.plan.links[contact.link.0 as usize];
            let (forth, back) = (link.direction(true), link.direction(false));
            let name = |who: Entity| &self.plan.entities[who.0 as usize].name;
            let of_contact = format!("{}\0{}\0{}", name(contact.a), name(contact.b), contact.up.0);
            let pipes = [
                Pipe::new(forth, back.propagation.0, now),
                Pipe::new(back, forth.propagation.0, now),
            ];
            connection.channel = link.channel;
            connection.pipes = Some((pipes, self.seeds.stream("link", &of_contact)));
        }
        self.exchange_predictabilities(now, contact.a, contact.b);
        self.try_transfers(now, index);
    }

    fn exchange_predictabilities(&mut self, now: Monotonic, a: Entity, b: Entity) {
        let Router::Prophet(parameters) = self.router else {
            return;
        };
        for (who, other) in [(a, b), (b, a)] {
            self.machines[who.0 as usize].taken_back += 1;
            let mine = &mut self.machines[who.0 as usize].predictabilities;
            mine.age(now, &parameters);
            mine.meet(other, now, &parameters);
        }
        let before = self.machines[a.0 as usize].predictabilities.clone();
        let theirs = self.machines[b.0 as usize].predictabilities.clone();
        self.machines[a.0 as usize]
            .predictabilities
            .learn(a, b, &theirs, &parameters);
        self.machines[b.0 as usize]
            .predictabilities
            .learn(b, a, &before, &parameters);
    }

    fn down(&mut self, now: Monotonic, index: u32) {
        let contact = self.plan.contacts[index as usize];
        self.note(now, "down", contact.a, Some(contact.b), None, 0);
        let aborted = self.abort(now, index);
        self.connections.remove(&index);
        for who in [contact.a, contact.b] {
            self.machines[who.0 as usize]
                .contacts
                .retain(|other| *other != index);
        }
        // What was cut off may go another way, and whoever was busy with it is free.
        if aborted {
            self.try_all(now, contact.a);
            self.try_all(now, contact.b);
        }
    }

    /// Cuts off what is in flight over a contact; whether anything was.
    fn abort(&mut self, now: Monotonic, index: u32) -> bool {
        let Some(connection) = self.connections.get_mut(&index) else {
            return false;
        };
        let before = self.results.aborted;
        connection.vacate(&mut self.air, index);
        connection.ready = false;
        connection.ready_at = None;
        let contact = connection.contact;
        for (direction, moving) in std::mem::take(&mut connection.transfers)
            .into_iter()
            .enumerate()
        {
            let Some(moving) = moving else { continue };
            let (from, to) = ends(contact, direction);
            self.land(from, to, moving.message);
            for who in [from, to] {
                self.machines[who.0 as usize].taken_back += 1;
            }
            if let Some(copies) = moving.keeps {
                self.machines[from.0 as usize]
                    .buffer
                    .change_copies(moving.message, |left| left + copies);
            }
            let whole = u128::from(moving.ends.since_micros(moving.started).max(1));
            let sent =
                u128::from(moving.bytes) * u128::from(now.since_micros(moving.started)) / whole;
            let sent = sent.min(u128::from(moving.bytes)) as u64;
            self.results.aborted += 1;
            *self.results.bytes.entry("text").or_default() += sent;
            self.note(now, "aborted", from, Some(to), Some(moving.message), sent);
        }
        self.results.aborted > before
    }

    fn crash(&mut self, now: Monotonic, who: Entity) {
        self.machines[who.0 as usize].outages += 1;
        self.note(now, "crash", who, None, None, 0);
        for index in self.machines[who.0 as usize].contacts.clone() {
            let contact = self.plan.contacts[index as usize];
            if self.abort(now, index) {
                self.try_all(
                    now,
                    if contact.a == who {
                        contact.b
                    } else {
                        contact.a
                    },
                );
            }
        }
    }

    fn start(&mut self, now: Monotonic, who: Entity) {
        self.machines[who.0 as usize].outages -= 1;
        self.note(now, "start", who, None, None, 0);
        for index in self.machines[who.0 as usize].contacts.clone() {
            self.set_up(now, index);
        }
    }

    fn out(&self, who: Entity) -> bool {
        self.machines[who.0 as usize].outages > 0
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

/// Sender and receiver of a direction: 0 = from `a` to `b`.
pub(super) const fn ends(contact: Contact, direction: usize) -> (Entity, Entity) {
    if direction == 0 {
        (contact.a, contact.b)
    } else {
        (contact.b, contact.a)
    }
}
