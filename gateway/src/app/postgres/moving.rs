//! What a move of a journal asks of a database: to be filled while it serves nobody, to serve, and
//! to serve nobody any more. Each change of its standing is one transaction that waits for appends
//! that are under way; what became of one whose answer was lost is read back.

use data_encoding::HEXLOWER;
use khlong_crdt::id::LogId;
use khlong_store::journal::{Head, JournalError, JournalSeq, Stored};

use super::rows::tables;
use super::statements::{move_away, restand};
use super::{Beside, PostgresError, PostgresJournal, Standing};

impl PostgresJournal {
    /// Takes the tables where they stand so, and refuses them otherwise. What is made is made so.
    #[must_use]
    pub fn wanting(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }

    /// How the tables stand, and what they have beside a journal that goes to `copy`; `None` if no
    /// journal was begun there.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub fn standing(&mut self, copy: &Head) -> Result<Option<(Standing, Beside)>, PostgresError> {
        let mut patience = self.link.patience();
        let found = self.find_however(copy.seq, &mut patience)?;
        Ok(found.map(|found| {
            let beside = Beside {
                head: found.head,
                hash: found.asked,
            };
            (found.standing, beside)
        }))
    }

    /// Has the tables stand as `to`, if they stand as `from` and end with `head` still.
    ///
    /// # Errors
    /// [`PostgresError::MovedMeanwhile`] if they do not; nothing was changed then.
    pub fn restand(
        &mut self,
        head: &Head,
        from: Standing,
        to: Standing,
    ) -> Result<(), PostgresError> {
        let id = HEXLOWER.encode(head.id.as_bytes());
        let words = restand(&id, from.number(), to.number(), head.seq.0);
        self.change(&words)?;
        match self.standing(head)? {
            Some((standing, beside)) if standing == to && beside.head == *head => Ok(()),
            Some(_) | None => Err(PostgresError::MovedMeanwhile),
        }
    }

    /// Gives the journal to the folder whose log is `log`: nothing is appended from here on.
    /// Returns to whom it was given, which is another one if that came first.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub fn move_away(&mut self, head: &Head, log: LogId) -> Result<Option<LogId>, PostgresError> {
        let id = HEXLOWER.encode(head.id.as_bytes());
        let words = move_away(&id, &HEXLOWER.encode(log.as_bytes()));
        self.change(&words)?;
        self.moved_to(head)
    }

    /// The log of the folder that the journal was given to; `None` if it was not.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub fn moved_to(&mut self, head: &Head) -> Result<Option<LogId>, PostgresError> {
        match self.standing(head)? {
            Some((Standing::MovedAway, _)) => {}
            Some((Standing::Served | Standing::Filling, _)) | None => return Ok(None),
        }
        let mut patience = self.link.patience();
        let asked = async |session: &super::session::Session| {
            let log = session.moved_to().await?;
            let log = log.and_then(|log| log.try_into().ok());
            log.map(LogId::from_bytes)
                .ok_or_else(|| tables("nothing says into which folder the journal was moved"))
        };
        self.link.repeat(&mut patience, asked).map(Some)
    }

    /// Appends entries behind `head`, and returns when they are durable.
    ///
    /// # Errors
    /// [`JournalError::Moved`] if it ends elsewhere; and those of the database.
    pub fn fill(&mut self, head: &Head, entries: &[Stored]) -> Result<(), JournalError> {
        self.append_there(head, entries)
    }

    /// The entries up to `head`, read again, each compared with its hash.
    ///
    /// # Errors
    /// [`JournalError::Broken`] names the first that is not the one that was appended.
    pub fn verify_up_to(&mut self, head: &Head) -> Result<(), JournalError> {
        let reached = self.verify()?;
        if reached == *head {
            return Ok(());
        }
        Err(JournalError::Broken {
            seq: reached.seq.max(JournalSeq(1)).0,
            reason: "the journal in the database does not end where it should",
        })
    }

    fn change(&mut self, words: &str) -> Result<(), PostgresError> {
        let mut patience = self.link.patience();
        let change = async |session: &super::session::Session| session.change(words).await;
        self.link.repeat(&mut patience, change)
    }
}
