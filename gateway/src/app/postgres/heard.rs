//! What is heard of a database that is said to be lost.
//!
//! A journal that is taken out of it goes on elsewhere, so it is not enough that the database is of
//! no use now: a standby, a server that starts, and one that lets nobody in may have the journal,
//! and go on with it tomorrow. Only where nobody speaks, or no journal is, a person's word counts.

use khlong_store::journal::Head;

use super::session::Session;
use super::{Beside, PostgresError, PostgresJournal};

/// What is heard of it.
#[derive(Debug)]
pub enum Heard {
    /// Nobody speaks there; what the last try met.
    Nobody(PostgresError),
    /// A server, with no journal: tables, schema or database are not there.
    NoJournal,
    /// A journal, whomever it serves.
    Journal(Beside),
}

impl PostgresJournal {
    /// Asks about a journal that goes to `copy` in a folder. Standbys are not waited for: what can
    /// be seen is there.
    ///
    /// # Errors
    /// [`PostgresError`]: somebody speaks, and does not say whether there is a journal.
    pub fn heard(&mut self, copy: &Head) -> Result<Heard, PostgresError> {
        let mut patience = self.link.patience();
        let ask = async |session: &Session| session.find(copy.seq).await;
        match self.link.repeat(&mut patience, ask) {
            Ok(None) => Ok(Heard::NoJournal),
            Ok(Some(found)) => Ok(Heard::Journal(Beside {
                head: found.head,
                hash: found.asked,
            })),
            Err(error) if error.is_no_database() => Ok(Heard::NoJournal),
            Err(error) if error.is_silence() && !self.link.was_let_in() => Ok(Heard::Nobody(error)),
            Err(error) => Err(error),
        }
    }
}
