//! What is heard of a database that is said to be lost.
//!
//! A journal that is taken out of it goes on elsewhere, so it is not enough that the database is of
//! no use now: a standby, a server that starts or ends, and one that lets nobody in may have the
//! journal, and go on with it tomorrow. Only where no byte comes in any try, or no journal is, a
//! person's word counts.

use khlong_store::journal::Head;

use super::session::Session;
use super::{Beside, PostgresError, PostgresJournal, Standing};

/// What is heard of it.
#[derive(Debug)]
pub enum Heard {
    /// Nobody said anything, in any try; what the last one met.
    Nobody(PostgresError),
    /// A server, with no journal: tables, schema or database are not there.
    NoJournal,
    /// A journal, and whether gateways are served from it.
    Journal(Beside, Standing),
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
            Ok(Some(found)) => {
                let (head, hash) = (found.head, found.asked);
                Ok(Heard::Journal(Beside { head, hash }, found.standing))
            }
            Err(error) if error.is_no_database() => Ok(Heard::NoJournal),
            Err(error @ PostgresError::Unreachable { .. }) if !self.link.has_heard() => {
                Ok(Heard::Nobody(error))
            }
            Err(error) => Err(error),
        }
    }
}
