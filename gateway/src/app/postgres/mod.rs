//! The journal on PostgreSQL: one table, one row an entry, its seq the primary key.
//!
//! Several gateways may have the same database. An append is one statement, so that it is one
//! transaction; the primary key lets one writer have each seq, and the statement itself asks
//! whether the entry before is the one on which the commands were decided. What became of an
//! append whose answer is lost is read back by seq and hash. `DOMAINS.md` has the tables and
//! the reasons.
//!
//! The connection belongs to the thread that uses it. Every wait has a limit, every answer
//! one in bytes, and an acknowledgement is only taken from a server whose settings make it one.

mod bounded;
mod copy;
mod error;
mod heard;
mod link;
mod moving;
mod options;
mod rows;
mod session;
mod statements;
mod tls;
mod watch;

use khlong_store::engine::CommitReceipt;
use khlong_store::journal::{
    Append, Chain, ENTRIES_MAX, ENTRY_BYTES_MAX, Entry, Head, Journal, JournalError, JournalId,
    JournalSeq, READ_BYTES_MAX, Stored,
};
use khlong_store::store::Store;

pub use self::copy::{
    Beside, Home, MoveId, home, is_copy, mark_copy, mark_leaving, mark_returning, unmark,
};
pub use self::error::{Cause, PostgresError, Said};
pub use self::heard::Heard;
pub use self::options::{OptionsError, PostgresOptions, WITHIN_DEFAULT};
pub use self::rows::Standing;
pub use self::tls::Tls;
pub use self::watch::Watch;

use self::error::Failure;
use self::link::{Link, Patience};
use self::rows::{Columns, Found, FoundRow, Inserted};

/// The largest answer to a read: the entries, with one that goes over their sum; for each what
/// the protocol and the other columns need; and a sixteenth for TLS.
const READ_ANSWER_BYTES_MAX: u64 =
    (READ_BYTES_MAX + ENTRY_BYTES_MAX + ENTRIES_MAX * 128 + 64 * 1024) as u64 * 17 / 16;

/// A journal in a database.
pub struct PostgresJournal {
    link: Link,
    /// A head that is known to be where the database's settings want it.
    sure: Option<Head>,
    /// How the tables are to stand; else nothing is taken from them, and nothing put there.
    standing: Standing,
}

impl PostgresJournal {
    /// Nothing is asked of the database yet.
    ///
    /// # Errors
    /// [`PostgresError::Runtime`].
    pub fn new(options: PostgresOptions) -> Result<Self, PostgresError> {
        Ok(Self {
            link: Link::new(options)?,
            sure: None,
            standing: Standing::Served,
        })
    }

    /// Where the journal stands; `None` if none was begun.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub fn tail(&mut self) -> Result<Option<Head>, PostgresError> {
        let found = self.find(JournalSeq(0))?;
        Ok(found.map(|found| found.head))
    }

    /// What stands beside a folder's copy that goes to `copy`; `None` if no journal was begun.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub fn beside(&mut self, copy: &Head) -> Result<Option<Beside>, PostgresError> {
        let found = self.find(copy.seq)?;
        Ok(found.map(|found| Beside {
            head: found.head,
            hash: found.asked,
        }))
    }

    /// Its hash at an entry, as it is written there; `None` if it ends before.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub fn hash_at(&mut self, entry: JournalSeq) -> Result<Option<[u8; 32]>, PostgresError> {
        let found = self.find(entry)?;
        let hash = found.and_then(|found| found.asked);
        Ok(hash.and_then(|hash| hash.try_into().ok()))
    }

    /// Begins the journal `fresh`, or finds the one that is there, be it that somebody else
    /// begins one in the same moment.
    ///
    /// # Errors
    /// As [`Journal::create`].
    pub fn begin(&mut self, fresh: JournalId) -> Result<Head, JournalError> {
        if let Some(head) = self.tail()? {
            return Ok(head);
        }
        match self.create(fresh) {
            Ok(()) => Ok(Head::start(fresh)),
            Err(JournalError::Exists) => self.tail()?.ok_or(JournalError::Exists),
            Err(error) => Err(error),
        }
    }

    fn find(&mut self, asked: JournalSeq) -> Result<Option<Found>, PostgresError> {
        let mut patience = self.link.patience();
        self.find_within(asked, &mut patience)
    }

    /// What others appended is not told before it is as durable as they had to wait for.
    fn find_within(
        &mut self,
        asked: JournalSeq,
        patience: &mut Patience,
    ) -> Result<Option<Found>, PostgresError> {
        let found = self.find_however(asked, patience)?;
        match found.as_ref().map(|found| found.standing) {
            None => Ok(None),
            Some(standing) if standing == self.standing => Ok(found),
            Some(Standing::Filling) => Err(PostgresError::Unfinished),
            Some(Standing::Served) => Err(PostgresError::MovedMeanwhile),
        }
    }

    /// Whomever the tables serve.
    fn find_however(
        &mut self,
        asked: JournalSeq,
        patience: &mut Patience,
    ) -> Result<Option<Found>, PostgresError> {
        let known = self.sure;
        let found = self.link.repeat(patience, async |session| {
            let found = session.find(asked).await?;
            if found
                .as_ref()
                .is_some_and(|found| known != Some(found.head))
            {
                session.barrier().await?;
            }
            Ok(found)
        })?;
        self.sure = found.as_ref().map(|found| found.head);
        Ok(found)
    }

    /// As [`Journal::read`]; each hash follows from the entry and the hash before it.
    ///
    /// # Errors
    /// [`JournalError::Broken`] names the first entry that is not the one that was appended.
    pub fn entries(&mut self, from: JournalSeq) -> Result<Vec<Stored>, JournalError> {
        let from = from.max(JournalSeq(1));
        let before = JournalSeq(from.0 - 1);
        let found = self.find(before)?.ok_or(JournalError::Missing)?;
        let mut reached = Head::start(found.head.id);
        if before.0 > 0 {
            let hash = found.asked.and_then(|hash| hash.try_into().ok());
            reached.seq = before;
            reached.hash = hash.ok_or_else(|| missing(before))?;
        }
        let mut patience = self.link.patience();
        let rows = self
            .link
            .repeat(&mut patience, async |session| session.read(from).await)?;
        let chain = Chain::of(found.head.id);
        rows.into_iter()
            .map(|row| {
                let stored = follow(&chain, reached, row)?;
                (reached.seq, reached.hash) = (stored.seq, stored.hash);
                Ok(stored)
            })
            .collect()
    }

    /// Reads the whole journal and checks each hash.
    ///
    /// # Errors
    /// As [`Self::entries`].
    pub fn verify(&mut self) -> Result<Head, JournalError> {
        let head = self.tail()?.ok_or(JournalError::Missing)?;
        let mut reached = Head::start(head.id);
        // What is appended meanwhile is not waited for.
        while reached.seq < head.seq {
            let part = self.entries(reached.seq.next())?;
            let last = part.last().ok_or_else(|| missing(reached.seq.next()))?;
            (reached.seq, reached.hash) = (last.seq, last.hash);
        }
        Ok(reached)
    }

    /// Begins the journal, and does `more` in the same transaction.
    fn create_with(&mut self, id: JournalId, more: &str) -> Result<(), JournalError> {
        let (mut patience, standing) = (self.link.patience(), self.standing);
        loop {
            let asked = self.link.once(&patience, async |session| {
                session.create(id, standing, more).await
            });
            let lost = match asked {
                Ok(true) => return Ok(()),
                Ok(false) => None,
                Err(Failure::Lost(source)) => Some(source),
                Err(Failure::Final(error)) => return Err(error.into()),
            };
            match self.tail()? {
                // A lost answer to ours.
                Some(head) if head == Head::start(id) => return Ok(()),
                Some(_) => return Err(JournalError::Exists),
                None => patience.wait(
                    lost.unwrap_or_else(|| "there are other tables under these names".into()),
                )?,
            }
        }
    }

    /// Appends entries behind `expected`, and returns when it is known what became of them.
    ///
    /// # Errors
    /// [`JournalError::Moved`] if the journal ends elsewhere; and those of the database.
    pub(crate) fn append_there(
        &mut self,
        expected: &Head,
        entries: &[Stored],
    ) -> Result<(), JournalError> {
        let Some(last) = entries.last() else {
            return Ok(());
        };
        let columns = Columns::of(entries).ok_or(JournalError::TooLarge {
            what: "entries",
            found: usize::MAX,
            max: usize::MAX / 2,
        })?;
        let (mut patience, standing) = (self.link.patience(), self.standing);
        loop {
            let asked = self.link.once(&patience, async |session| {
                session.insert(expected, standing, &columns).await
            });
            let lost = match asked {
                Ok(Inserted::All) => {
                    self.sure = Some(Head {
                        id: expected.id,
                        seq: last.seq,
                        hash: last.hash,
                    });
                    return Ok(());
                }
                Ok(Inserted::Nothing | Inserted::Taken) => None,
                Err(Failure::Lost(source)) => Some(source),
                Err(Failure::Final(error)) => return Err(error.into()),
            };
            let found = self.find_within(last.seq, &mut patience)?;
            let found = found.ok_or(JournalError::Missing)?;
            if found.asked.is_some_and(|hash| hash == last.hash) {
                // The hash covers all up to it: these are the entries.
                return Ok(());
            }
            if found.head != *expected {
                return Err(JournalError::Moved {
                    expected: expected.seq.0,
                    found: found.head.seq.0,
                });
            }
            // Nothing is there yet. Should the lost one still arrive, it and the next try
            // exclude each other by their seqs, and have the same hash. If a setting keeps
            // entries out, the next connection says which.
            self.link.hang_up();
            patience.wait(lost.unwrap_or_else(|| "the append wrote nothing".into()))?;
        }
    }
}

impl Journal for PostgresJournal {
    fn is_shared(&self) -> bool {
        true
    }

    fn head(&mut self, _: &Store) -> Result<Option<Head>, JournalError> {
        Ok(self.tail()?)
    }

    fn create(&mut self, id: JournalId) -> Result<(), JournalError> {
        self.create_with(id, "")
    }

    fn read(&mut self, _: &Store, from: JournalSeq) -> Result<Vec<Stored>, JournalError> {
        self.entries(from)
    }

    fn append(
        &mut self,
        store: &mut Store,
        append: Append<'_>,
    ) -> Result<CommitReceipt, JournalError> {
        self.append_there(&append.expected, &append.entries()?)?;
        append.keep(store)
    }
}

/// The entry of a row, if it is the next one.
fn follow(chain: &Chain, reached: Head, row: FoundRow) -> Result<Stored, JournalError> {
    let due = reached.seq.next();
    if u64::try_from(row.seq) != Ok(due.0) {
        return Err(missing(due));
    }
    let entry = Entry {
        header: row.header,
        command: row.command,
        outcome: row.outcome,
    };
    if entry.bytes() > ENTRY_BYTES_MAX {
        return Err(broken(due, "it is larger than an entry can be"));
    }
    let next = chain.extend(reached, &entry.header, &entry.command, &entry.outcome);
    if next.hash.as_slice() != row.hash {
        return Err(broken(
            due,
            "its hash does not follow from the entries up to it, in the database",
        ));
    }
    Ok(Stored {
        seq: due,
        hash: next.hash,
        entry,
    })
}

fn missing(seq: JournalSeq) -> JournalError {
    broken(seq, "it is missing in the database")
}

fn broken(seq: JournalSeq, reason: &'static str) -> JournalError {
    JournalError::Broken { seq: seq.0, reason }
}
