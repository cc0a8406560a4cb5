//! What clients send, what gateways answer, and what the network makes of both.

use rand::RngExt as _;

use super::clients::Call;
use super::gateway::{Reply, Request};
use super::run::{Event, Run};
use crate::kernel::queue::EventClass;

impl Run<'_> {
    pub(super) fn send(&mut self, number: usize) {
        let Some((place, wait, request)) = self.calls.send(number) else {
            return;
        };
        self.after(wait, EventClass::Timer, Event::Retry(number));
        self.carry(place, false, &|| Event::Request(place, request.clone()));
    }

    pub(super) fn retry(&mut self, number: usize) {
        if self.calls.get(number).is_some_and(Call::is_waiting) {
            self.send(number);
        }
    }

    /// Loses a message, or delays it, or delays it twice.
    pub(super) fn carry(&mut self, place: usize, is_reply: bool, event: &dyn Fn() -> Event) {
        let swarm = &self.plan.swarm;
        let is_cut = self.gateways.get(place).is_none_or(|it| it.is_cut);
        if is_cut || self.random.random_bool(swarm.loss) {
            return self.findings().happened("messages lost");
        }
        let copies = if self.random.random_bool(swarm.duplication) {
            self.findings().happened("messages repeated");
            2
        } else {
            1
        };
        for _ in 0..copies {
            let jitter = self.random.random_range(0..=swarm.jitter.0);
            let delay = swarm.propagation.0 + jitter;
            let at = self.queue.now().after_micros(delay);
            let ways = self.last_arrival.get_mut(place);
            if let Some(last) = ways.and_then(|ways| ways.get_mut(usize::from(is_reply))) {
                if at < *last {
                    self.auditor.findings.happened("messages overtaken");
                }
                *last = at.max(*last);
            }
            self.queue.schedule(at, EventClass::Arrival, event());
        }
    }

    pub(super) fn reply(&mut self, place: usize, replies: Vec<Reply>) {
        for reply in replies {
            self.calls.leaves(&reply, &mut self.auditor);
            self.carry(place, true, &|| Event::Reply(reply.clone()));
        }
    }

    pub(super) fn arrive(&mut self, place: usize, request: Request) {
        self.note("request", &[place as u64, request.call as u64]);
        let Some(gateway) = self.gateways.get_mut(place) else {
            return;
        };
        if gateway.kernel().is_none() {
            return self.findings().happened("messages to nobody");
        }
        gateway.inbox.push_back(request);
        if !gateway.is_busy {
            self.turn(place);
        }
    }
}
