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
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::bits::Bits;
use super::buffer::{Buffer, Copy};
use super::prophet::Predictabilities;
use super::{Given, Options, Order, Router, Transfer};
use crate::kernel::SECOND;
use crate::kernel::queue::{EventClass, EventQueue};
use crate::kernel::seeds::Seeds;
use crate::kernel::trace::Trace;
use crate::links::pipe::{Pipe, Sent};
use crate::plan::{Contact, Entity, Plan};
use crate::results::{Happening, MessageResult, Occupancy, RunResults};

/// Rows of the event table; what comes later is counted as `happenings-left-out`.
pub const HAPPENINGS_MAX: usize = 10_000_000;
/// Machines times messages: two bits each, so 2 GiB.
pub const HOLDINGS_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// A plan that cannot be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoutingError {
    /// A contact, message, outage or timeline names a machine that is not in the plan.
    #[error("the plan names machine {0}, which it does not have")]
    Machine(u32),
    /// A message names a timeline that is not in the plan.
    #[error("message {0} is for a timeline that the plan does not have")]
    Timeline(u32),
    /// A contact names a link that is not in the plan, while links give the time of transfers.
    #[error("a contact has link {0}, which the plan does not have")]
    Link(u16),
    /// Contacts, messages or members are not in order, or an outage ends before it begins.
    #[error(
        "contacts, messages and members of a plan must be in order, and outages begin before they end"
    )]
    Order,
    /// A machine in contact with itself.
    #[error("machine {0} is in contact with itself")]
    Itself(u32),
    /// More than memory should hold.
    #[error("{machines} machines times {messages} messages are more than {HOLDINGS_MAX}")]
    TooLarge {
        /// Of the plan.
        machines: usize,
        /// Of the plan.
        messages: usize,
    },
}

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

fn check(plan: &Plan, options: Options) -> Result<(), RoutingError> {
    let machines = plan.entities.len();
    let messages = plan.messages.len();
    let known = |who: Entity| {
        if (who.0 as usize) < machines {
            Ok(())
        } else {
            Err(RoutingError::Machine(who.0))
        }
    };
    if machines as u64 * messages as u64 > HOLDINGS_MAX || u32::try_from(messages).is_err() {
        return Err(RoutingError::TooLarge { machines, messages });
    }
    for contact in &plan.contacts {
        known(contact.a)?;
        known(contact.b)?;
        if contact.a == contact.b {
            return Err(RoutingError::Itself(contact.a.0));
        }
        if options.transfer != Transfer::Instant && contact.link.0 as usize >= plan.links.len() {
            return Err(RoutingError::Link(contact.link.0));
        }
    }
    plan.timelines
        .iter()
        .flatten()
        .try_for_each(|who| known(*who))?;
    plan.outages
        .iter()
        .try_for_each(|outage| known(outage.who))?;
    let outages_end = plan
        .outages
        .iter()
        .all(|outage| outage.from <= outage.until);
    for (message, planned) in (0..).zip(&plan.messages) {
        known(planned.from)?;
        if planned.timeline as usize >= plan.timelines.len() {
            return Err(RoutingError::Timeline(message));
        }
    }
    let in_order = outages_end
        && plan.contacts.is_sorted_by_key(|contact| contact.up)
        && plan.messages.is_sorted_by_key(|message| message.at)
        && plan
            .timelines
            .iter()
            .all(|members| members.is_sorted_by(|one, other| one < other));
    if in_order {
        Ok(())
    } else {
        Err(RoutingError::Order)
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
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

struct Machine {
    buffer: Buffer,
    /// Messages delivered to it, as a receiver.
    got: Bits,
    /// Contacts that stand, in the order in which they began.
    contacts: Vec<u32>,
    /// Messages on their way to it.
    incoming: Vec<u32>,
    /// Messages that it is sending: not dropped meanwhile.
    outgoing: Vec<u32>,
    /// Outages that last.
    outages: u32,
    predictabilities: Predictabilities,
    order: ChaCha8Rng,
}

struct Connection {
    contact: Contact,
    ready: bool,
    /// From `a` to `b`, and back, with the stream of what is left to chance.
    pipes: Option<([Pipe; 2], ChaCha8Rng)>,
    transfers: [Option<Moving>; 2],
}

/// A bundle on its way.
#[derive(Clone, Copy, Debug)]
struct Moving {
    id: u64,
    message: u32,
    started: Monotonic,
    ends: Monotonic,
    bytes: u64,
    hops: u16,
    /// Whether the other one keeps a copy, and how many copies it may give away.
    keeps: Option<u32>,
}

struct Run<'a> {
    plan: &'a Plan,
    router: Router,
    options: Options,
    seeds: Seeds,
    queue: EventQueue<Event>,
    trace: Trace,
    machines: Vec<Machine>,
    connections: BTreeMap<u32, Connection>,
    /// Where the receivers of each message begin in the results.
    first_result: Vec<usize>,
    /// Copies in buffers, by message.
    holders: Vec<u32>,
    expired: Bits,
    transfers: u64,
    held_messages: u64,
    held_bytes: u64,
    results: RunResults,
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
            pipes: None,
            transfers: [None; 2],
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
        if waits == 0 {
            self.ready(now, index);
        } else {
            self.queue.schedule(
                now.after_micros(waits),
                EventClass::Timer,
                Event::Ready(index),
            );
        }
    }

    fn ready(&mut self, now: Monotonic, index: u32) {
        let contact = self.plan.contacts[index as usize];
        if self.out(contact.a) || self.out(contact.b) {
            return;
        }
        let pipes = (self.options.transfer == Transfer::Links).then(|| {
            let link = &self.plan.links[contact.link.0 as usize];
            let (forth, back) = (link.direction(true), link.direction(false));
            let name = |who: Entity| &self.plan.entities[who.0 as usize].name;
            let of_contact = format!("{}\0{}\0{}", name(contact.a), name(contact.b), contact.up.0);
            let random = self.seeds.stream("link", &of_contact);
            let pipes = [
                Pipe::new(forth, back.propagation.0, now),
                Pipe::new(back, forth.propagation.0, now),
            ];
            (pipes, random)
        });
        match self.connections.get_mut(&index) {
            Some(connection) if !connection.ready => {
                connection.ready = true;
                connection.pipes = pipes;
            }
            Some(_) | None => return,
        }
        self.exchange_predictabilities(now, contact.a, contact.b);
        self.try_transfers(now, index);
    }

    fn exchange_predictabilities(&mut self, now: Monotonic, a: Entity, b: Entity) {
        let Router::Prophet(parameters) = self.router else {
            return;
        };
        for (who, other) in [(a, b), (b, a)] {
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
        self.abort(now, index);
        self.connections.remove(&index);
        for who in [contact.a, contact.b] {
            self.machines[who.0 as usize]
                .contacts
                .retain(|other| *other != index);
        }
        self.try_all(now, contact.a);
        self.try_all(now, contact.b);
    }

    /// Cuts off what is in flight over a contact.
    fn abort(&mut self, now: Monotonic, index: u32) {
        let Some(connection) = self.connections.get_mut(&index) else {
            return;
        };
        connection.ready = false;
        let contact = connection.contact;
        for (direction, moving) in std::mem::take(&mut connection.transfers)
            .into_iter()
            .enumerate()
        {
            let Some(moving) = moving else { continue };
            let (from, to) = ends(contact, direction);
            self.land(from, to, moving.message);
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
    }

    /// A bundle is no longer on its way.
    fn land(&mut self, from: Entity, to: Entity, message: u32) {
        let forget = |list: &mut Vec<u32>| {
            if let Some(place) = list.iter().position(|other| *other == message) {
                list.swap_remove(place);
            }
        };
        forget(&mut self.machines[from.0 as usize].outgoing);
        forget(&mut self.machines[to.0 as usize].incoming);
    }

    fn done(&mut self, now: Monotonic, index: u32, direction: usize, transfer: u64) {
        let Some(connection) = self.connections.get_mut(&index) else {
            return;
        };
        let Some(moving) = connection.transfers[direction].take_if(|moving| moving.id == transfer)
        else {
            return;
        };
        let (from, to) = ends(connection.contact, direction);
        self.land(from, to, moving.message);
        *self.results.bytes.entry("text").or_default() += moving.bytes;
        if self.expired.has(moving.message) {
            self.results.aborted += 1;
            self.note(
                now,
                "aborted",
                from,
                Some(to),
                Some(moving.message),
                moving.bytes,
            );
        } else {
            self.results.relayed += 1;
            self.note(
                now,
                "relayed",
                from,
                Some(to),
                Some(moving.message),
                moving.bytes,
            );
            self.deliver(now, from, to, moving);
            if let Some(copies) = moving.keeps {
                self.keep(now, to, moving.message, moving.hops, copies.max(1));
            }
        }
        self.try_all(now, from);
        self.try_all(now, to);
    }

    fn deliver(&mut self, now: Monotonic, from: Entity, to: Entity, moving: Moving) {
        let copies = self.holders[moving.message as usize];
        let Some(result) = self.open_result(moving.message, to) else {
            return;
        };
        let result = &mut self.results.messages[result];
        result.delivered = Some(now);
        result.hops = moving.hops;
        result.copies = copies;
        self.machines[to.0 as usize].got.set(moving.message, true);
        self.note(
            now,
            "delivered",
            from,
            Some(to),
            Some(moving.message),
            moving.bytes,
        );
    }

    /// Puts a copy into a buffer, if there is room or room can be made.
    fn keep(&mut self, now: Monotonic, who: Entity, message: u32, hops: u16, copies: u32) {
        let bytes = u64::from(self.plan.messages[message as usize].bytes);
        let capacity = self.options.buffer.map_or(u64::MAX, |size| size.0);
        while self.machines[who.0 as usize].buffer.bytes() + bytes > capacity {
            let machine = &self.machines[who.0 as usize];
            match machine
                .buffer
                .oldest(&machine.outgoing)
                .filter(|_| bytes <= capacity)
            {
                Some(oldest) => self.drop_copy(now, who, oldest, "buffer"),
                None => {
                    *self.results.dropped.entry("no-room").or_default() += 1;
                    self.note(now, "dropped", who, None, Some(message), bytes);
                    return;
                }
            }
        }
        self.machines[who.0 as usize]
            .buffer
            .add(message, bytes, hops, copies);
        self.holders[message as usize] += 1;
        self.held_messages += 1;
        self.held_bytes += bytes;
    }

    fn drop_copy(&mut self, now: Monotonic, who: Entity, message: u32, reason: &'static str) {
        if let Some(Copy { bytes, .. }) = self.machines[who.0 as usize].buffer.remove(message) {
            self.holders[message as usize] -= 1;
            self.held_messages -= 1;
            self.held_bytes -= bytes;
            *self.results.dropped.entry(reason).or_default() += 1;
            self.note(now, "dropped", who, None, Some(message), bytes);
        }
    }

    fn write(&mut self, now: Monotonic, message: u32) {
        let plan = self.plan;
        let planned = &plan.messages[message as usize];
        self.note(
            now,
            "created",
            planned.from,
            None,
            Some(message),
            u64::from(planned.bytes),
        );
        if let Some(ttl) = self.options.ttl {
            self.queue.schedule(
                now.after_micros(ttl.0),
                EventClass::Timer,
                Event::Expire(message),
            );
        }
        self.keep(now, planned.from, message, 0, self.router.copies());
        self.try_all(now, planned.from);
    }

    fn expire(&mut self, now: Monotonic, message: u32) {
        self.expired.set(message, true);
        for who in 0..self.machines.len() as u32 {
            if self.holders[message as usize] == 0 {
                return;
            }
            self.drop_copy(now, Entity(who), message, "ttl");
        }
    }

    fn crash(&mut self, now: Monotonic, who: Entity) {
        self.machines[who.0 as usize].outages += 1;
        self.note(now, "crash", who, None, None, 0);
        for index in self.machines[who.0 as usize].contacts.clone() {
            let contact = self.plan.contacts[index as usize];
            self.abort(now, index);
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

    /// Tries all contacts of a machine, oldest first.
    fn try_all(&mut self, now: Monotonic, who: Entity) {
        for place in 0.. {
            let Some(index) = self.machines[who.0 as usize].contacts.get(place).copied() else {
                break;
            };
            self.try_transfers(now, index);
        }
    }

    fn try_transfers(&mut self, now: Monotonic, index: u32) {
        self.try_transfer(now, index, 0);
        self.try_transfer(now, index, 1);
    }

    fn try_transfer(&mut self, now: Monotonic, index: u32, direction: usize) {
        let Some(connection) = self.connections.get(&index) else {
            return;
        };
        if !connection.ready || connection.transfers[direction].is_some() {
            return;
        }
        let contact = connection.contact;
        let (from, to) = ends(contact, direction);
        if self.options.one_transfer_a_machine && (self.busy(from) || self.busy(to)) {
            return;
        }
        let Some((message, keeps)) = self.next_bundle(from, to) else {
            return;
        };
        let Some(copy) = self.machines[from.0 as usize].buffer.get(message) else {
            return;
        };
        let Some((ends, bytes)) = self.travel(now, index, direction, copy.bytes) else {
            return;
        };
        let id = self.transfers;
        self.transfers += 1;
        let moving = Moving {
            id,
            message,
            started: now,
            ends,
            bytes,
            hops: copy.hops.saturating_add(1),
            keeps,
        };
        if let Some(connection) = self.connections.get_mut(&index) {
            connection.transfers[direction] = Some(moving);
        }
        let sender = &mut self.machines[from.0 as usize];
        sender.outgoing.push(message);
        sender
            .buffer
            .change_copies(message, |left| left - keeps.unwrap_or(0));
        self.machines[to.0 as usize].incoming.push(message);
        self.note(now, "sent", from, Some(to), Some(message), bytes);
        self.queue.schedule(
            ends,
            EventClass::Arrival,
            Event::Done {
                contact: index,
                direction,
                transfer: id,
            },
        );
    }

    /// When a bundle that leaves now is there, and its bytes on the wire.
    fn travel(
        &mut self,
        now: Monotonic,
        index: u32,
        direction: usize,
        bytes: u64,
    ) -> Option<(Monotonic, u64)> {
        let connection = self.connections.get_mut(&index)?;
        if let Some((pipes, random)) = &mut connection.pipes {
            let pipe = &mut pipes[direction];
            let before = pipe.wire_bytes();
            return match pipe.send(now, bytes, random) {
                Sent::Arrives(at) => Some((at, pipe.wire_bytes() - before)),
                Sent::QueueFull => None,
            };
        }
        let micros = match self.options.transfer {
            Transfer::Instant => 0,
            Transfer::Bare | Transfer::Links => {
                let link = &self.plan.links[connection.contact.link.0 as usize];
                let rate = link.direction(direction == 0).rate.0.max(1);
                let micros =
                    (u128::from(bytes) * 8 * u128::from(SECOND)).div_ceil(u128::from(rate));
                u64::try_from(micros).unwrap_or(u64::MAX)
            }
        };
        Some((now.after_micros(micros), bytes))
    }

    fn busy(&self, who: Entity) -> bool {
        let machine = &self.machines[who.0 as usize];
        !machine.incoming.is_empty() || !machine.outgoing.is_empty()
    }

    /// The bundle to send, and the copies that the other one may give away if it keeps one.
    fn next_bundle(&mut self, from: Entity, to: Entity) -> Option<(u32, Option<u32>)> {
        let (holder, other) = (
            &self.machines[from.0 as usize],
            &self.machines[to.0 as usize],
        );
        let capacity = self.options.buffer.map_or(u64::MAX, |size| size.0);
        let mut best: Option<((bool, u64), u32, Option<u32>)> = None;
        let mut random = match self.options.order {
            Order::Fifo => None,
            Order::Random => Some(holder.order.clone()),
        };
        for message in holder.buffer.held.without(&other.buffer.held, &other.got) {
            if other.incoming.contains(&message) {
                continue;
            }
            let planned = &self.plan.messages[message as usize];
            let Some(copy) = holder.buffer.get(message) else {
                continue;
            };
            let for_it = self.open_result(message, to).is_some();
            let given = Given {
                writer: planned.from == from,
                copies: copy.copies,
            };
            let gives = self
                .router
                .gives(given, || self.likelier(message, from, to));
            let keeps = gives.filter(|_| !for_it || self.receivers(message).len() > 1);
            let fits = keeps.is_none() || copy.bytes <= capacity;
            // Nobody is given its own message back: the writer only lacks it if it dropped it.
            if !fits || to == planned.from || !(for_it || keeps.is_some()) {
                continue;
            }
            let rank = random
                .as_mut()
                .map_or(copy.arrival, |stream| stream.random());
            if best.is_none_or(|(least, _, _)| (!for_it, rank) < least) {
                best = Some(((!for_it, rank), message, keeps));
            }
        }
        if let Some(stream) = random {
            self.machines[from.0 as usize].order = stream;
        }
        best.map(|(_, message, keeps)| (message, keeps))
    }

    /// Whether `to` is likelier than `from` to deliver to a receiver that lacks the message.
    fn likelier(&self, message: u32, from: Entity, to: Entity) -> bool {
        let of =
            |who: Entity, receiver| self.machines[who.0 as usize].predictabilities.of(receiver);
        let open = self
            .receivers(message)
            .iter()
            .filter(|result| result.delivered.is_none() && result.to != to);
        open.into_iter()
            .any(|result| of(to, result.to) > of(from, result.to))
    }

    fn receivers(&self, message: u32) -> &[MessageResult] {
        let message = message as usize;
        &self.results.messages[self.first_result[message]..self.first_result[message + 1]]
    }

    /// The place of the result that a delivery to `to` would fill.
    fn open_result(&self, message: u32, to: Entity) -> Option<usize> {
        let receivers = self.receivers(message);
        let place = receivers
            .binary_search_by_key(&to, |result| result.to)
            .ok()?;
        receivers[place]
            .delivered
            .is_none()
            .then(|| self.first_result[message as usize] + place)
    }

    fn note(
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
const fn ends(contact: Contact, direction: usize) -> (Entity, Entity) {
    if direction == 0 {
        (contact.a, contact.b)
    } else {
        (contact.b, contact.a)
    }
}
