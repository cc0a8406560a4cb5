//! A relay that is away, or takes nothing, while another one of the timeline goes on.
//!
//! Up to a limit the outbox keeps a row for each envelope that such a relay lacks. Beyond it
//! the rows that another relay has signed for go, and a cursor remembers instead from where
//! on one's own chain is to be offered ([`super::portions`]): a dead relay takes no place.

use khlong_crdt::id::{AuthorKey, RelayKey, Seq, TimelineId};
use khlong_store::tables::outbox;

use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::outbox::{Place, Waiting};
use crate::peer::reoffers::{At, Reoffer};

/// Rows of one timeline that wait for one relay only, others having signed.
const BEHIND_ROWS_MAX: usize = 256;
/// Rows that go in one step; the next answer of another relay takes the next step.
const STEP_ROWS_MAX: usize = 1_024;
const _: () = assert!(BEHIND_ROWS_MAX < STEP_ROWS_MAX);

impl Peer {
    /// After an answer: for each relay of the timeline that lacks too much.
    pub(super) fn let_fall_behind(&mut self, timeline: TimelineId) -> Result<(), NodeError> {
        let carriers = self.book.carriers_of(timeline);
        if carriers.len() < 2 {
            return Ok(());
        }
        for relay in carriers {
            let waiting = self.outbox.of(timeline);
            let behind = waiting.filter(|it| it.is_stored() && it.is_for(relay));
            let behind: Vec<(Place, AuthorKey, Seq)> = behind
                .take(STEP_ROWS_MAX)
                .map(|it| (it.place(), it.author, it.seq))
                .collect();
            if behind.len() > BEHIND_ROWS_MAX {
                self.fall_behind(relay, timeline, &behind)?;
            }
        }
        Ok(())
    }

    fn fall_behind(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        behind: &[(Place, AuthorKey, Seq)],
    ) -> Result<(), NodeError> {
        let begun = self.with_batch(|batch| Reoffer::of_all(batch, &timeline))?;
        let lowest = behind.iter().map(|(_, author, seq)| (*author, *seq)).min();
        let (Some(begun), Some((author, seq))) = (begun, lowest) else {
            return Ok(());
        };
        let before = Seq(seq.0.saturating_sub(1));
        let knows_me = self.outbox.introduction(timeline, relay).next().is_none();
        let at = match self.reoffers.get(relay, timeline).map(|known| known.at) {
            Some(At::Own { author: at, seq }) if (at, seq) < (author, before) => {
                At::Own { author: at, seq }
            }
            Some(control @ At::Control { .. }) => control,
            None if !knows_me => At::START,
            Some(At::Own { .. }) | None => At::Own {
                author,
                seq: before,
            },
        };
        let change = self.reoffers.set(relay, timeline, Reoffer { at, ..begun });
        self.with_batch(|batch| change.write(batch))?;
        let carriers = self.book.carriers_of(timeline);
        let others: Vec<RelayKey> = carriers.into_iter().filter(|it| *it != relay).collect();
        for (place, ..) in behind {
            let wants = |it: &Waiting| others.iter().any(|other| it.is_for(*other));
            if self.outbox.get(*place).is_none_or(wants) {
                continue;
            }
            self.outbox.remove(*place);
            self.with_batch(|batch| outbox::remove(batch, &timeline, place.n))?;
        }
        Ok(())
    }

    /// Envelopes of one's own that wait in the outbox for this relay.
    pub(in crate::peer) fn lacking(&self, relay: RelayKey) -> u64 {
        let carried = self.book.carried_by(relay);
        let waiting = carried
            .iter()
            .flat_map(|timeline| self.outbox.of(*timeline));
        waiting.filter(|it| it.is_missing_at(relay)).count() as u64
    }
}
