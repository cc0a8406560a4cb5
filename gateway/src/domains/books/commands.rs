//! Commands and answers of the books as bytes. `DOMAINS.md` is their specification.

use khlong_crdt::time::UnixMillis;
use khlong_store::key::{Decoder, Encoder};

use super::day::Day;
use super::payout::{AnswerRecord, ExportRecord};
use super::reconciliation::ReconciliationRecord;
use super::tables::{Close, put_close, take_close};

/// What is asked of the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BooksCommand {
    /// Kind 1, `day 4`: close that day, or go on with it.
    CloseDay(Day),
    /// Kind 2: close the day that is next, or go on with it.
    CloseNext,
    /// Kind 3: keep the digests of a comparison with a bank's file.
    RecordReconciliation(ReconciliationRecord),
    /// Kind 4: from now on the file of a batch of payouts may leave.
    ExportPayouts(ExportRecord),
    /// Kind 5: what a bank says of a batch, to be told what is to become of its holds.
    AnswerPayouts(AnswerRecord),
}

const VERSION: u8 = 1;
const CLOSE_DAY: u8 = 1;
const CLOSE_NEXT: u8 = 2;
const RECORD_RECONCILIATION: u8 = 3;
const EXPORT_PAYOUTS: u8 = 4;
const ANSWER_PAYOUTS: u8 = 5;

impl BooksCommand {
    /// As the body of a command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let start = Encoder::new().u8(VERSION);
        match self {
            Self::CloseDay(day) => start.u8(CLOSE_DAY).u32(day.0).finish(),
            Self::CloseNext => start.u8(CLOSE_NEXT).finish(),
            Self::RecordReconciliation(record) => {
                record.put(start.u8(RECORD_RECONCILIATION)).finish()
            }
            Self::ExportPayouts(record) => record.put(start.u8(EXPORT_PAYOUTS)).finish(),
            Self::AnswerPayouts(record) => record.put(start.u8(ANSWER_PAYOUTS)).finish(),
        }
    }

    /// What a body asks for, in one word, without reading it whole.
    #[must_use]
    pub fn name_of(body: &[u8]) -> Option<&'static str> {
        match *body {
            [VERSION, CLOSE_DAY, ..] => Some("close_day"),
            [VERSION, CLOSE_NEXT, ..] => Some("close_next"),
            [VERSION, RECORD_RECONCILIATION, ..] => Some("record_reconciliation"),
            [VERSION, EXPORT_PAYOUTS, ..] => Some("export_payouts"),
            [VERSION, ANSWER_PAYOUTS, ..] => Some("answer_payouts"),
            _ => None,
        }
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(body);
        let command = match (fields.u8()?, fields.u8()?) {
            (VERSION, CLOSE_DAY) => Self::CloseDay(Day(fields.u32()?)),
            (VERSION, CLOSE_NEXT) => Self::CloseNext,
            (VERSION, RECORD_RECONCILIATION) => {
                Self::RecordReconciliation(ReconciliationRecord::take(&mut fields)?)
            }
            (VERSION, EXPORT_PAYOUTS) => Self::ExportPayouts(ExportRecord::take(&mut fields)?),
            (VERSION, ANSWER_PAYOUTS) => Self::AnswerPayouts(AnswerRecord::take(&mut fields)?),
            _ => return None,
        };
        fields.end()?;
        Some(command)
    }
}

/// What comes of a close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseAnswer {
    /// 0: it is closed. The same bytes whenever the day is asked for again.
    Closed(Close),
    /// 1: some of its records are added up; ask again for the next ones.
    Unfinished {
        /// The day.
        day: Day,
        /// How many so far.
        records: u64,
    },
    /// 2: the day is not over.
    TooEarly {
        /// The day.
        day: Day,
        /// When it is.
        until: UnixMillis,
    },
    /// 3: another day comes first.
    OutOfOrder {
        /// That one.
        expected: Day,
    },
    /// 4: the ledger has no record yet.
    NothingYet,
}

impl CloseAnswer {
    /// `code 1 ‖ fields`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let start = Encoder::new();
        match self {
            Self::Closed(close) => put_close(start.u8(0).u32(close.day.0), close).finish(),
            Self::Unfinished { day, records } => start.u8(1).u32(day.0).u64(*records).finish(),
            Self::TooEarly { day, until } => start.u8(2).u32(day.0).i64(until.0).finish(),
            Self::OutOfOrder { expected } => start.u8(3).u32(expected.0).finish(),
            Self::NothingYet => start.u8(4).finish(),
        }
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(bytes);
        let answer = match fields.u8()? {
            0 => {
                let day = Day(fields.u32()?);
                Self::Closed(take_close(day, &mut fields)?)
            }
            1 => Self::Unfinished {
                day: Day(fields.u32()?),
                records: fields.u64()?,
            },
            2 => Self::TooEarly {
                day: Day(fields.u32()?),
                until: UnixMillis(fields.i64()?),
            },
            3 => Self::OutOfOrder {
                expected: Day(fields.u32()?),
            },
            4 => Self::NothingYet,
            _ => return None,
        };
        fields.end()?;
        Some(answer)
    }
}
