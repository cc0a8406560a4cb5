//! Frames between the two ends of a wire, in frame mode: sent, lost, noticed, sent again.

use khlong_crdt::time::Monotonic;
use khlong_sync::wire::frame::Lane;

use super::facts::What;
use super::transport::sender_of;
use super::wire::{End, Parcel, WireId};
use super::world::{Event, World};
use crate::kernel::queue::EventClass;

/// A frame on its way.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) lane: Lane,
    pub(super) parcel: Parcel,
    /// Its length in a stream.
    pub(super) bytes: u64,
}

/// A frame of which packets were lost, until its sender notices.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    number: u64,
    sent: Monotonic,
    /// When the sender notices, as far as is known now.
    due: Monotonic,
    /// Only a probe tells: nothing was sent since that could.
    by_probe: bool,
    /// With the bytes that were lost.
    load: Load,
    /// What arrived on the same lane since: a stream gives it on only behind this one.
    behind: Vec<(Monotonic, Parcel)>,
}

impl World {
    /// Gives a frame to a wire, or holds it back where the way is blocked.
    pub(super) fn carry(&mut self, now: Monotonic, id: WireId, from: End, load: Load) {
        let Some(wire) = self.wires.get(&id) else {
            return;
        };
        let (who, to) = (wire.at(from), wire.at(from.other()));
        if wire.is_cut {
            return self.note(now, who, What::Aborted { to });
        }
        let is_datagram = load.lane == Lane::Ephemeral;
        if let Some(reach) = self.reach.get_mut(&(wire.node, wire.relay)) {
            let (blocked, held) = match from {
                End::Node => (reach.blocked.first(), reach.held.first_mut()),
                End::Relay => (reach.blocked.last(), reach.held.last_mut()),
            };
            if blocked == Some(&true) {
                if let (false, Some(held)) = (is_datagram, held) {
                    held.push((id, load));
                }
                return;
            }
        }
        if is_datagram && wire.flow.is_full(now, from.is_back()) {
            return;
        }
        self.launch(now, id, from, load, None);
    }

    /// A frame leaves, for the first time or `again` with its number and what waits behind it.
    fn launch(
        &mut self,
        now: Monotonic,
        id: WireId,
        from: End,
        load: Load,
        again: Option<(u64, Vec<(Monotonic, Parcel)>)>,
    ) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        let (back, channel) = (from.is_back(), wire.channel);
        let (ends, sender) = ([wire.at(from), wire.at(from.other())], sender_of(id, from));
        let before = wire.flow.free_at(back);
        let share = channel.map_or(1, |channel| {
            self.air.share(now, channel, ends, sender, before)
        });
        let sent = wire
            .flow
            .send(now, back, load.bytes, share, &mut self.random);
        self.link_bytes += wire.flow.take_bytes();
        if let Some(channel) = channel {
            let until = wire.flow.free_at(back);
            self.air.occupy(channel, ends, sender, before, until);
        }
        let (probed_us, overdue_us) = (wire.flow.probed_us(back), wire.flow.overdue_us(back));
        // What the fate of this packet says about those lost before it.
        let mut noticed = Vec::new();
        for lost in wire.lost_from(from) {
            let due = if sent.lost_bytes == 0 {
                lost.by_probe = false;
                lost.due
                    .min(sent.acknowledged.max(lost.sent.after_micros(overdue_us)))
            } else if lost.by_probe {
                now.after_micros(probed_us)
            } else {
                lost.due
            };
            if due != lost.due {
                lost.due = due;
                noticed.push((lost.number, due));
            }
        }
        // Numbers grow in the order of streams, and what is sent again keeps its own.
        wire.launched += 1;
        let (number, behind) = again.unwrap_or((wire.launched, Vec::new()));
        let mut arrivals = Vec::new();
        if sent.lost_bytes > 0 {
            if load.lane != Lane::Ephemeral {
                let lost = Lost {
                    number,
                    sent: now,
                    due: now.after_micros(probed_us),
                    by_probe: true,
                    load: Load {
                        bytes: sent.lost_bytes,
                        ..load
                    },
                    behind,
                };
                noticed.push((lost.number, lost.due));
                let losses = wire.lost_from(from);
                let place = losses.partition_point(|other| other.number < number);
                losses.insert(place, lost);
            }
        } else {
            let waits_for = wire.lost_from(from).iter_mut().rev().find(|lost| {
                let same = lost.load.lane == load.lane || load.parcel.is_close();
                same && lost.number < number
            });
            let mut arrival = sent.arrival;
            let all = std::iter::once((arrival, load.parcel)).chain(behind);
            if let Some(lost) = waits_for {
                lost.behind.extend(all);
            } else {
                for (at, parcel) in all {
                    arrival = at.max(arrival.after_micros(1));
                    arrivals.push((arrival, parcel));
                }
                wire.flow.keep_behind(back, arrival);
            }
        }
        for (at, parcel) in arrivals {
            let event = Event::Arrive(id, from.other(), parcel);
            self.queue.schedule(at, EventClass::Arrival, event);
        }
        for (number, due) in noticed {
            self.queue
                .schedule(due, EventClass::Timer, Event::Missed(id, from, number));
        }
    }

    /// The sender may have noticed a loss, unless something told it at another time.
    pub(super) fn missed(&mut self, now: Monotonic, id: WireId, from: End, number: u64) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        let losses = wire.lost_from(from);
        let place = losses
            .iter()
            .position(|lost| lost.number == number && lost.due == now);
        let Some(place) = place else {
            return;
        };
        let lost = losses.remove(place);
        if wire.is_cut {
            let (who, to) = (wire.at(from), wire.at(from.other()));
            return self.note(now, who, What::Aborted { to });
        }
        if lost.by_probe {
            wire.flow.count_probes();
        }
        let again = Some((lost.number, lost.behind));
        self.launch(now, id, from, lost.load, again);
    }
}
