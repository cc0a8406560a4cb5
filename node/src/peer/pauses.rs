//! What one connection does not offer for a while: a class of a timeline for
//! which its relay has no room.
//!
//! Such a refusal concerns that class alone. Everything else goes on, so that
//! a full timeline never holds up the others, nor its own keys and permissions.

use std::collections::BTreeMap;

use khlong_crdt::class::Class;
use khlong_crdt::id::TimelineId;
use khlong_crdt::time::Monotonic;
use khlong_sync::limits::RETRY_AFTER_MS_DEFAULT;

/// Longest pause between two offers: five minutes, since an operator has to
/// act first. Who cannot wait says `khlong outbox retry`.
pub(crate) const PAUSE_MAX_MS: u64 = 5 * 60 * 1_000;
const _: () = assert!((RETRY_AFTER_MS_DEFAULT as u64) < PAUSE_MAX_MS);

#[derive(Debug)]
struct Pause {
    /// Absent once it is over; kept, so that the next one is longer.
    until: Option<Monotonic>,
    ms: u64,
}

/// Gone with the connection: a new one asks at once. At most one for each
/// class of the timelines that the relay carries.
#[derive(Debug, Default)]
pub(crate) struct Pauses(BTreeMap<(TimelineId, Class), Pause>);

impl Pauses {
    /// After a refusal: begins a pause, twice as long as the last one and at
    /// least `asked_ms`, as far as that is none too long. Further refusals of one answer do not make it longer.
    /// Returns how long it still is.
    pub(crate) fn begin(
        &mut self,
        timeline: TimelineId,
        class: Class,
        now: Monotonic,
        asked_ms: Option<u32>,
    ) -> u64 {
        let asked = u64::from(asked_ms.unwrap_or(RETRY_AFTER_MS_DEFAULT));
        let pause = self
            .0
            .entry((timeline, class))
            .or_insert(Pause { until: None, ms: 0 });
        if pause.until.is_none() {
            pause.ms = (pause.ms * 2).max(asked).min(PAUSE_MAX_MS);
            pause.until = Some(now.after_ms(pause.ms));
        }
        pause.ms
    }

    /// The relay has room again.
    pub(crate) fn end(&mut self, timeline: TimelineId, class: Class) {
        self.0.remove(&(timeline, class));
    }

    pub(crate) fn end_all(&mut self) {
        self.0.clear();
    }

    pub(crate) fn run_out(&mut self, now: Monotonic) {
        for pause in self.0.values_mut() {
            pause.until.take_if(|until| *until <= now);
        }
    }

    pub(crate) fn holds(&self, timeline: TimelineId, class: Class) -> bool {
        self.0
            .get(&(timeline, class))
            .is_some_and(|pause| pause.until.is_some())
    }

    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.0.values().filter_map(|pause| pause.until).min()
    }
}
