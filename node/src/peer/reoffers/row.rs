//! The rows of cursors and of logs in `node_state` (`store/KEYSPACE.md`).

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, LogId, RelayKey, Seq, TimelineId};
use khlong_store::key::{Decoder, Encoder};
use khlong_store::limits::{BATCH_ROW_BYTES, VALUE_BYTES_MAX};

use super::cursor::{At, Reoffer};
use crate::peer::batch::INPUT_BYTES_MAX;

/// Of both rows' layout.
const VERSION: u8 = 1;
/// What their names begin with.
pub(super) const ROWS: &[u8] = b"reoffer/";
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

impl Reoffer {
    pub(super) fn encode(&self) -> Vec<u8> {
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

    pub(super) fn decode(row: &[u8]) -> Option<Self> {
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

pub(super) fn log_name(relay: &RelayKey) -> Vec<u8> {
    [ROWS, relay.as_bytes()].concat()
}

pub(super) fn cursor_name(relay: &RelayKey, timeline: &TimelineId) -> Vec<u8> {
    [ROWS, relay.as_bytes(), timeline.as_bytes()].concat()
}

pub(super) fn decode_log(row: &[u8]) -> Option<(LogId, u32)> {
    let mut fields = Decoder::new(row);
    if fields.u8()? != VERSION {
        return None;
    }
    let log = (LogId::from_bytes(fields.fixed()?), fields.u32()?);
    fields.end()?;
    Some(log)
}

pub(super) fn encode_log(log: (LogId, u32)) -> Vec<u8> {
    let row = Encoder::new().u8(VERSION).fixed(log.0.as_bytes());
    row.u32(log.1).finish()
}
