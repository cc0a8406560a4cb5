//! How far each relay that lost its log was offered again what it had: one cursor for each
//! relay and timeline, in memory and in `node_state` (`store/KEYSPACE.md`).
//!
//! A cursor has two stages. First the keys and permissions of all members, in the order in
//! which they arrived here: without them the relay takes nothing. Then one's own chains,
//! author by author. A relay that is new to the timeline gets a third one from whoever added
//! it: what the others wrote. Nothing is copied into the outbox: the history is read where it lies.

use std::collections::BTreeMap;

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, LogId, RelayKey, Seq, TimelineId};
use khlong_store::error::StoreError;
use khlong_store::key::{Decoder, Encoder};
use khlong_store::limits::{BATCH_ROW_BYTES, VALUE_BYTES_MAX};
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use khlong_store::tables::named::{self, Named};
use khlong_store::tables::timelines::timeline_head;
use khlong_sync::wire::code::ErrorCode;

use super::batch::INPUT_BYTES_MAX;
use crate::error::NodeError;

/// Of both rows' layout.
const VERSION: u8 = 1;
const ROWS: &[u8] = b"reoffer/";
const STAGE_CONTROL: u8 = 0;
const STAGE_OWN: u8 = 1;
const STAGE_OTHERS: u8 = 2;
const FLAG_REFUSED: u8 = 1;
const FLAG_STORED: u8 = 2;
const FLAG_ROLLED_BACK: u8 = 4;
const FLAG_WHOLE: u8 = 8;

/// A cursor's name and value, with the store's own cost of a row.
const ROW_BYTES: usize = 8 + 32 + 32 + (1 + 4 * 8 + 3 + 8 + 32) + BATCH_ROW_BYTES;
/// A timeline takes at least so much of the book: its name and the keys of its entry.
const BOOK_TIMELINE_BYTES_MIN: usize = 128;

// All timelines of a book begin in one batch.
const _: () = assert!(VALUE_BYTES_MAX / BOOK_TIMELINE_BYTES_MIN * ROW_BYTES <= INPUT_BYTES_MAX);

/// Where a cursor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
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
    pub(super) const START: Self = Self::Control {
        after: ArrivalSeq(0),
        rounds: 0,
        has_refused: false,
        has_stored: false,
    };
    /// Of all keys and permissions what has no receipt of the log of now.
    pub(super) const AGAIN: Self = Self::Control {
        after: ArrivalSeq(0),
        rounds: 1,
        has_refused: false,
        has_stored: false,
    };
    pub(super) const OWN: Self = Self::Own {
        author: AuthorKey::from_bytes([0; 32]),
        seq: Seq(0),
    };
    /// Behind everything of one's own.
    pub(super) const OWN_END: Self = Self::Own {
        author: AuthorKey::from_bytes([u8::MAX; 32]),
        seq: Seq(u64::MAX),
    };

    /// Of the keys and permissions behind `arrival` what has no receipt of the log of now.
    pub(super) const fn again_after(arrival: ArrivalSeq) -> Self {
        Self::Control {
            after: arrival,
            rounds: 1,
            has_refused: false,
            has_stored: false,
        }
    }

    /// Among keys and permissions, a place before this arrival.
    pub(super) fn back_before(self, arrival: ArrivalSeq) -> Self {
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
    pub(super) fn earlier(self, other: Self) -> Self {
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
pub(super) struct Reoffer {
    /// What each class held when it began. Later ones go by the outbox.
    pub(super) ends: [ArrivalSeq; 4],
    pub(super) at: At,
    /// The same log was rolled back: a promise of it says nothing either.
    pub(super) is_rolled_back: bool,
    /// The relay gets what others wrote, too.
    pub(super) is_whole: bool,
    /// Why the relay takes nothing more for now; since the node started.
    pub(super) held_up: Option<ErrorCode>,
    /// Where one's own goes on after keys and permissions; since the node started.
    pub(super) resume: Option<At>,
    /// Rounds for want of a grant that brought the relay nothing; since the node started.
    pub(super) idle_rounds: u8,
    /// Something was new to the relay since the last of these began; since the node started.
    pub(super) has_brought: bool,
}

impl Reoffer {
    /// All that is here of a timeline; `None` where that is nothing.
    pub(super) fn of_all(
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
    pub(super) fn concerns(&self, class: Class, arrival: ArrivalSeq) -> bool {
        let end = self.ends.get(class as usize);
        end.is_some_and(|end| arrival <= *end)
    }

    /// Whether this place of one's own chains was offered again.
    pub(super) fn has_passed(&self, of: AuthorKey, place: Seq) -> bool {
        match self.at {
            At::Control { .. } => false,
            At::Own { author, seq } => (of, place) <= (author, seq),
            At::Others { .. } => true,
        }
    }

    pub(super) fn is_in_control(&self) -> bool {
        matches!(self.at, At::Control { .. })
    }

    fn encode(&self) -> Vec<u8> {
        let row = Encoder::new().u8(VERSION);
        let row = self.ends.iter().fold(row, |row, end| row.u64(end.0));
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let of_all = flag(self.is_rolled_back, FLAG_ROLLED_BACK) | flag(self.is_whole, FLAG_WHOLE);
        match self.at {
            At::Control {
                after,
                rounds,
                has_refused,
                has_stored,
            } => {
                let flags = flag(has_refused, FLAG_REFUSED) | flag(has_stored, FLAG_STORED);
                let row = row.u8(STAGE_CONTROL).u8(rounds).u8(flags | of_all);
                row.u64(after.0).fixed(&[0; 32])
            }
            At::Own { author, seq } => {
                let row = row.u8(STAGE_OWN).u8(0).u8(of_all);
                row.u64(seq.0).fixed(author.as_bytes())
            }
            At::Others { class, after } => {
                let row = row.u8(STAGE_OTHERS).u8(class.as_u8()).u8(of_all);
                row.u64(after.0).fixed(&[0; 32])
            }
        }
        .finish()
    }

    fn decode(row: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(row);
        if fields.u8()? != VERSION {
            return None;
        }
        let mut ends = [ArrivalSeq(0); 4];
        for end in &mut ends {
            *end = ArrivalSeq(fields.u64()?);
        }
        let (stage, rounds, flags) = (fields.u8()?, fields.u8()?, fields.u8()?);
        let (number, author) = (fields.u64()?, AuthorKey::from_bytes(fields.fixed()?));
        fields.end()?;
        let at = match stage {
            STAGE_CONTROL => At::Control {
                after: ArrivalSeq(number),
                rounds,
                has_refused: flags & FLAG_REFUSED != 0,
                has_stored: flags & FLAG_STORED != 0,
            },
            STAGE_OWN => At::Own {
                author,
                seq: Seq(number),
            },
            STAGE_OTHERS => At::Others {
                class: Class::try_from(rounds).ok()?,
                after: ArrivalSeq(number),
            },
            _ => return None,
        };
        Some(Self {
            ends,
            at,
            is_rolled_back: flags & FLAG_ROLLED_BACK != 0,
            is_whole: flags & FLAG_WHOLE != 0,
            held_up: None,
            resume: None,
            idle_rounds: 0,
            has_brought: false,
        })
    }
}

/// Every cursor, and for which log of a relay they were begun.
#[derive(Debug, Default)]
pub(super) struct Reoffers {
    cursors: BTreeMap<(RelayKey, TimelineId), Reoffer>,
    logs: BTreeMap<RelayKey, (LogId, u32)>,
}

fn log_name(relay: &RelayKey) -> Vec<u8> {
    [ROWS, relay.as_bytes()].concat()
}

fn cursor_name(relay: &RelayKey, timeline: &TimelineId) -> Vec<u8> {
    [ROWS, relay.as_bytes(), timeline.as_bytes()].concat()
}

fn decode_log(row: &[u8]) -> Option<(LogId, u32)> {
    let mut fields = Decoder::new(row);
    if fields.u8()? != VERSION {
        return None;
    }
    let log = (LogId::from_bytes(fields.fixed()?), fields.u32()?);
    fields.end()?;
    Some(log)
}

/// What a batch has to write after a change in memory.
pub(super) struct Change {
    name: Vec<u8>,
    row: Option<Vec<u8>>,
}

impl Change {
    pub(super) fn write(
        self,
        batch: &mut khlong_store::batch::Batch<'_>,
    ) -> Result<(), StoreError> {
        match self.row {
            Some(row) => named::put(batch, Named::NodeState, &self.name, row),
            None => named::remove(batch, Named::NodeState, &self.name),
        }
    }
}

impl Reoffers {
    /// What was begun before this start. Of a row of another version nothing is known but
    /// that something was owed: that timeline begins again.
    pub(super) fn load(store: &Store) -> Result<Self, NodeError> {
        let batch = store.batch();
        let rows = named::list(&batch, Named::NodeState, ROWS).map_err(NodeError::Store)?;
        let mut reoffers = Self::default();
        for (name, row) in rows {
            let mut fields = Decoder::new(name.get(ROWS.len()..).unwrap_or_default());
            let Some(relay) = fields.fixed().map(RelayKey::from_bytes) else {
                continue;
            };
            match fields.fixed().map(TimelineId::from_bytes) {
                None => {
                    if let Some(log) = decode_log(&row) {
                        reoffers.logs.insert(relay, log);
                    }
                }
                Some(timeline) => {
                    let anew = || Reoffer::of_all(&batch, &timeline);
                    let known = Reoffer::decode(&row).map_or_else(anew, |row| Ok(Some(row)));
                    if let Some(reoffer) = known.map_err(NodeError::Store)? {
                        reoffers.cursors.insert((relay, timeline), reoffer);
                    }
                }
            }
        }
        Ok(reoffers)
    }

    /// The log that the cursors of `relay` are of.
    pub(super) fn log_of(&self, relay: RelayKey) -> Option<(LogId, u32)> {
        self.logs.get(&relay).copied()
    }

    #[must_use]
    pub(super) fn set_log(&mut self, relay: RelayKey, log: (LogId, u32)) -> Change {
        self.logs.insert(relay, log);
        let row = Encoder::new().u8(VERSION).fixed(log.0.as_bytes());
        Change {
            name: log_name(&relay),
            row: Some(row.u32(log.1).finish()),
        }
    }

    /// The cursor whose place decides whether a promise stands that `relay` gave when its log
    /// was `log`; none where it stands.
    pub(super) fn in_doubt(
        &self,
        relay: RelayKey,
        timeline: TimelineId,
        log: (LogId, u32),
    ) -> Option<&Reoffer> {
        let is_of_now = self.log_of(relay).is_none_or(|met| met == log);
        let reoffer = self.get(relay, timeline);
        reoffer.filter(|it| it.is_rolled_back || !is_of_now)
    }

    pub(super) fn get(&self, relay: RelayKey, timeline: TimelineId) -> Option<&Reoffer> {
        self.cursors.get(&(relay, timeline))
    }

    #[must_use]
    pub(super) fn set(
        &mut self,
        relay: RelayKey,
        timeline: TimelineId,
        reoffer: Reoffer,
    ) -> Change {
        self.cursors.insert((relay, timeline), reoffer);
        Change {
            name: cursor_name(&relay, &timeline),
            row: Some(reoffer.encode()),
        }
    }

    #[must_use]
    pub(super) fn remove(&mut self, relay: RelayKey, timeline: TimelineId) -> Change {
        self.cursors.remove(&(relay, timeline));
        Change {
            name: cursor_name(&relay, &timeline),
            row: None,
        }
    }

    /// Everything of a relay that is forgotten.
    #[must_use]
    pub(super) fn remove_relay(&mut self, relay: RelayKey) -> Vec<Change> {
        let of_relay: Vec<TimelineId> = self.of(relay).map(|(timeline, _)| timeline).collect();
        let cursors = of_relay.into_iter();
        let mut changes: Vec<Change> = cursors.map(|of| self.remove(relay, of)).collect();
        if self.logs.remove(&relay).is_some() {
            let name = log_name(&relay);
            changes.push(Change { name, row: None });
        }
        changes
    }

    /// Everything of a timeline that is forgotten.
    #[must_use]
    pub(super) fn remove_timeline(&mut self, timeline: TimelineId) -> Vec<Change> {
        let relays = self.cursors.keys().filter(|(_, of)| *of == timeline);
        let relays: Vec<RelayKey> = relays.map(|(relay, _)| *relay).collect();
        let removed = relays.into_iter();
        removed.map(|relay| self.remove(relay, timeline)).collect()
    }

    /// What `relay` is offered again, by timeline.
    pub(super) fn of(&self, relay: RelayKey) -> impl Iterator<Item = (TimelineId, &Reoffer)> {
        let first = (relay, TimelineId::from_bytes([0; 32]));
        let last = (relay, TimelineId::from_bytes([u8::MAX; 32]));
        let of_relay = self.cursors.range(first..=last);
        of_relay.map(|((_, timeline), reoffer)| (*timeline, reoffer))
    }
}
