//! What a domain may see and do while it decides, and nothing else.

use khlong_crdt::time::UnixMillis;
use khlong_store::batch::Batch;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::Encoder;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::Applied;
use super::command::{Command, Logic};
use super::outcome::Rejection;

/// Side effects of one command.
pub const OUTBOX_ROWS_MAX: u32 = 1_024;

/// Why a command was not carried out.
#[derive(Debug)]
pub enum ApplyError {
    /// The disk or the batch failed: nothing is known about the command, the kernel stops.
    Store(StoreError),
    /// The same at every replay: what it wrote is rolled back, and the rejection journaled.
    Rejected(Rejection),
}

impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Something that happened, for domains of higher layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The number of the domain in which it happened.
    pub source: u8,
    /// What, in the encoding of that domain.
    pub message: Vec<u8>,
}

/// A part of the gateway that owns tables and decides about them.
///
/// It may keep in memory what it can read again from the batch.
pub trait Domain: Send {
    /// Names it in commands, for ever; 0 is the kernel itself.
    fn number(&self) -> u8;

    /// Decides a command.
    ///
    /// # Errors
    /// [`ApplyError::Rejected`] rolls everything back that this command wrote.
    fn apply(&mut self, context: &mut Context<'_, '_>, body: &[u8]) -> Result<Vec<u8>, ApplyError>;

    /// Takes note of what another domain did in the same command.
    ///
    /// # Errors
    /// As [`Self::apply`]; a rejection rolls back the whole command.
    fn observe(&mut self, context: &mut Context<'_, '_>, event: &Event) -> Result<(), ApplyError> {
        let _ = (context, event);
        Ok(())
    }

    /// Forgets what memory holds: the rows behind it are not what they were.
    fn roll_back(&mut self);

    /// When it wants a command of its own.
    ///
    /// # Errors
    /// From the disk.
    fn next_deadline(&self, rows: &dyn Rows) -> Result<Option<UnixMillis>, StoreError> {
        let _ = rows;
        Ok(None)
    }

    /// The body of that command.
    fn due(&self) -> Option<Vec<u8>> {
        None
    }
}

/// One command's view of the world.
pub struct Context<'c, 'e> {
    /// The open batch: reads see what was written.
    pub batch: &'c mut Batch<'e>,
    applied: Applied,
    logic: Logic,
    caller: &'c [u8],
    domain: u8,
    sent: u32,
    events: Vec<Event>,
}

impl<'c, 'e> Context<'c, 'e> {
    pub(super) fn new(
        batch: &'c mut Batch<'e>,
        applied: Applied,
        logic: Logic,
        command: &'c Command,
    ) -> Self {
        Self {
            batch,
            applied,
            logic,
            caller: &command.caller,
            domain: command.domain,
            sent: 0,
            events: Vec::new(),
        }
    }

    /// The time, which is that of the command.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.applied.time
    }

    /// The command's place in the journal.
    #[must_use]
    pub fn seq(&self) -> JournalSeq {
        self.applied.seq
    }

    /// The rules under which to decide.
    #[must_use]
    pub fn logic(&self) -> Logic {
        self.logic
    }

    /// Who asks.
    #[must_use]
    pub fn caller(&self) -> &[u8] {
        self.caller
    }

    /// Leaves a side effect for the outbox worker, under the stable key (seq, n) that is
    /// returned. What comes of it returns as a command.
    ///
    /// # Errors
    /// [`Rejection::Invariant`] beyond [`OUTBOX_ROWS_MAX`], or those of the batch.
    pub fn send(&mut self, message: &[u8]) -> Result<(JournalSeq, u32), ApplyError> {
        if self.sent >= OUTBOX_ROWS_MAX {
            return Err(ApplyError::Rejected(Rejection::Invariant));
        }
        let n = self.sent;
        self.sent += 1;
        let key = Encoder::new().u64(self.seq().0).u32(n).finish();
        let row = Encoder::new().u8(self.domain).tail(message).finish();
        self.batch.put(Table::GatewayOutbox, key, row)?;
        Ok((self.seq(), n))
    }

    /// Tells the other domains, within this command.
    pub fn emit(&mut self, message: Vec<u8>) {
        let source = self.domain;
        self.events.push(Event { source, message });
    }

    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}
