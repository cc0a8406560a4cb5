//! Rows of the tables, as they are sent and as they come.

use khlong_store::journal::{Head, JournalId, JournalSeq, Stored};
use tokio_postgres::Row;

use super::error::{Failure, PostgresError};
use super::statements::{FILLING, TABLES_VERSION};

/// A row of the table.
pub(super) struct FoundRow {
    pub(super) seq: i64,
    pub(super) hash: Vec<u8>,
    pub(super) header: Vec<u8>,
    pub(super) command: Vec<u8>,
    pub(super) outcome: Vec<u8>,
}

/// Whom the tables serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Gateways.
    Served,
    /// Nobody yet: a journal is being copied in.
    Filling,
}

impl Standing {
    /// What stands for it in the place of the version.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Served => TABLES_VERSION,
            Self::Filling => FILLING,
        }
    }

    fn of(number: i32) -> Result<Self, PostgresError> {
        match number {
            TABLES_VERSION => Ok(Self::Served),
            FILLING => Ok(Self::Filling),
            found => Err(PostgresError::Version {
                found,
                known: TABLES_VERSION,
            }),
        }
    }
}

/// Where the journal stands.
pub(super) struct Found {
    pub(super) standing: Standing,
    pub(super) head: Head,
    /// The hash of the entry that was asked about.
    pub(super) asked: Option<Vec<u8>>,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inserted {
    All,
    /// The entry before, the journal's id or a setting is another one.
    Nothing,
    /// A seq has an entry.
    Taken,
}

/// Entries as the statement takes them: an array a column.
pub(super) struct Columns<'e> {
    pub(super) seqs: Vec<i64>,
    pub(super) hashes: Vec<&'e [u8]>,
    pub(super) headers: Vec<&'e [u8]>,
    pub(super) commands: Vec<&'e [u8]>,
    pub(super) outcomes: Vec<&'e [u8]>,
}

impl<'e> Columns<'e> {
    /// `None` where a seq is beyond those of the table.
    pub(super) fn of(entries: &'e [Stored]) -> Option<Self> {
        let seqs = entries.iter().map(|it| i64::try_from(it.seq.0).ok());
        Some(Self {
            seqs: seqs.collect::<Option<_>>()?,
            hashes: entries.iter().map(|it| it.hash.as_slice()).collect(),
            headers: entries
                .iter()
                .map(|it| it.entry.header.as_slice())
                .collect(),
            commands: entries
                .iter()
                .map(|it| it.entry.command.as_slice())
                .collect(),
            outcomes: entries
                .iter()
                .map(|it| it.entry.outcome.as_slice())
                .collect(),
        })
    }
}

/// The answer to [`super::statements::HEAD`].
pub(super) fn decode(row: &Row) -> Result<Found, Failure> {
    let standing = Standing::of(row.try_get(0)?)?;
    let (id, seq, hash): (Vec<u8>, Option<i64>, Option<Vec<u8>>) =
        (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let id = JournalId::from_bytes(exact(&id, "the id of the journal has not 16 bytes")?);
    let head = match (seq, hash) {
        (Some(seq), Some(hash)) => Head {
            id,
            seq: u64::try_from(seq)
                .ok()
                .filter(|seq| *seq > 0)
                .map(JournalSeq)
                .ok_or_else(|| tables("an entry has a number below 1"))?,
            hash: exact(&hash, "the hash of an entry has not 32 bytes")?,
        },
        (None, _) | (_, None) => Head::start(id),
    };
    Ok(Found {
        standing,
        head,
        asked: row.try_get(4)?,
    })
}

fn exact<const N: usize>(bytes: &[u8], reason: &'static str) -> Result<[u8; N], Failure> {
    bytes.try_into().map_err(|_| tables(reason))
}

pub(super) fn tables(reason: &'static str) -> Failure {
    Failure::Final(PostgresError::Tables { reason })
}
