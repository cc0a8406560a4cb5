//! What a run knows of each machine and of each contact that stands.

#![expect(clippy::indexing_slicing, reason = "a contact has two directions")]

use khlong_crdt::time::Monotonic;
use rand_chacha::ChaCha8Rng;

use super::bits::Bits;
use super::buffer::Buffer;
use super::prophet::Predictabilities;
use crate::links::air::{Air, Sender};
use crate::links::pipe::Pipe;
use crate::plan::{Contact, Entity};

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
    pub(super) fn vacate(&self, air: &mut Air, index: u32) {
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

/// Sender and receiver of a direction: 0 = from `a` to `b`.
pub(super) const fn ends(contact: Contact, direction: usize) -> (Entity, Entity) {
    if direction == 0 {
        (contact.a, contact.b)
    } else {
        (contact.b, contact.a)
    }
}
