//! Where the offering of a timeline to a relay stands.

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, Seq, TimelineId};
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::tables::timelines::timeline_head;
use khlong_sync::wire::code::ErrorCode;

/// Where a cursor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::peer) enum At {
    /// Keys and permissions, up to and with this arrival.
    Control {
        after: ArrivalSeq,
        /// Rounds before this one. What was refused for a grant that came later in the round
        /// is offered again in the next.
        rounds: u8,
        /// Something was refused in this round for want of a grant.
        has_refused: bool,
        /// Something was new to the relay in this round.
        has_stored: bool,
    },
    /// One's own, up to and with this place of this author's chain, authors by their keys.
    Own { author: AuthorKey, seq: Seq },
    /// What others wrote, up to and with this arrival of this class.
    Others { class: Class, after: ArrivalSeq },
}

impl At {
    pub(in crate::peer) const START: Self = Self::Control {
        after: ArrivalSeq(0),
        rounds: 0,
        has_refused: false,
        has_stored: false,
    };
    /// Of all keys and permissions what has no receipt of the log of now.
    pub(in crate::peer) const AGAIN: Self = Self::Control {
        after: ArrivalSeq(0),
        rounds: 1,
        has_refused: false,
        has_stored: false,
    };
    pub(in crate::peer) const OWN: Self = Self::Own {
        author: AuthorKey::from_bytes([0; 32]),
        seq: Seq(0),
    };
    /// Behind everything of one's own.
    pub(in crate::peer) const OWN_END: Self = Self::Own {
        author: AuthorKey::from_bytes([u8::MAX; 32]),
        seq: Seq(u64::MAX),
    };

    /// Of the keys and permissions behind `arrival` what has no receipt of the log of now.
    pub(in crate::peer) const fn again_after(arrival: ArrivalSeq) -> Self {
        Self::Control {
            after: arrival,
            rounds: 1,
            has_refused: false,
            has_stored: false,
        }
    }

    /// Among keys and permissions, a place before this arrival.
    pub(in crate::peer) fn back_before(self, arrival: ArrivalSeq) -> Self {
        match self {
            Self::Control {
                after,
                rounds,
                has_refused,
                has_stored,
            } => Self::Control {
                after: after.min(ArrivalSeq(arrival.0.saturating_sub(1))),
                rounds,
                has_refused,
                has_stored,
            },
            Self::Own { .. } | Self::Others { .. } => self,
        }
    }

    /// Of two places the one that comes first: keys and permissions, then one's own.
    pub(in crate::peer) fn earlier(self, other: Self) -> Self {
        let places = (self, other);
        match places {
            (
                Self::Own { author, seq },
                Self::Own {
                    author: of,
                    seq: place,
                },
            ) if (of, place) < (author, seq) => other,
            (Self::Others { .. }, Self::Own { .. }) => other,
            (Self::Control { .. } | Self::Own { .. } | Self::Others { .. }, _) => self,
        }
    }
}

/// A cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::peer) struct Reoffer {
    /// What each class held when it began. Later ones go by the outbox.
    pub(in crate::peer) ends: [ArrivalSeq; 4],
    pub(in crate::peer) at: At,
    /// The same log was rolled back: a promise of it says nothing either.
    pub(in crate::peer) is_rolled_back: bool,
    /// The relay gets what others wrote, too.
    pub(in crate::peer) is_whole: bool,
    /// Why the relay takes nothing more for now; since the node started.
    pub(in crate::peer) held_up: Option<ErrorCode>,
    /// Where one's own goes on after keys and permissions; since the node started.
    pub(in crate::peer) resume: Option<At>,
    /// Rounds for want of a grant that brought the relay nothing; since the node started.
    pub(in crate::peer) idle_rounds: u8,
    /// Something was new to the relay since the last of these began; since the node started.
    pub(in crate::peer) has_brought: bool,
}

impl Reoffer {
    /// All that is here of a timeline; `None` where that is nothing.
    pub(in crate::peer) fn of_all(
        rows: &dyn Rows,
        timeline: &TimelineId,
    ) -> Result<Option<Self>, StoreError> {
        let mut ends = [ArrivalSeq(0); 4];
        for (end, class) in ends.iter_mut().zip(Class::ALL) {
            *end = timeline_head(rows, timeline, class)?.arrival;
        }
        let is_empty = ends.iter().all(|end| end.0 == 0);
        Ok((!is_empty).then_some(Self {
            ends,
            at: At::START,
            is_rolled_back: false,
            is_whole: false,
            held_up: None,
            resume: None,
            idle_rounds: 0,
            has_brought: false,
        }))
    }

    /// Whether the cursor says something of this arrival.
    pub(in crate::peer) fn concerns(&self, class: Class, arrival: ArrivalSeq) -> bool {
        let end = self.ends.get(class as usize);
        end.is_some_and(|end| arrival <= *end)
    }

    /// Whether this place of one's own chains was offered again.
    pub(in crate::peer) fn has_passed(&self, of: AuthorKey, place: Seq) -> bool {
        match self.at {
            At::Control { .. } => false,
            At::Own { author, seq } => (of, place) <= (author, seq),
            At::Others { .. } => true,
        }
    }

    pub(in crate::peer) fn is_in_control(&self) -> bool {
        matches!(self.at, At::Control { .. })
    }
}
