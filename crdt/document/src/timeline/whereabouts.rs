//! Where a timeline is, and where a message lies.

use khlong_crdt::address::RelayAddress;
use khlong_crdt::admission::Rights;
use khlong_crdt::id::{AuthorKey, MessageId, Seq};

use super::Timeline;

impl Timeline {
    /// The relays of the timeline, if an admin has said which these are: as one said last. Nobody
    /// else is believed, since whoever is followed to another relay decides what is read there.
    #[must_use]
    pub fn relays(&self) -> Vec<RelayAddress> {
        let said = self.state().relays.into_iter().rev();
        let mut by_admins = said.filter(|(author, _)| self.may(author, Rights::ADMIN));
        by_admins.next().map_or_else(Vec::new, |(_, relays)| relays)
    }

    /// Whether others believe this device where the timeline is.
    #[must_use]
    pub fn may_move(&self) -> bool {
        self.may(&self.author, Rights::ADMIN)
    }

    /// Which envelope holds a message: whose chain, and where in it. None beyond the newest
    /// [`super::limits::SOURCE_PAGES_MAX`] pages, and beyond so many messages of others in one.
    #[must_use]
    pub fn source(&self, id: &MessageId) -> Option<(AuthorKey, Seq)> {
        self.sources.of(id).or_else(|| self.others.of(id))
    }
}
