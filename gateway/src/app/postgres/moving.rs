//! What a move of a journal asks of a database: to be filled while it serves nobody, and then to
//! serve. The change is one transaction; what became of one whose answer was lost is read back.

use data_encoding::HEXLOWER;
use khlong_store::journal::{Head, JournalError, JournalId, JournalSeq};

use super::rows::tables;
use super::session::Session;
use super::statements::{create_move, serve};
use super::{Beside, MoveId, PostgresError, PostgresJournal, Standing};

impl PostgresJournal {
    /// Takes the tables where they stand so, and refuses them otherwise. What is made is made so.
    #[must_use]
    pub fn wanting(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }

    /// Begins the journal `id`, with the name of the move that is to fill it.
    ///
    /// # Errors
    /// [`JournalError::Exists`] if there is one; and those of the database.
    pub fn create_for(&mut self, id: JournalId, of: MoveId) -> Result<(), JournalError> {
        self.create_with(id, &create_move(&HEXLOWER.encode(of.as_bytes())))?;
        // A lost answer to another process's looks like one to this one's.
        if self.move_id()? == Some(of) {
            return Ok(());
        }
        Err(JournalError::Exists)
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

    /// The move that filled the tables, or fills them; `None` if none did.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub fn move_id(&mut self) -> Result<Option<MoveId>, PostgresError> {
        let mut patience = self.link.patience();
        let asked = async |session: &Session| {
            let id = session.move_id().await?.map(<[u8; 16]>::try_from);
            let id = id.transpose();
            id.map(|id| id.map(MoveId::from_bytes))
                .map_err(|_| tables("the name of a move has not 16 bytes"))
        };
        self.link.repeat(&mut patience, asked)
    }

    /// Has the tables serve gateways, if the move `id` filled them and they end with `head` still.
    ///
    /// # Errors
    /// [`PostgresError::MovedMeanwhile`] if they do not; nothing was changed then.
    pub fn serve(&mut self, head: &Head, id: MoveId) -> Result<(), PostgresError> {
        let words = serve(
            &HEXLOWER.encode(head.id.as_bytes()),
            &HEXLOWER.encode(id.as_bytes()),
            head.seq.0,
        );
        let mut patience = self.link.patience();
        let change = async |session: &Session| session.change(&words).await;
        self.link.repeat(&mut patience, change)?;
        match self.standing(head)? {
            // Who waited for it may have appended by now.
            Some((Standing::Served, beside)) if beside.holds(head).is_ok() => Ok(()),
            Some(_) | None => Err(PostgresError::MovedMeanwhile),
        }
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
}
