//! The only timer interface: a table of deadlines.

use khlong_crdt::time::Monotonic;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The handshake must be over.
    Handshake,
    /// Nothing was heard for a while: ask.
    KeepAlive,
    /// Nothing was heard for too long: close.
    Idle,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    handshake: Option<Monotonic>,
    keep_alive: Option<Monotonic>,
    idle: Option<Monotonic>,
}

impl Timers {
    pub(super) const fn set(&mut self, timer: Timer, at: Monotonic) {
        *self.slot(timer) = Some(at);
    }

    pub(super) const fn at(&self, timer: Timer) -> Option<Monotonic> {
        match timer {
            Timer::Handshake => self.handshake,
            Timer::KeepAlive => self.keep_alive,
            Timer::Idle => self.idle,
        }
    }

    pub(super) const fn stop(&mut self, timer: Timer) {
        *self.slot(timer) = None;
    }

    pub(super) const fn stop_all(&mut self) {
        self.stop(Timer::Handshake);
        self.stop(Timer::KeepAlive);
        self.stop(Timer::Idle);
    }

    /// Takes a timer that is due, the gravest first.
    pub(super) fn take_due(&mut self, now: Monotonic) -> Option<Timer> {
        [Timer::Handshake, Timer::Idle, Timer::KeepAlive]
            .into_iter()
            .find(|timer| {
                let slot = self.slot(*timer);
                let due = slot.is_some_and(|at| at <= now);
                if due {
                    *slot = None;
                }
                due
            })
    }

    pub(super) fn next(&self) -> Option<Monotonic> {
        [self.handshake, self.keep_alive, self.idle]
            .into_iter()
            .flatten()
            .min()
    }

    const fn slot(&mut self, timer: Timer) -> &mut Option<Monotonic> {
        match timer {
            Timer::Handshake => &mut self.handshake,
            Timer::KeepAlive => &mut self.keep_alive,
            Timer::Idle => &mut self.idle,
        }
    }
}
