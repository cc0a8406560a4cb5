//! A gateway's folder that a command writes to, while no gateway runs on it.

use std::path::Path;

use khlong_crdt::id::LogId;
use khlong_crdt::time::UnixMillis;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::journal::JournalId;
use khlong_store::store::{OpenOptions, Store};

use super::BooksError;
use crate::app::Clock;
use crate::cli::CliError;
use crate::domains;
use crate::domains::books::{BOOKS_DOMAIN, BooksCommand};
use crate::kernel::{Command, Decided, Kernel, Logic, Outcome};

/// Who asks. No key of the configuration can have this name.
const CALLER: &[u8] = b"\0command";

/// A kernel for a few commands. The folder is locked so long.
pub(super) struct Desk<'p> {
    path: &'p Path,
    kernel: Kernel,
    clock: Clock,
}

impl<'p> Desk<'p> {
    /// Opens a folder that is there. `accept_time`: a person has looked at the clock.
    pub(super) fn open(path: &'p Path, accept_time: bool) -> Result<Self, CliError> {
        // Opening a store makes it.
        drop(super::open(path)?);
        let options = OpenOptions {
            role: Role::Gateway,
            // Of a folder that is there both names are its own.
            fresh_log_id: LogId::from_bytes([0; 16]),
            accept_loss: false,
            sizes: RocksOptions::default(),
        };
        let refused = |error| CliError::kernel(path, error);
        let store = Store::open(path, &options).map_err(|error| CliError::store(path, error))?;
        let fresh = JournalId::from_bytes([0; 16]);
        let mut kernel =
            Kernel::open(store, domains::all(), Logic::CURRENT, fresh).map_err(refused)?;
        let clock = Clock::start();
        if accept_time {
            kernel.accept_time(clock.now().wall).map_err(refused)?;
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
        let command = Command {
            caller: CALLER.to_vec(),
            scope: scope.as_bytes().to_vec(),
            key: self.kernel.head().seq.next().0.to_be_bytes().to_vec(),
            admitted_at: self.now(),
            domain: BOOKS_DOMAIN,
            body: asked.encode(),
        };
        let refused = |error| CliError::kernel(self.path, error);
        self.kernel.apply(&command).map_err(refused)?;
        self.kernel.commit().map_err(refused)?;
        let decided = self.kernel.release().pop().map(|output| output.decided);
        let answer = decided.and_then(|decided| match decided.outcome() {
            Some(Outcome::Done(payload)) => decode(&payload).map(|answer| (decided, answer)),
            Some(Outcome::Rejected(_)) | None => None,
        });
        answer.ok_or_else(|| BooksError::Undecided.into())
    }
}
