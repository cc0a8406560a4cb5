//! A gateway: the real kernel on an imaginary disk, driven as the program drives it.
//!
//! The program's driver is a thread that waits; this one does the same in the same order, a
//! part for each event: drain, apply, commit once, release, read.

use std::collections::{BTreeMap, VecDeque};

use khlong_crdt::id::LogId;
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{self, AccountState, Ledger};
use khlong_gateway::kernel::{
    Command, Decided, Domain, Kernel, KernelError, Logic, Outcome, Proposal, Ticket,
};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::error::{EngineError, StoreError};
use khlong_store::identity::Role;
use khlong_store::journal::{JournalError, JournalId};
use khlong_store::store::{OpenOptions, Store};

use super::remote::Remote;
use crate::fuzz::checkers::Findings;

/// Inputs of one turn at most.
const BATCH_INPUTS_MAX: usize = 64;
/// Free space that a disk keeps, and below which a gateway takes nothing new.
const RESERVE_BYTES: u64 = 1024 * 1024;
/// Who asks where the driver itself does.
pub(super) const DRIVER_CALLER: &[u8] = b"\0driver";
/// The journal of every plan.
pub const JOURNAL: JournalId = JournalId::from_bytes([9; 16]);

/// How every store of a run is opened.
pub(super) fn options() -> OpenOptions {
    OpenOptions {
        role: Role::Gateway,
        fresh_log_id: LogId::from_bytes([7; 16]),
        accept_loss: false,
        sizes: RocksOptions {
            write_buffer_bytes: 1024 * 1024,
            block_cache_bytes: 1024 * 1024,
            reserve_bytes: RESERVE_BYTES,
        },
    }
}

/// What decides: the ledger alone, which is what the auditor has a model of.
pub(super) fn parts() -> Vec<Box<dyn Domain>> {
    vec![Box::new(Ledger::without_owners())]
}

/// What a client wants.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Write(Command),
    Read(u128),
}

/// What a gateway got: a call of a client, by number.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) call: usize,
    pub(super) ask: Ask,
}

/// What it says.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Decided(Decided),
    KeyReused,
    /// Not decided now.
    Busy,
    Balance(Option<AccountState>),
}

/// An answer on its way out.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) call: usize,
    pub(super) answer: Answer,
}

/// Why a gateway ends.
#[derive(Debug)]
pub(super) enum Stop {
    /// A disk or a network failed, as it may; what failed is counted.
    Fault(&'static str),
    /// It does not believe its clock.
    Clock,
    /// What may never be.
    Wrong(String),
}

/// What came of a commit.
pub(super) enum Committed {
    Done,
    /// Nothing was written: the same once more, later.
    Again,
    /// The kernel is gone; what it let go all the same.
    Failed(Stop, Vec<Reply>),
}

/// A gateway and its machine.
pub(super) struct Gateway {
    pub(super) disk: MemoryDisk,
    /// Added to the true time.
    pub(super) clock_ms: i64,
    /// What a commit takes beyond the plan's.
    pub(super) slower_us: u64,
    /// No message gets to it or leaves it.
    pub(super) is_cut: bool,
    /// Power goes between the next commit and its answers; bytes that stay.
    pub(super) doomed: Option<usize>,
    /// Which of its lives: what was scheduled in an earlier one is void.
    pub(super) life: u32,
    /// How often it took what was in the inbox.
    pub(super) turns: u32,
    /// Between a turn and its commit.
    pub(super) is_busy: bool,
    pub(super) inbox: VecDeque<Request>,
    line: Option<Remote>,
    kernel: Option<Kernel>,
    pub(super) waiting: BTreeMap<Ticket, Request>,
    reads: Vec<Request>,
    /// The last turn let happen what was due then.
    pub(super) swept_at: Option<UnixMillis>,
}

impl Gateway {
    pub(super) fn new(line: Option<Remote>) -> Self {
        Self {
            disk: MemoryDisk::new(),
            clock_ms: 0,
            slower_us: 0,
            is_cut: false,
            doomed: None,
            life: 0,
            turns: 0,
            is_busy: false,
            inbox: VecDeque::new(),
            line,
            kernel: None,
            waiting: BTreeMap::new(),
            reads: Vec::new(),
            swept_at: None,
        }
    }

    /// The kernel, if the process runs.
    pub(super) fn kernel(&self) -> Option<&Kernel> {
        self.kernel.as_ref()
    }

    /// Opens the folder, and compares the clock with the journal. Whoever looks after the
    /// gateway sets a clock right that it refuses, and accepts the time if it still does.
    pub(super) fn start(&mut self, truly: i64, findings: &mut Findings) -> Result<(), Stop> {
        let store = Store::in_memory(&self.disk, &options()).map_err(|e| stop(e.into()))?;
        let (parts, logic) = (parts(), Logic::CURRENT);
        let opened = match &self.line {
            None => Kernel::open(store, parts, logic, JOURNAL),
            Some(line) => Kernel::open_with(Box::new(line.clone()), store, parts, logic, JOURNAL),
        };
        let mut kernel = opened.map_err(not_started)?;
        if kernel.tick(UnixMillis(truly + self.clock_ms)).is_err() {
            findings.happened("clocks set right");
            self.clock_ms = 0;
            if kernel.tick(UnixMillis(truly)).is_err() {
                findings.happened("times accepted");
                kernel.accept_time(UnixMillis(truly)).map_err(stop)?;
            }
        }
        self.kernel = Some(kernel);
        Ok(())
    }

    /// Takes what waits in the inbox and decides it. What may leave at once is returned.
    pub(super) fn turn(&mut self, truly: i64) -> Result<Vec<Reply>, Stop> {
        let now = UnixMillis(truly + self.clock_ms);
        let is_full = self.is_full();
        self.turns += 1;
        let mut replies = Vec::new();
        let kernel = self.kernel.as_mut().ok_or(Stop::Fault("turns of nobody"))?;
        kernel.tick(now).map_err(stop)?;
        self.swept_at = (!is_full).then_some(now);
        let due = if is_full {
            Vec::new()
        } else {
            kernel.due(now).map_err(stop)?
        };
        for (domain, body) in due {
            kernel
                .apply(&Command {
                    caller: DRIVER_CALLER.to_vec(),
                    scope: b"due".to_vec(),
                    key: kernel.head().seq.next().0.to_be_bytes().to_vec(),
                    admitted_at: now,
                    domain,
                    body,
                })
                .map_err(stop)?;
        }
        let many = self.inbox.len().min(BATCH_INPUTS_MAX);
        for request in self.inbox.drain(..many) {
            let call = request.call;
            let command = match &request.ask {
                Ask::Read(_) => {
                    self.reads.push(request);
                    continue;
                }
                Ask::Write(command) => Command {
                    admitted_at: now,
                    ..command.clone()
                },
            };
            let refused = if is_full {
                match kernel.propose(&command) {
                    Ok(Proposal::Known(decided)) => Ok(Answer::Decided(decided)),
                    Ok(Proposal::Admitted) => Ok(Answer::Busy),
                    Err(error) => refusal(error),
                }
            } else {
                match kernel.apply(&command) {
                    Ok(ticket) => {
                        self.waiting.insert(ticket, request);
                        continue;
                    }
                    Err(error) => refusal(error),
                }
            };
            let answer = refused?;
            replies.push(Reply { call, answer });
        }
        replies.extend(self.release()?);
        Ok(replies)
    }

    /// Makes durable what was decided.
    pub(super) fn commit(&mut self) -> Committed {
        let Some(kernel) = self.kernel.as_mut() else {
            return Committed::Failed(Stop::Fault("commits of nobody"), Vec::new());
        };
        match kernel.commit() {
            Ok(_) => Committed::Done,
            Err(error) if !error.is_fatal() => Committed::Again,
            // Whatever it lets go now is sent: that it is nothing is for the auditor to see.
            Err(error) => match self.release() {
                Ok(leaked) => Committed::Failed(stop(error), leaked),
                Err(worse) => Committed::Failed(worse, Vec::new()),
            },
        }
    }

    /// The answers that the kernel lets go.
    pub(super) fn release(&mut self) -> Result<Vec<Reply>, Stop> {
        let mut replies = Vec::new();
        for output in self.kernel.iter_mut().flat_map(Kernel::release) {
            if let Some(request) = self.waiting.remove(&output.ticket) {
                let answer = Answer::Decided(output.decided);
                let call = request.call;
                replies.push(Reply { call, answer });
            } else if !matches!(output.decided.outcome(), Some(Outcome::Done(_))) {
                let seq = output.decided.seq.0;
                return Err(Stop::Wrong(format!(
                    "driver: its own command, entry {seq}, was rejected"
                )));
            }
        }
        Ok(replies)
    }

    /// Answers the reads of the turn from what is committed, by any gateway: the journal is asked
    /// once for all of them. Returns whether another one had appended.
    pub(super) fn read(&mut self) -> Result<(Vec<Reply>, bool), Stop> {
        let Some(kernel) = self.kernel.as_mut() else {
            return Ok((Vec::new(), false));
        };
        let known = kernel.head();
        if !self.reads.is_empty() {
            kernel.follow().map_err(stop)?;
        }
        let mut replies = Vec::new();
        for request in std::mem::take(&mut self.reads) {
            if let Ask::Read(account) = request.ask {
                let found = ledger::account(kernel.store(), account);
                let state = found.map_err(|error| stop(error.into()))?;
                replies.push(Reply {
                    call: request.call,
                    answer: Answer::Balance(state),
                });
            }
        }
        let has_followed = kernel.head() != known;
        if has_followed {
            // What came along may hold what is over by this one's clock: its next turn ends it.
            self.swept_at = None;
        }
        Ok((replies, has_followed))
    }

    /// The process ends: whoever waits hears nothing.
    pub(super) fn end(&mut self) {
        self.kernel = None;
        self.life += 1;
        self.is_busy = false;
        self.doomed = None;
        self.swept_at = None;
        self.inbox.clear();
        self.waiting.clear();
        self.reads.clear();
    }

    /// Whether it takes nothing new.
    pub(super) fn is_full(&self) -> bool {
        let free = |kernel: &Kernel| kernel.store().stats().free_bytes;
        self.kernel()
            .is_some_and(|kernel| free(kernel) < 2 * RESERVE_BYTES)
    }

    /// Whether something was decided that is not durable yet.
    pub(super) fn is_undecided(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// What a client hears of an error after which the kernel goes on.
fn refusal(error: KernelError) -> Result<Answer, Stop> {
    if let KernelError::KeyReused { .. } = error {
        return Ok(Answer::KeyReused);
    }
    if let KernelError::GroupFull = error {
        return Ok(Answer::Busy);
    }
    Err(stop(error))
}

/// [`stop`] of a start: what that did not keep are views of entries which it read, not appended.
fn not_started(error: KernelError) -> Stop {
    if let KernelError::Journal(JournalError::NotKept(error)) = error {
        return stop(KernelError::Store(error));
    }
    stop(error)
}

/// Whether an error is one of those that disks and networks may cause.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all errors but those of disks, networks and clocks are wrong"
)]
pub(super) fn stop(error: KernelError) -> Stop {
    let engine = |error: &EngineError| match error {
        EngineError::Io {
            operation: "get" | "scan",
            ..
        } => Some("cores failed in a read"),
        EngineError::Io { .. } => Some("cores failed in a write"),
        EngineError::Busy | EngineError::DiskFull { .. } => Some("cores found no room to start"),
        _ => None,
    };
    let fault = match &error {
        KernelError::Clock { .. } => return Stop::Clock,
        KernelError::Store(StoreError::Engine(error))
        | KernelError::Journal(JournalError::Store(StoreError::Engine(error))) => engine(error),
        KernelError::Journal(JournalError::NotKept(_)) => Some("views not kept after an append"),
        KernelError::Journal(JournalError::Moved { .. }) => Some("leaders deposed"),
        _ => None,
    };
    match fault {
        Some(fault) => Stop::Fault(fault),
        None => Stop::Wrong(format!("gateway: {error}")),
    }
}
