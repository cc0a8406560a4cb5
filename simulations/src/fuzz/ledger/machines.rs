//! What happens to gateways: turns, commits, starts, and the ends that they come to.

use rand::RngExt as _;

use super::gateway::{Committed, Gateway, Stop, stop};
use super::remote::Remote;
use super::run::{Event, Run};
use crate::kernel::queue::EventClass;
use crate::kernel::{MINUTE, SECOND};

/// A process that ended is started again after so long.
const RESTART: u64 = 2 * SECOND;
/// Between two tries of a commit that wrote nothing.
const COMMIT_PAUSE: u64 = SECOND / 4;
/// Tries of a commit; then the process ends.
const COMMITS_MAX: u32 = 40;
/// A gateway that nobody asks reads its clock so often.
const TICK: u64 = MINUTE;
/// An append that is late is on its way for so long at most.
const LATE: u64 = 8 * SECOND;

impl Run<'_> {
    pub(super) fn turn(&mut self, place: usize) {
        let truly = self.truly();
        let Some(gateway) = self.gateways.get_mut(place) else {
            return;
        };
        match gateway.turn(truly) {
            Err(stop) => self.stopped(place, stop),
            Ok(replies) => {
                gateway.is_busy = true;
                let (life, slower) = (gateway.life, gateway.slower_us);
                if slower > 0 {
                    self.findings().happened("commits slowed");
                }
                self.reply(place, replies);
                let takes = self.plan.swarm.commit.0 + slower;
                let event = Event::Commit(place, life, 1);
                self.after(takes, EventClass::World, event);
            }
        }
    }

    pub(super) fn commit(&mut self, place: usize, life: u32, tries: u32) {
        let Some(gateway) = self.gateways.get_mut(place) else {
            return;
        };
        if gateway.life != life {
            return;
        }
        let came = gateway.commit();
        if let Some(remote) = self.remote.clone() {
            self.absorb_remote(&remote);
            self.expect_landings(&remote);
        }
        match came {
            Committed::Again if tries >= COMMITS_MAX => {
                self.stopped(place, Stop::Fault("commits given up"));
            }
            Committed::Again => {
                self.findings().happened("commits put off");
                let event = Event::Commit(place, life, tries + 1);
                self.after(COMMIT_PAUSE, EventClass::World, event);
            }
            Committed::Failed(stop, leaked) => {
                self.reply(place, leaked);
                self.stopped(place, stop);
            }
            Committed::Done => self.committed(place),
        }
    }

    pub(super) fn committed(&mut self, place: usize) {
        self.look(place);
        let Some(gateway) = self.gateways.get_mut(place) else {
            return;
        };
        if let Some(kept) = gateway.doomed.take() {
            self.findings().happened("crashes after a commit");
            return self.crash(place, kept);
        }
        let answers = gateway.release().and_then(|mut replies| {
            let (read, has_followed) = gateway.read()?;
            replies.extend(read);
            Ok((replies, has_followed))
        });
        match answers {
            Err(stop) => self.stopped(place, stop),
            Ok((replies, has_followed)) => {
                if has_followed {
                    self.findings()
                        .happened("reads behind another gateway's entries");
                    self.look(place);
                }
                self.reply(place, replies);
                self.go_on(place);
            }
        }
    }

    /// The next turn: at once, when something is due, or to look at the clock.
    pub(super) fn go_on(&mut self, place: usize) {
        let truly = self.truly();
        let Some(gateway) = self.gateways.get_mut(place) else {
            return;
        };
        gateway.is_busy = false;
        if !gateway.inbox.is_empty() {
            return self.turn(place);
        }
        let now = truly + gateway.clock_ms;
        let (life, turns) = (gateway.life, gateway.turns);
        let held_up = if gateway.is_full() { SECOND } else { 0 };
        let deadline = match gateway.kernel().map(|kernel| kernel.next_deadline()) {
            Some(Ok(deadline)) => deadline,
            Some(Err(error)) => return self.stopped(place, stop(error)),
            None => return,
        };
        // What is due and cannot be done is not tried at full speed.
        let wait = deadline.map_or(TICK, |at| {
            let ms = u64::try_from(at.0.saturating_sub(now)).unwrap_or(0);
            ms.saturating_mul(1_000).clamp(held_up, TICK)
        });
        self.after(wait, EventClass::Timer, Event::Wake(place, life, turns));
    }

    pub(super) fn start(&mut self, place: usize) {
        let truly = self.truly();
        let Some(gateway) = self.gateways.get_mut(place) else {
            return;
        };
        if gateway.kernel().is_some() {
            return;
        }
        match gateway.start(truly, &mut self.auditor.findings) {
            Ok(()) => {
                self.findings().happened("gateways restarted");
                self.look(place);
                self.go_on(place);
            }
            Err(stop) => {
                self.findings().happened("starts put off");
                self.stopped(place, stop);
            }
        }
    }

    /// The process has ended, and is started again.
    pub(super) fn stopped(&mut self, place: usize, stop: Stop) {
        match stop {
            Stop::Fault(what) => self.findings().happened(what),
            Stop::Clock => self.findings().happened("clocks refused"),
            Stop::Wrong(words) => self.findings().violated("kernel", words),
        }
        self.with(place, Gateway::end);
        self.note("stopped", &[place as u64]);
        self.after(RESTART, EventClass::World, Event::Start(place));
    }

    pub(super) fn crash_by_plan(&mut self, place: usize, kept: usize, after_commit: bool) {
        let Some(gateway) = self.gateways.get_mut(place) else {
            return;
        };
        if after_commit {
            gateway.doomed = Some(kept);
            return;
        }
        let what = if gateway.is_undecided() {
            "crashes before a commit"
        } else {
            "crashes in between"
        };
        self.findings().happened(what);
        self.crash(place, kept);
    }

    /// Power goes, and comes back later.
    pub(super) fn crash(&mut self, place: usize, kept: usize) {
        self.note("crash", &[place as u64, kept as u64]);
        self.with(place, |gateway| {
            gateway.end();
            gateway.disk.crash_torn(kept);
        });
        self.after(RESTART, EventClass::World, Event::Start(place));
    }

    pub(super) fn expect_landings(&mut self, remote: &Remote) {
        if !self.is_landing && remote.is_late() {
            self.is_landing = true;
            let wait = self.random.random_range(0..=LATE);
            self.after(wait, EventClass::World, Event::Land);
        }
    }
}
