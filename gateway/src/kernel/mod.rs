//! The one deterministic writer: `propose → apply → commit → release`.
//!
//! Every command is decided in the order of the journal, from what the journal holds and
//! from nothing else: time, random numbers and the answers of others come *inside* the
//! command. So every other table is a view, and [`replay`] rebuilds it to the same
//! [`state_hash`]. An outcome leaves only after the commit that made it durable, and a
//! commit that failed takes everything in memory with it.
//!
//! Sans-IO: no clock, socket, thread or entropy. Which domain owns which rows is said by
//! [`Domain`]; they are handed in, so that the kernel knows none of them.

mod clock;
mod command;
mod context;
mod decide;
mod due;
mod durable;
mod epochs;
mod error;
mod housekeeping;
mod idempotency;
mod outbox;
mod outcome;
mod overdue;
mod replay;
mod snapshot;
mod state_hash;
mod stopped;
mod views;

pub use clock::{
    BEHIND_MS_MAX, Doubt, EARLIEST_MS, IDLE_MS_MAX, JUMP_MS_MAX, QUIET_MS_MAX, STILL_MS_MAX,
};
pub use command::{
    BODY_BYTES_MAX, Command, Decided, HEADER_BYTES_MAX, KERNEL_CALLER, Logic, NAME_BYTES_MAX,
};
pub use context::{
    ApplyError, Context, Domain, EVENTS_BYTES_MAX, EVENTS_MAX, Event, OUTBOX_MESSAGE_BYTES_MAX,
    OUTBOX_ROWS_MAX, WRITES_BYTES_MAX, WRITES_ROWS_MAX,
};
pub use epochs::{EPOCHS_MAX, Epoch, epochs, latest_epoch};
pub use error::KernelError;
pub use housekeeping::{EVICTIONS_MAX, Housekeeping, KERNEL_DOMAIN, known_keys, oldest_key};
pub use outbox::{
    Holder, LEASE_MS_MAX, Notice, SideEffect, TOPIC_BYTES_MAX, is_topic, leader, left_at, waiting,
    waiting_behind, waiting_count, waiting_outbox,
};
pub use outcome::{OUTCOME_BYTES_MAX, Outcome, Rejection};
pub use overdue::{OVERDUE_AGAIN_ENTRIES, OwnRejection};
pub use replay::replay;
pub use snapshot::adopt;
pub use state_hash::state_hash;
pub use views::{Applied, check as check_views};

use khlong_crdt::time::UnixMillis;
use khlong_store::batch::{Batch, Overlay};
use khlong_store::engine::Durability;
use khlong_store::journal::{self, Head, Journal, JournalId, LocalJournal};
use khlong_store::limits::BATCH_BYTES_MAX;
use khlong_store::store::Store;

use self::overdue::Overdue;

/// What one command may write: the rows of domains, and the kernel's own.
pub const COMMAND_WRITES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The journal's row, the two rows of the key, the head and the place.
const KERNEL_ROWS_BYTES: usize = BODY_BYTES_MAX + OUTCOME_BYTES_MAX + 4_096;

const _: () = assert!(
    WRITES_BYTES_MAX + KERNEL_ROWS_BYTES <= COMMAND_WRITES_BYTES_MAX,
    "the largest command fits"
);

const _: () = assert!(
    2 * COMMAND_WRITES_BYTES_MAX <= BATCH_BYTES_MAX,
    "a batch that is half full takes one more command"
);

/// Outcomes that wait for one commit.
pub const GROUP_COMMANDS_MAX: usize = 1_024;

const _: () = assert!(
    GROUP_COMMANDS_MAX <= journal::ENTRIES_MAX,
    "a group is what one append may hold"
);

/// What [`Kernel::propose`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// Apply it.
    Admitted,
    /// It was decided before; this is what was answered, byte for byte.
    Known(Decided),
}

/// Answers one caller; [`Kernel::apply`] hands it out, [`Output`] brings it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What may leave now, because what it stands on is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Whose answer.
    pub ticket: Ticket,
    /// The answer.
    pub decided: Decided,
}

/// The kernel. Commit after each group of commands, then release; after an error that
/// [`KernelError::is_fatal`] calls so, drop it and open the folder again.
pub struct Kernel {
    store: Store,
    journal: Box<dyn Journal>,
    domains: Vec<Box<dyn Domain>>,
    logic: Logic,
    /// The last entry that the journal is known to keep.
    durable: Head,
    head: Head,
    applied: Applied,
    /// The latest reading of the driver's clock.
    clock: Option<UnixMillis>,
    overlay: Overlay,
    tickets: u64,
    waiting: Vec<Output>,
    released: Vec<Output>,
    /// What waits in the overlay is in the journal already, and the store did not take it yet.
    is_unkept: bool,
    overdue: Overdue,
    broken: bool,
}

impl Kernel {
    /// Takes over a store whose journal lies in it. The whole journal is read and checked
    /// first; `fresh` names the journal if the folder has neither one nor views. Of `domains` the
    /// lower layers come first: see [`Context::ask`].
    ///
    /// # Errors
    /// [`KernelError::Journal`] names the first damaged entry; [`KernelError::Behind`],
    /// [`KernelError::OtherJournal`] and [`KernelError::NoJournal`] if the views are not those
    /// of the journal's head: nothing is written then. [`KernelError::Domains`].
    pub fn open(
        store: Store,
        domains: Vec<Box<dyn Domain>>,
        logic: Logic,
        fresh: JournalId,
    ) -> Result<Self, KernelError> {
        Self::open_with(Box::new(LocalJournal), store, domains, logic, fresh)
    }

    /// The same with a journal that lies elsewhere. What it holds beyond the store's copy is
    /// applied first.
    ///
    /// # Errors
    /// As [`Self::open`], and those of [`replay`].
    pub fn open_with(
        mut journal: Box<dyn Journal>,
        mut store: Store,
        domains: Vec<Box<dyn Domain>>,
        logic: Logic,
        fresh: JournalId,
    ) -> Result<Self, KernelError> {
        views::check_domains(&domains)?;
        let known = journal.head(&store)?;
        let copy = journal::head(&store)?;
        if copy.is_none() {
            views::check(&store, None)?;
            let id = known.map_or(fresh, |head| head.id);
            if known.is_none() {
                journal.create(id)?;
            }
            let mut batch = store.batch();
            journal::create(&mut batch, id)?;
            let writes = batch.into_writes();
            store.commit(writes, Durability::Synced)?;
        }
        let head = journal::verify(&store)?;
        let applied = views::check(&store, Some(&head))?;
        let mut kernel = Self {
            store,
            journal,
            domains,
            logic,
            durable: head,
            head,
            applied,
            clock: None,
            overlay: Overlay::default(),
            tickets: 0,
            waiting: Vec::new(),
            released: Vec::new(),
            is_unkept: false,
            overdue: Overdue::default(),
            broken: false,
        };
        kernel.catch_up()?;
        Ok(kernel)
    }

    /// From here on a store that is busy is told at once, however it was opened: whoever drives the
    /// kernel commits again.
    pub fn end_patience(&mut self) {
        self.store.end_patience();
    }

    /// Whether other kernels append to its journal too.
    #[must_use]
    pub fn shares_journal(&self) -> bool {
        self.journal.is_shared()
    }

    /// Cheap checks against what is applied; nothing is decided for good.
    ///
    /// # Errors
    /// [`KernelError::Unfit`] if the command breaks a limit,
    /// [`KernelError::KeyReused`] if its key stands for another one.
    pub fn propose(&self, command: &Command) -> Result<Proposal, KernelError> {
        // After a failed commit the store may show rows that a loss of power takes away.
        if self.broken {
            return Err(KernelError::Broken);
        }
        command.check()?;
        command.check_caller()?;
        Ok(match idempotency::find(&self.store, command)? {
            Some(known) => Proposal::Known(known),
            None => Proposal::Admitted,
        })
    }

    /// Decides a command under the rules of today. Its outcome is released after the next
    /// commit.
    ///
    /// # Errors
    /// As [`Self::propose`]; [`KernelError::GroupFull`]: commit, then go on;
    /// [`KernelError::NotFollowed`]: follow, then go on; [`KernelError::Clock`]: see [`Self::tick`].
    pub fn apply(&mut self, command: &Command) -> Result<Ticket, KernelError> {
        command.check()?;
        command.check_caller()?;
        self.tick(command.admitted_at)?;
        let logic = self.logic;
        // What is answered from the journal, or refused, moves no time.
        if self
            .looked_up(|batch, _| idempotency::find(batch, command))?
            .is_none()
        {
            self.make_room_in_time(command.admitted_at)?;
        }
        self.apply_under(command, logic, None)
    }

    /// Looks into what is applied, uncommitted commands included.
    fn looked_up<T>(
        &mut self,
        look: impl FnOnce(&Batch<'_>, &[Box<dyn Domain>]) -> Result<T, KernelError>,
    ) -> Result<T, KernelError> {
        if self.broken {
            return Err(KernelError::Broken);
        }
        // Should a panic take the overlay along, what waits in it must not be released.
        self.broken = true;
        let batch = self.store.batch_on(std::mem::take(&mut self.overlay));
        let found = look(&batch, &self.domains);
        self.overlay = batch.into_overlay();
        self.broken = false;
        found.inspect_err(|error| self.broken |= error.is_fatal())
    }

    /// `recorded` is what the journal says came of it, at a replay.
    fn apply_under(
        &mut self,
        command: &Command,
        logic: Logic,
        recorded: Option<Outcome>,
    ) -> Result<Ticket, KernelError> {
        if self.broken {
            return Err(KernelError::Broken);
        }
        command.check()?;
        let entries = self.head.seq.0.saturating_sub(self.durable.seq.0);
        // What is in the journal is kept first, or it would be appended again.
        if self.is_unkept
            || self.waiting.len() >= GROUP_COMMANDS_MAX
            || usize::try_from(entries).is_ok_and(|entries| entries >= GROUP_COMMANDS_MAX)
            || self.overlay.bytes() + COMMAND_WRITES_BYTES_MAX > BATCH_BYTES_MAX
        {
            return Err(KernelError::GroupFull);
        }
        // Decided on a state that others have left behind, it would be refused at its commit.
        if recorded.is_none() && self.head.seq < self.durable.seq {
            return Err(KernelError::NotFollowed);
        }
        // Should a panic take the overlay along, what waits in it must not be released.
        self.broken = true;
        let mut batch = self.store.batch_on(std::mem::take(&mut self.overlay));
        let decided = match idempotency::find(&batch, command) {
            Ok(Some(known)) => Ok(known),
            Ok(None) => decide::decide(
                &mut batch,
                &mut self.domains,
                self.applied,
                command,
                logic,
                recorded,
            )
            .map(|(head, applied, decided)| {
                self.head = head;
                self.applied = applied;
                decided
            }),
            Err(error) => Err(error),
        };
        self.overlay = batch.into_overlay();
        self.broken = false;
        let decided = decided.inspect_err(|error| self.broken |= error.is_fatal())?;
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.push(Output { ticket, decided });
        Ok(ticket)
    }

    /// What may leave now, in the order in which it was applied.
    pub fn release(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.released)
    }

    /// How far the views go, uncommitted commands included.
    #[must_use]
    pub fn applied(&self) -> Applied {
        self.applied
    }

    /// The head of the journal, uncommitted commands included.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// The latest reading of the driver's clock; `None` before the first.
    #[must_use]
    pub fn clock(&self) -> Option<UnixMillis> {
        self.clock
    }

    /// What is committed, for queries.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Gives the store back: to open it again after a commit that wrote nothing.
    #[must_use]
    pub fn into_store(self) -> Store {
        self.store
    }
}
