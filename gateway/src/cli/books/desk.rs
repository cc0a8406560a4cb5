//! A gateway's folder that a command writes to, while no gateway runs on it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use khlong_crdt::time::UnixMillis;

use super::BooksError;
use crate::app::{self, AppError, Clock, Fresh, Opening};
use crate::cli::{CliError, RunError, database};
use crate::domains::books::{BOOKS_DOMAIN, BooksCommand};
use crate::domains::ledger::{Failures, LEDGER_DOMAIN, LedgerCommand, Transfer};
use crate::kernel::{Command, Decided, Kernel, KernelError, Outcome, OwnRejection};

/// Who asks. No key of the configuration can have this name.
const CALLER: &[u8] = b"\0command";

/// Flags of what writes to a folder.
#[derive(Args, Debug, Default)]
pub struct Writes {
    /// Write to the journal in the database that this configuration names. A gateway that serves on it may stop, and
    /// must be started again: while one runs, ask /v1/books.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Go on although the clock seems wrong: you have looked at it.
    #[arg(long)]
    pub accept_time: bool,
}

/// A kernel for a few commands. The folder is locked so long.
pub(super) struct Desk<'p> {
    path: &'p Path,
    kernel: Kernel,
    clock: Clock,
}

impl<'p> Desk<'p> {
    /// Opens a folder that is there.
    pub(super) fn open(path: &'p Path, writes: &Writes) -> Result<Self, CliError> {
        let opening = Opening {
            folder: path.to_owned(),
            journal: database::options(writes.config.as_deref())?,
            ..Opening::default()
        };
        let opened = Fresh::draw().and_then(|fresh| app::open(&opening, fresh));
        let mut kernel = opened.map_err(|error| unopened(path, error))?;
        let clock = Clock::start();
        let now = clock.now().wall;
        let taken = if writes.accept_time {
            kernel.accept_time(now).map(|()| None)
        } else {
            kernel.begin_time(now)
        };
        if let Some(doubt) = taken.map_err(|error| CliError::kernel(path, error))? {
            // That nobody reads standard error any more is no failure.
            let _ = writeln!(std::io::stderr(), "khlong-gateway: {doubt}");
        }
        Ok(Self {
            path,
            kernel,
            clock,
        })
    }

    pub(super) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now().wall
    }

    /// Has a command of the books decided, and waits until that is durable.
    pub(super) fn ask<T>(
        &mut self,
        scope: &str,
        asked: &BooksCommand,
        decode: fn(&[u8]) -> Option<T>,
    ) -> Result<(Decided, T), CliError> {
        self.decide(scope, BOOKS_DOMAIN, asked.encode(), decode)
    }

    /// The same with transfers.
    pub(super) fn transfer(
        &mut self,
        scope: &str,
        transfers: Vec<Transfer>,
    ) -> Result<(Decided, Failures), CliError> {
        let body = LedgerCommand::CreateTransfers(transfers).encode();
        self.decide(scope, LEDGER_DOMAIN, body, Failures::decode)
    }

    fn decide<T>(
        &mut self,
        scope: &str,
        domain: u8,
        body: Vec<u8>,
        decode: fn(&[u8]) -> Option<T>,
    ) -> Result<(Decided, T), CliError> {
        let refused = |error| CliError::kernel(self.path, error);
        loop {
            let command = Command {
                caller: CALLER.to_vec(),
                scope: scope.as_bytes().to_vec(),
                key: self.kernel.head().seq.next().0.to_be_bytes().to_vec(),
                admitted_at: self.clock.now().wall,
                domain,
                body: body.clone(),
            };
            match self.kernel.apply(&command) {
                Ok(_) => break,
                // Holds whose time is over come first, and fill a commit.
                Err(KernelError::GroupFull) => {
                    self.kernel.commit().map_err(refused)?;
                    self.kernel.release();
                    tell(self.kernel.take_own_rejections());
                }
                Err(error) => return Err(refused(error)),
            }
        }
        self.kernel.commit().map_err(refused)?;
        tell(self.kernel.take_own_rejections());
        let output = self.kernel.release().pop();
        let Some(decided) = output.map(|output| output.decided) else {
            return Err(refused(KernelError::Broken));
        };
        let answer = match decided.outcome() {
            Some(Outcome::Done(payload)) => decode(&payload),
            Some(Outcome::Rejected(_)) | None => None,
        };
        match answer {
            Some(answer) => Ok((decided, answer)),
            None => Err(undecided(&decided).into()),
        }
    }
}

/// What the kernel let happen by itself, and a domain rejected: the journal has it now, and nobody else tells.
fn tell(rejected: Vec<OwnRejection>) {
    for OwnRejection { domain, seq } in rejected {
        // That nobody reads standard error any more is no failure.
        let _ = writeln!(
            std::io::stderr(),
            "khlong-gateway: what is overdue was rejected (entry {}, domain {domain}); report it, it is tried again",
            seq.0
        );
    }
}

/// An answer that the books do not give to what was asked.
pub(super) fn undecided(decided: &Decided) -> BooksError {
    BooksError::Undecided {
        entry: decided.seq.0,
    }
}

/// What the commands that read say of a folder that does not open.
pub(super) fn unopened(path: &Path, error: AppError) -> CliError {
    // In their words, with the path.
    if let AppError::NoGateway { path } = error {
        return CliError::NoGateway { path };
    }
    if let AppError::JournalElsewhere { path } = error {
        return BooksError::JournalElsewhere { path }.into();
    }
    if let AppError::Store(error) = error {
        return CliError::store(path, error);
    }
    if let AppError::Kernel(error) = error {
        return CliError::kernel(path, error);
    }
    RunError::App(error).into()
}
