//! Reading a timeline again from all its envelopes.
//!
//! Two things cannot be put right by what comes next. What counted of an author whose
//! handover gave way cannot be taken back: Automerge has no un-apply. And what there was
//! no room to park is gone. In both cases the envelopes lie in the owner's store, and are
//! given again.

use std::collections::BTreeSet;

use khlong_crdt::admission::Admission;
use khlong_crdt::id::{AuthorKey, EnvelopeId, MessageId, Seq};

use super::Timeline;
use super::content::Opened;
use super::epochs::Epochs;
use super::event::TimelineEvent;
use super::limits::SUPERSEDED_AUTHORS_MAX;
use super::pages::Pages;
use super::parked::{Need, Parked};
use super::snapshot::Kept;
use super::sources::Sources;

impl Timeline {
    /// Whether [`Self::reread`] is due, before the next write: what is shown is wrong or
    /// not all. Until then a timeline in which somebody's handover gave way takes auth-ops only.
    #[must_use]
    pub const fn must_reread(&self) -> bool {
        self.is_stale || self.is_incomplete || self.pages.must_reread()
    }

    /// Reads the timeline from the beginning, more than once if it has to. `feed` gives all
    /// its envelopes to [`Self::receive_all`], in any order, auth-ops first being the
    /// quickest; also those that were sealed here and wait for a commit. Duplicates add nothing.
    ///
    /// It ends: either a handover gave way to one with a lower id, or something counts that did not before.
    ///
    /// # Errors
    /// Those of `feed`; the timeline must be read again then.
    pub fn reread<E>(
        &mut self,
        mut feed: impl FnMut(&mut Self) -> Result<Vec<TimelineEvent>, E>,
    ) -> Result<Vec<TimelineEvent>, E> {
        let mut shown = None;
        let mut events = Vec::new();
        loop {
            if self.is_stale {
                let held = self.pages.held_ids().collect();
                shown.get_or_insert(held);
                events.clear();
                self.begin_anew();
            }
            self.is_incomplete = false;
            self.parked.forget_dropped();
            self.pages.forget_dropped();
            match feed(self) {
                Ok(more) => events.extend(more),
                Err(error) => {
                    self.is_incomplete = true;
                    return Err(error);
                }
            }
            if !self.must_reread() {
                break;
            }
        }
        if let Some(shown) = shown {
            events.retain(|event| is_news(event, &shown));
            events.push(TimelineEvent::Rebuilt);
        }
        Ok(events)
    }

    /// Forgets all but who I am, which handovers count, and what was shown to me.
    fn begin_anew(&mut self) {
        self.admission = self.admission.take().map(Admission::reopened);
        self.epochs = Epochs::default();
        self.pages = Pages::new(self.timeline, self.pages.limits());
        for author in &self.superseded {
            self.pages.hide(*author);
        }
        self.receipts.begin_anew();
        self.auth_heads.clear();
        self.head = (Seq(0), EnvelopeId::ZERO);
        self.sources = Sources::default();
        self.parked = Parked::default();
        self.opened = Opened::default();
        self.kept = Kept::default();
        self.is_stale = false;
    }

    /// Nothing by this author counts, ever: another handover keeps the lower id.
    pub(super) fn supersede(&mut self, author: AuthorKey, events: &mut Vec<TimelineEvent>) {
        if self.superseded.contains(&author) {
            return;
        }
        if self.superseded.len() < SUPERSEDED_AUTHORS_MAX {
            self.superseded.insert(author);
            if !self.is_stale {
                self.pages.hide(author);
            }
        }
        events.push(TimelineEvent::Superseded { author });
    }

    pub(super) fn is_met(&self, need: &Need) -> bool {
        match need {
            Need::AuthOp => true,
            Need::Author(author) => self.principal_of(author).is_some(),
            Need::Append(author) => self.may_append(author),
            Need::Manifest(epoch) => self.epochs.has_manifest(epoch),
            Need::Key(epoch) => self.epochs.key(epoch).is_some(),
        }
    }
}

/// What a rebuild tells beyond [`TimelineEvent::Rebuilt`]: new messages, and what found no room.
fn is_news(event: &TimelineEvent, shown: &BTreeSet<MessageId>) -> bool {
    match event {
        TimelineEvent::MessageAdded(id) => !shown.contains(id),
        TimelineEvent::ParkedFull { .. }
        | TimelineEvent::ChainRunsFull { .. }
        | TimelineEvent::HeightsFull { .. }
        | TimelineEvent::DeliveryForgotten { .. }
        | TimelineEvent::Superseded { .. } => true,
        TimelineEvent::Opened
        | TimelineEvent::MessageChanged(_)
        | TimelineEvent::StateChanged
        | TimelineEvent::MemberJoined(_)
        | TimelineEvent::WeakInbox(_)
        | TimelineEvent::EpochLearnt(_)
        | TimelineEvent::Delivered { .. }
        | TimelineEvent::Read { .. }
        | TimelineEvent::Refused { .. }
        | TimelineEvent::ChangeRefused { .. }
        | TimelineEvent::Rebuilt => false,
    }
}
