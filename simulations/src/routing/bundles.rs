//! Bundles: written, chosen, handed over, delivered, kept and dropped.

#![expect(
    clippy::indexing_slicing,
    reason = "entities, messages and links were checked against the plan first"
)]

use khlong_crdt::time::Monotonic;
use rand::RngExt as _;

use super::buffer::Copy;
use super::executor::{Event, Run};
use super::state::{Moving, Passed, ends};
use super::{Given, Order, Transfer};
use crate::kernel::SECOND;
use crate::kernel::queue::EventClass;
use crate::plan::Entity;
use crate::results::MessageResult;

/// How a bundle goes to another machine.
#[derive(Clone, Copy, Debug)]
struct Handed {
    /// It is for that one.
    for_it: bool,
    /// Whether that one keeps a copy, and how many copies it may give away.
    keeps: Option<u32>,
}

impl Run<'_> {
    pub(super) fn write(&mut self, now: Monotonic, message: u32) {
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
        self.offer(now, planned.from, message);
    }

    pub(super) fn expire(&mut self, now: Monotonic, message: u32) {
        self.expired.set(message, true);
        for who in 0..self.machines.len() as u32 {
            if self.holders[message as usize] == 0 {
                return;
            }
            self.drop_copy(now, Entity(who), message, "ttl");
        }
    }

    /// Puts a copy into a buffer, if there is room or room can be made.
    fn keep(&mut self, now: Monotonic, who: Entity, message: u32, hops: u16, copies: u32) {
        let bytes = u64::from(self.plan.messages[message as usize].bytes);
        let capacity = self.options.buffer.map_or(u64::MAX, |size| size.0);
        let refuses = self.options.transfer == Transfer::Instant;
        while self.machines[who.0 as usize].buffer.bytes() + bytes > capacity {
            let machine = &mut self.machines[who.0 as usize];
            let oldest = machine.buffer.oldest(&machine.outgoing);
            let Some(oldest) = oldest.filter(|_| bytes <= capacity) else {
                machine.refused.set(message, refuses);
                machine.taken_back += 1;
                *self.results.dropped.entry("no-room").or_default() += 1;
                self.note(now, "dropped", who, None, Some(message), bytes);
                return;
            };
            machine.refused.set(oldest, refuses);
            self.drop_copy(now, who, oldest, "buffer");
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
            self.machines[who.0 as usize].taken_back += 1;
            self.holders[message as usize] -= 1;
            self.held_messages -= 1;
            self.held_bytes -= bytes;
            *self.results.dropped.entry(reason).or_default() += 1;
            self.note(now, "dropped", who, None, Some(message), bytes);
        }
    }

    /// Tries all contacts of a machine, oldest first.
    pub(super) fn try_all(&mut self, now: Monotonic, who: Entity) {
        for place in 0.. {
            let Some(index) = self.machines[who.0 as usize].contacts.get(place).copied() else {
                break;
            };
            self.try_transfers(now, index);
        }
    }

    /// Tries a bundle that a machine has just got over all its contacts: where nothing is under
    /// way, there was nothing else to send.
    fn offer(&mut self, now: Monotonic, from: Entity, message: u32) {
        for place in 0.. {
            let Some(index) = self.machines[from.0 as usize].contacts.get(place).copied() else {
                break;
            };
            let direction = usize::from(self.plan.contacts[index as usize].a != from);
            self.try_transfer(now, index, direction, Some(message));
        }
    }

    pub(super) fn try_transfers(&mut self, now: Monotonic, index: u32) {
        self.try_transfer(now, index, 0, None);
        self.try_transfer(now, index, 1, None);
    }

    /// Begins a transfer, of any bundle or of `only` one, if the direction is free.
    fn try_transfer(&mut self, now: Monotonic, index: u32, direction: usize, only: Option<u32>) {
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
        let Some(message) = only.or_else(|| self.next_bundle(index, direction)) else {
            return;
        };
        let Some(copy) = self.machines[from.0 as usize].buffer.get(message) else {
            return;
        };
        let Some(Handed { keeps, .. }) = self.handed(from, to, message, copy) else {
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
        if connection.pipes.is_some() {
            return connection.send(now, &mut self.air, index, direction, bytes);
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

    /// The bundle to send: one for the other end itself before all others.
    fn next_bundle(&mut self, index: u32, direction: usize) -> Option<u32> {
        let connection = self.connections.get(&index)?;
        let (from, to) = ends(connection.contact, direction);
        match self.options.order {
            Order::Fifo => self.oldest_bundle(index, direction),
            Order::Random => self.random_bundle(from, to),
        }
    }

    /// The one that the holder has had longest. Each bundle is looked at once or twice a contact,
    /// not once for each transfer of it.
    fn oldest_bundle(&mut self, index: u32, direction: usize) -> Option<u32> {
        let connection = self.connections.get(&index)?;
        let (from, to) = ends(connection.contact, direction);
        let holder = &self.machines[from.0 as usize];
        let other = &self.machines[to.0 as usize];
        if !holder.buffer.held.exceeds(&other.buffer.held, &other.got) {
            return None;
        }
        let taken_back = holder.taken_back + other.taken_back;
        let mut passed = connection.passed[direction];
        if passed.taken_back != taken_back {
            passed = Passed {
                taken_back,
                ..Passed::default()
            };
        }
        let is_new = |message| !other.buffer.held.has(message) && !other.got.has(message);
        let handed = |message| {
            let copy = holder.buffer.get(message).filter(|_| is_new(message))?;
            self.handed(from, to, message, copy)
        };
        let end = holder.buffer.next_arrival();
        let for_it = holder
            .buffer
            .arrived_from(passed.for_it)
            .filter(|(_, message)| is_new(*message) && self.open_result(*message, to).is_some())
            .find(|(_, message)| handed(*message).is_some());
        passed.for_it = for_it.map_or(end, |(arrival, _)| arrival);
        let found = for_it.or_else(|| {
            let any = holder
                .buffer
                .arrived_from(passed.any)
                .find(|(_, message)| handed(*message).is_some());
            passed.any = any.map_or(end, |(arrival, _)| arrival);
            any
        });
        if let Some(connection) = self.connections.get_mut(&index) {
            connection.passed[direction] = passed;
        }
        found.map(|(_, message)| message)
    }

    /// One drawn from the holder's stream.
    fn random_bundle(&mut self, from: Entity, to: Entity) -> Option<u32> {
        let (holder, other) = (
            &self.machines[from.0 as usize],
            &self.machines[to.0 as usize],
        );
        if !holder.buffer.held.exceeds(&other.buffer.held, &other.got) {
            return None;
        }
        let mut stream = holder.order.clone();
        let mut best: Option<((bool, u64), u32)> = None;
        for (message, copy) in holder.buffer.iter() {
            if other.buffer.held.has(message) || other.got.has(message) {
                continue;
            }
            let rank = stream.random();
            // At best it is for the other one itself: is that enough, before the protocol is asked?
            if best.is_some_and(|(least, _)| (false, rank) >= least) {
                continue;
            }
            if let Some(handed) = self.handed(from, to, message, copy) {
                let rank = (!handed.for_it, rank);
                if best.is_none_or(|(least, _)| rank < least) {
                    best = Some((rank, message));
                }
            }
        }
        self.machines[from.0 as usize].order = stream;
        best.map(|(_, message)| message)
    }

    /// How a bundle would go from one to the other; `None` = it does not.
    fn handed(&self, from: Entity, to: Entity, message: u32, copy: Copy) -> Option<Handed> {
        let other = &self.machines[to.0 as usize];
        let lacks = !other.buffer.held.has(message)
            && !other.got.has(message)
            && !other.incoming.contains(&message)
            && !other.refused.has(message);
        let writer = self.plan.messages[message as usize].from;
        // Nobody is given its own message back: the writer only lacks it if it dropped it.
        if !lacks || to == writer {
            return None;
        }
        let for_it = self.open_result(message, to).is_some();
        let given = Given {
            writer: writer == from,
            copies: copy.copies,
        };
        let gives = self
            .router
            .gives(given, || self.likelier(message, from, to));
        let keeps = gives.filter(|_| !for_it || self.receivers(message).len() > 1);
        let fits = self
            .options
            .buffer
            .is_none_or(|capacity| copy.bytes <= capacity.0);
        (for_it || keeps.is_some())
            .then_some(Handed { for_it, keeps })
            .filter(|handed| handed.keeps.is_none() || fits)
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

    pub(super) fn done(&mut self, now: Monotonic, index: u32, direction: usize, transfer: u64) {
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
        if self.options.one_transfer_a_machine {
            self.try_all(now, from);
            self.try_all(now, to);
        } else {
            // Nothing else changed: this direction is free, and the receiver may have more to give.
            self.try_transfer(now, index, direction, None);
            self.offer(now, to, moving.message);
        }
    }

    /// A bundle is no longer on its way.
    pub(super) fn land(&mut self, from: Entity, to: Entity, message: u32) {
        let forget = |list: &mut Vec<u32>| {
            if let Some(place) = list.iter().position(|other| *other == message) {
                list.swap_remove(place);
            }
        };
        forget(&mut self.machines[from.0 as usize].outgoing);
        forget(&mut self.machines[to.0 as usize].incoming);
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
}
