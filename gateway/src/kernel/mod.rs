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

mod command;
mod context;
mod error;
mod housekeeping;
mod idempotency;
mod outcome;
mod replay;
mod state_hash;

pub use command::{BODY_BYTES_MAX, Command, Decided, HEADER_BYTES_MAX, Logic, NAME_BYTES_MAX};
pub use context::{ApplyError, Context, Domain, Event, OUTBOX_ROWS_MAX};
pub use error::KernelError;
pub use housekeeping::{EVICTIONS_MAX, Housekeeping, KERNEL_DOMAIN, SideEffect, waiting_outbox};
pub use outcome::{OUTCOME_BYTES_MAX, Outcome, Rejection};
pub use replay::replay;
pub use state_hash::state_hash;

use std::panic::{AssertUnwindSafe, catch_unwind};

use khlong_crdt::time::UnixMillis;
use khlong_store::batch::{Batch, Overlay};
use khlong_store::engine::{CommitReceipt, Durability};
use khlong_store::error::StoreError;
use khlong_store::journal::{self, Entry, Head, JournalId, JournalSeq};
use khlong_store::key::{Decoder, Encoder};
use khlong_store::limits::BATCH_BYTES_MAX;
use khlong_store::rows::Rows as _;
use khlong_store::store::Store;
use khlong_store::table::Table;

/// What one command may write: the journal's row, and a domain's rows. See the arithmetic
/// of `domains::ledger::limits`.
pub const COMMAND_WRITES_BYTES_MAX: usize = 8 * 1024 * 1024;

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

/// The row of `meta` that says how far the views go.
const META_APPLIED: &[u8] = b"applied";

/// How far the views go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// The last command that they hold.
    pub seq: JournalSeq,
    /// The time of it: that of a command is never before the one before it.
    pub time: UnixMillis,
}

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
    domains: Vec<Box<dyn Domain>>,
    logic: Logic,
    head: Head,
    applied: Applied,
    overlay: Overlay,
    tickets: u64,
    waiting: Vec<Output>,
    released: Vec<Output>,
    broken: bool,
}

impl Kernel {
    /// Takes over a store. The whole journal is read and checked first; `fresh` names the
    /// journal if the folder has none.
    ///
    /// # Errors
    /// [`KernelError::Journal`] names the first damaged entry; [`KernelError::Behind`] if
    /// the views are not those of the journal's head.
    pub fn open(
        mut store: Store,
        domains: Vec<Box<dyn Domain>>,
        logic: Logic,
        fresh: JournalId,
    ) -> Result<Self, KernelError> {
        if journal::head(&store)?.is_none() {
            let mut batch = store.batch();
            journal::create(&mut batch, fresh)?;
            let writes = batch.into_writes();
            store.commit(writes, Durability::Synced)?;
        }
        let head = journal::verify(&store)?;
        let applied = read_applied(&store)?;
        if applied.seq != head.seq {
            return Err(KernelError::Behind {
                applied: applied.seq.0,
                head: head.seq.0,
            });
        }
        Ok(Self {
            store,
            domains,
            logic,
            head,
            applied,
            overlay: Overlay::default(),
            tickets: 0,
            waiting: Vec::new(),
            released: Vec::new(),
            broken: false,
        })
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
        Ok(match idempotency::find(&self.store, command)? {
            Some(known) => Proposal::Known(known),
            None => Proposal::Admitted,
        })
    }

    /// Decides a command under the rules of today. Its outcome is released after the next
    /// commit.
    ///
    /// # Errors
    /// As [`Self::propose`]; [`KernelError::GroupFull`]: commit, then go on.
    pub fn apply(&mut self, command: &Command) -> Result<Ticket, KernelError> {
        let logic = self.logic;
        self.apply_under(command, logic, None)
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
        if self.waiting.len() >= GROUP_COMMANDS_MAX
            || self.overlay.bytes() + COMMAND_WRITES_BYTES_MAX > BATCH_BYTES_MAX
        {
            return Err(KernelError::GroupFull);
        }
        // Should a panic take the overlay along, what waits in it must not be released.
        self.broken = true;
        let mut batch = self.store.batch_on(std::mem::take(&mut self.overlay));
        let decided = match idempotency::find(&batch, command) {
            Ok(Some(known)) => Ok(known),
            Ok(None) => decide(
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

    /// Makes everything that was applied durable, with one sync.
    ///
    /// # Errors
    /// What the store met, and nothing is released. If [`KernelError::is_fatal`], drop the
    /// kernel and open the folder again; else nothing was written: commit again.
    pub fn commit(&mut self) -> Result<Option<CommitReceipt>, KernelError> {
        if self.broken {
            return Err(KernelError::Broken);
        }
        let receipt = if self.overlay.is_empty() {
            None
        } else {
            // A copy: a store that is busy or full takes the same again later.
            let writes = self.overlay.writes();
            match self.store.commit(writes, Durability::Synced) {
                Ok(receipt) => {
                    self.overlay = Overlay::default();
                    Some(receipt)
                }
                Err(error) => {
                    let error = KernelError::from(error);
                    self.broken |= error.is_fatal();
                    return Err(error);
                }
            }
        };
        self.released.append(&mut self.waiting);
        Ok(receipt)
    }

    /// What may leave now, in the order in which it was applied.
    pub fn release(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.released)
    }

    /// The earliest time at which a domain wants a command of its own; the driver then
    /// submits what [`Domain::due`] gives.
    ///
    /// # Errors
    /// From the disk; [`KernelError::Broken`].
    pub fn next_deadline(&self) -> Result<Option<UnixMillis>, KernelError> {
        if self.broken {
            return Err(KernelError::Broken);
        }
        let mut earliest: Option<UnixMillis> = None;
        for domain in &self.domains {
            if let Some(at) = domain.next_deadline(&self.store)? {
                earliest = Some(earliest.map_or(at, |known| known.min(at)));
            }
        }
        Ok(earliest)
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

/// Runs one command and writes all that comes of it, the journal's entry among it.
fn decide(
    batch: &mut Batch<'_>,
    domains: &mut [Box<dyn Domain>],
    before: Applied,
    command: &Command,
    logic: Logic,
    recorded: Option<Outcome>,
) -> Result<(Head, Applied, Decided), KernelError> {
    let applied = Applied {
        seq: before.seq.next(),
        time: before.time.max(command.admitted_at),
    };
    let outcome = match recorded {
        // It changed nothing, and stays so: a release that knows the domain, or has mended the
        // fault, may not carry out what was refused.
        Some(rejected @ Outcome::Rejected(_)) => rejected,
        Some(Outcome::Done(_)) | None => match run(batch, domains, applied, command, logic) {
            Ok(payload) => Outcome::Done(payload),
            Err(ApplyError::Store(error)) => return Err(error.into()),
            Err(ApplyError::Rejected(rejection)) => Outcome::Rejected(rejection),
        },
    };
    let outcome = outcome.encode();
    let entry = Entry {
        header: command.header(logic),
        command: command.content(),
        outcome: outcome.clone(),
    };
    let head = journal::append(batch, before.seq, &[entry])?;
    idempotency::note(batch, applied, command)?;
    let row = Encoder::new()
        .u64(applied.seq.0)
        .i64(applied.time.0)
        .finish();
    batch.put(Table::Meta, META_APPLIED.to_vec(), row)?;
    let decided = Decided {
        seq: applied.seq,
        outcome,
    };
    Ok((head, applied, decided))
}

/// The domain's part: whole, or rolled back. A panic is a rejection as well: the same
/// command panics again at each replay, and may not stop the gateway for good.
fn run(
    batch: &mut Batch<'_>,
    domains: &mut [Box<dyn Domain>],
    applied: Applied,
    command: &Command,
    logic: Logic,
) -> Result<Vec<u8>, ApplyError> {
    let attempt = batch.atomically(|batch| {
        let mut context = Context::new(batch, applied, logic, command);
        catch_unwind(AssertUnwindSafe(|| {
            dispatch(&mut context, domains, command)
        }))
        .unwrap_or(Err(ApplyError::Rejected(Rejection::Panicked)))
    });
    if attempt.is_err() {
        for domain in domains {
            domain.roll_back();
        }
    }
    attempt
}

fn dispatch(
    context: &mut Context<'_, '_>,
    domains: &mut [Box<dyn Domain>],
    command: &Command,
) -> Result<Vec<u8>, ApplyError> {
    if command.domain == KERNEL_DOMAIN {
        return housekeeping::apply(context, &command.body);
    }
    let domain = domains
        .iter_mut()
        .find(|domain| domain.number() == command.domain)
        .ok_or(ApplyError::Rejected(Rejection::UnknownDomain))?;
    let payload = domain.apply(context, &command.body)?;
    if payload.len() > OUTCOME_BYTES_MAX {
        return Err(ApplyError::Rejected(Rejection::Invariant));
    }
    for event in context.take_events() {
        for domain in domains.iter_mut() {
            if domain.number() != event.source {
                domain.observe(context, &event)?;
            }
        }
    }
    Ok(payload)
}

fn read_applied(store: &Store) -> Result<Applied, StoreError> {
    let Some(row) = store.get(Table::Meta, META_APPLIED)? else {
        return Ok(Applied::default());
    };
    let mut fields = Decoder::new(&row);
    let applied = (|| {
        let applied = Applied {
            seq: JournalSeq(fields.u64()?),
            time: UnixMillis(fields.i64()?),
        };
        fields.end()?;
        Some(applied)
    })();
    applied
        .ok_or_else(|| StoreError::corrupt(Table::Meta, META_APPLIED, "not a place in the journal"))
}
