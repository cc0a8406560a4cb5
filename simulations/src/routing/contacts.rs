//! Contacts and outages: begun, set up, cut off.

#![expect(
    clippy::indexing_slicing,
    reason = "entities, messages and links were checked against the plan first"
)]

use khlong_crdt::time::Monotonic;

use super::executor::{Event, Run};
use super::state::{Connection, Passed, ends};
use super::{Router, Transfer};
use crate::kernel::queue::EventClass;
use crate::links::pipe::Pipe;
use crate::plan::Entity;

impl Run<'_> {
    pub(super) fn up(&mut self, now: Monotonic, index: u32) {
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

    pub(super) fn ready(&mut self, now: Monotonic, index: u32) {
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

    pub(super) fn down(&mut self, now: Monotonic, index: u32) {
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

    pub(super) fn crash(&mut self, now: Monotonic, who: Entity) {
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

    pub(super) fn start(&mut self, now: Monotonic, who: Entity) {
        self.machines[who.0 as usize].outages -= 1;
        self.note(now, "start", who, None, None, 0);
        for index in self.machines[who.0 as usize].contacts.clone() {
            self.set_up(now, index);
        }
    }

    pub(super) fn out(&self, who: Entity) -> bool {
        self.machines[who.0 as usize].outages > 0
    }
}
