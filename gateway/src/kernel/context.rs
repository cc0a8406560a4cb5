//! What a domain may see and do while it decides, and nothing else.

use std::collections::VecDeque;

use khlong_crdt::time::UnixMillis;
use khlong_store::batch::Batch;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::Encoder;
use khlong_store::limits::{BATCH_ROW_BYTES, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::Applied;
use super::command::{Command, Logic};
use super::housekeeping::{KERNEL_DOMAIN, KERNEL_TABLES};
use super::outcome::Rejection;

// What the journal says was done is done again by a replay under these limits, so they may
// be raised and never lowered, and no domain or observer may come to write more for a command
// that is in a journal.

/// Rows that the domains of one command put and delete, each write counted.
pub const WRITES_ROWS_MAX: usize = 65_536;

/// Their bytes: key, value and [`BATCH_ROW_BYTES`] of each write. What the kernel adds comes on
/// top; see the arithmetic in `kernel`.
pub const WRITES_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Side effects of one command.
pub const OUTBOX_ROWS_MAX: u32 = 1_024;

/// The message of one side effect.
pub const OUTBOX_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Events of one command, those among them that observers emit.
pub const EVENTS_MAX: usize = 1_024;

/// Their messages together.
pub const EVENTS_BYTES_MAX: usize = 1024 * 1024;

const _: () = assert!(
    OUTBOX_MESSAGE_BYTES_MAX < VALUE_BYTES_MAX && WRITES_BYTES_MAX >= VALUE_BYTES_MAX,
    "a side effect, and the largest row, can be written"
);

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

    /// The tables that it alone writes.
    fn tables(&self) -> &'static [Table];

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

    /// Whether more is due at `now` than one command of it lets happen by itself.
    ///
    /// # Errors
    /// From the disk.
    fn is_overdue(&self, rows: &dyn Rows, now: UnixMillis) -> Result<bool, StoreError> {
        let _ = (rows, now);
        Ok(false)
    }

    /// The body of a command that lets happen what is due.
    fn due(&self) -> Option<Vec<u8>> {
        None
    }
}

/// The domains below the one that acts.
pub(super) trait Lower {
    /// Has `asked` decide `body`, if it is of a lower layer than `asking` and has not decided yet.
    fn ask(
        &self,
        context: &mut Context<'_, '_>,
        asking: u8,
        asked: u8,
        body: &[u8],
    ) -> Result<Vec<u8>, ApplyError>;
}

/// One command's view of the world.
///
/// What breaks a limit or touches another domain's table rejects the whole command, also if
/// the domain passes over the error; and what the disk fails a domain that is asked stops the kernel.
pub struct Context<'c, 'e> {
    batch: &'c mut Batch<'e>,
    applied: Applied,
    logic: Logic,
    caller: &'c [u8],
    acting: u8,
    tables: &'static [Table],
    rows: usize,
    bytes: usize,
    sent: u32,
    emitted: usize,
    emitted_bytes: usize,
    events: VecDeque<Event>,
    refused: Option<Rejection>,
    failed: Option<StoreError>,
    lower: &'c dyn Lower,
}

impl<'c, 'e> Context<'c, 'e> {
    pub(super) fn new(
        batch: &'c mut Batch<'e>,
        applied: Applied,
        logic: Logic,
        command: &'c Command,
        lower: &'c dyn Lower,
    ) -> Self {
        Self {
            batch,
            applied,
            logic,
            caller: &command.caller,
            acting: KERNEL_DOMAIN,
            tables: &KERNEL_TABLES,
            rows: 0,
            bytes: 0,
            sent: 0,
            emitted: 0,
            emitted_bytes: 0,
            events: VecDeque::new(),
            refused: None,
            failed: None,
            lower,
        }
    }

    /// What is applied, this command's own writes included.
    #[must_use]
    pub fn rows(&self) -> &Batch<'e> {
        self.batch
    }

    /// Sets `key` to `row` in a table of the acting domain.
    ///
    /// # Errors
    /// [`Rejection::ForeignTable`]; [`Rejection::TooLarge`] beyond [`WRITES_ROWS_MAX`],
    /// [`WRITES_BYTES_MAX`] or the limits of a row; or those of the disk.
    pub fn put(&mut self, table: Table, key: Vec<u8>, row: Vec<u8>) -> Result<(), ApplyError> {
        self.own(table)?;
        self.admit(key.len(), row.len())?;
        Ok(self.batch.put(table, key, row)?)
    }

    /// Deletes `key`, whether it exists or not.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn delete(&mut self, table: Table, key: Vec<u8>) -> Result<(), ApplyError> {
        self.own(table)?;
        self.admit(key.len(), 0)?;
        Ok(self.batch.delete(table, key)?)
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
    /// [`Rejection::TooLarge`] beyond [`OUTBOX_ROWS_MAX`] and [`OUTBOX_MESSAGE_BYTES_MAX`], or
    /// those of [`Self::put`].
    pub fn send(&mut self, message: &[u8]) -> Result<(JournalSeq, u32), ApplyError> {
        if self.sent >= OUTBOX_ROWS_MAX || message.len() > OUTBOX_MESSAGE_BYTES_MAX {
            return Err(self.refuse(Rejection::TooLarge));
        }
        let n = self.sent;
        self.sent += 1;
        let key = Encoder::new().u64(self.seq().0).u32(n).finish();
        let row = Encoder::new().u8(self.acting).tail(message).finish();
        self.admit(key.len(), row.len())?;
        self.batch.put(Table::GatewayOutbox, key, row)?;
        Ok((self.seq(), n))
    }

    /// Tells the other domains, within this command.
    ///
    /// # Errors
    /// [`Rejection::TooLarge`] beyond [`EVENTS_MAX`] and [`EVENTS_BYTES_MAX`], so that two who
    /// answer each other come to an end.
    pub fn emit(&mut self, message: Vec<u8>) -> Result<(), ApplyError> {
        self.emitted += 1;
        self.emitted_bytes = self.emitted_bytes.saturating_add(message.len());
        if self.emitted > EVENTS_MAX || self.emitted_bytes > EVENTS_BYTES_MAX {
            return Err(self.refuse(Rejection::TooLarge));
        }
        let source = self.acting;
        self.events.push_back(Event { source, message });
        Ok(())
    }

    /// Has a domain of a lower layer decide `body` as a part of this command, and returns its answer:
    /// so a payment posts in the ledger within its own entry. Its rows, side effects and events are its
    /// own; time, place, limits and batch are the command's. What it emits is told when the command's
    /// own domain has decided. Each domain decides once in a command.
    ///
    /// # Errors
    /// [`Rejection::Invariant`] if `domain` is none of a lower layer, or has decided already. That, and
    /// whatever rejects what was asked, rejects the whole command. [`ApplyError::Store`] stops the kernel:
    /// the domain that was asked may have done half of it.
    pub fn ask(&mut self, domain: u8, body: &[u8]) -> Result<Vec<u8>, ApplyError> {
        let (lower, acting, tables) = (self.lower, self.acting, self.tables);
        let answer = lower.ask(self, acting, domain, body);
        (self.acting, self.tables) = (acting, tables);
        answer.map_err(|error| match error {
            ApplyError::Rejected(rejection) => self.refuse(rejection),
            ApplyError::Store(error) => {
                self.failed.get_or_insert_with(|| error.clone());
                ApplyError::Store(error)
            }
        })
    }

    /// From now on `domain` acts: its tables, its side effects, its events.
    pub(super) fn act_as(&mut self, domain: &dyn Domain) {
        self.acting = domain.number();
        self.tables = domain.tables();
    }

    /// The oldest event that nobody was told of.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Why the command is rejected, whatever its domain made of the error.
    pub(super) fn refused(&self) -> Option<Rejection> {
        self.refused
    }

    /// What the disk failed a domain that was asked, whatever was made of the error.
    pub(super) fn take_failed(&mut self) -> Option<StoreError> {
        self.failed.take()
    }

    fn own(&mut self, table: Table) -> Result<(), ApplyError> {
        if self.tables.contains(&table) {
            return Ok(());
        }
        Err(self.refuse(Rejection::ForeignTable))
    }

    /// Every write counts, also one over an earlier one: what else waits in the batch must not
    /// matter, or a replay would reject something else.
    fn admit(&mut self, key: usize, row: usize) -> Result<(), ApplyError> {
        self.rows += 1;
        self.bytes = self.bytes.saturating_add(BATCH_ROW_BYTES + key + row);
        if key > KEY_BYTES_MAX
            || row > VALUE_BYTES_MAX
            || self.rows > WRITES_ROWS_MAX
            || self.bytes > WRITES_BYTES_MAX
        {
            return Err(self.refuse(Rejection::TooLarge));
        }
        Ok(())
    }

    /// The first reason stays.
    fn refuse(&mut self, rejection: Rejection) -> ApplyError {
        ApplyError::Rejected(*self.refused.get_or_insert(rejection))
    }
}
