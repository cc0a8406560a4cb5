//! A journal elsewhere, as a server of a database would be: one for all gateways, durable,
//! and reached over a network that fails in the middle.
//!
//! What it keeps is kept by the store's own journal, so compare-and-append is the real one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::{CommitReceipt, Durability};
use khlong_store::error::{EngineError, StoreError};
use khlong_store::journal::{
    self, Append, Entry, Head, Journal, JournalError, JournalId, JournalSeq, LocalJournal, Stored,
};
use khlong_store::store::Store;

use super::gateway::options;
use super::plan::RemoteFault;

/// Entries that it tells at once: few, so that catching up takes several calls.
const PART_ENTRIES: usize = 5;

/// The server, and a line to it for each gateway.
#[derive(Clone)]
pub(super) struct Remote(Arc<Mutex<Server>>);

struct Server {
    store: Store,
    /// How many calls of the kind still succeed first, then the fault.
    appends: VecDeque<(u8, RemoteFault)>,
    reads: VecDeque<u8>,
    late: VecDeque<Late>,
    counts: BTreeMap<&'static str, u64>,
}

/// An append on its way.
struct Late {
    expected: Head,
    entries: Vec<Entry>,
}

impl Remote {
    /// One that holds nothing.
    pub(super) fn new() -> Result<Self, StoreError> {
        let store = Store::in_memory(&MemoryDisk::new(), &options())?;
        Ok(Self(Arc::new(Mutex::new(Server {
            store,
            appends: VecDeque::new(),
            reads: VecDeque::new(),
            late: VecDeque::new(),
            counts: BTreeMap::new(),
        }))))
    }

    /// Makes a call of the fault's kind fail, after `successes` others.
    pub(super) fn inject(&self, successes: u8, fault: RemoteFault) {
        let mut server = self.lock();
        match fault {
            RemoteFault::Unread => server.reads.push_back(successes),
            RemoteFault::AnswerLost | RemoteFault::Lost | RemoteFault::Late | RemoteFault::Busy => {
                server.appends.push_back((successes, fault))
            }
        }
    }

    /// Takes back what has not happened yet. What is on its way stays so.
    pub(super) fn forget_faults(&self) {
        let mut server = self.lock();
        server.appends.clear();
        server.reads.clear();
    }

    /// Whether an append is on its way that nobody waits for.
    pub(super) fn is_late(&self) -> bool {
        !self.lock().late.is_empty()
    }

    /// The oldest of those gets there.
    pub(super) fn land(&self) {
        let mut server = self.lock();
        let Some(late) = server.late.pop_front() else {
            return;
        };
        let came = match server.append(late.expected, &late.entries) {
            Ok(()) => "remote: late appends taken",
            Err(_) => "remote: late appends refused",
        };
        server.count(came);
    }

    /// What happened, and how often.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.lock().counts.clone()
    }

    /// Looks into what it holds.
    pub(super) fn with<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.lock().store)
    }

    /// Changes what it holds, as nobody may.
    #[cfg(test)]
    pub(super) fn forge(&self, change: impl FnOnce(&mut Store)) {
        change(&mut self.lock().store);
    }

    /// The last entry, as a gateway asks for it before it answers a read.
    pub(super) fn tail(&self) -> Result<Option<Head>, JournalError> {
        let mut server = self.lock();
        server.may_read()?;
        Ok(journal::head(&server.store)?)
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn next_fault(&mut self) -> Option<RemoteFault> {
        let (successes, _) = self.appends.front_mut()?;
        if *successes > 0 {
            *successes -= 1;
            return None;
        }
        self.appends.pop_front().map(|(_, fault)| fault)
    }

    fn may_read(&mut self) -> Result<(), JournalError> {
        match self.reads.front_mut() {
            None => Ok(()),
            Some(successes) if *successes > 0 => {
                *successes -= 1;
                Ok(())
            }
            Some(_) => {
                self.reads.pop_front();
                self.count("remote: not read");
                Err(lost("read"))
            }
        }
    }

    /// Compare-and-append, and durable when it returns.
    fn append(&mut self, expected: Head, entries: &[Entry]) -> Result<(), JournalError> {
        let mut batch = self.store.batch();
        journal::append(&mut batch, expected.seq, entries)?;
        let overlay = batch.into_overlay();
        let append = Append {
            expected,
            batch: &overlay,
        };
        LocalJournal.append(&mut self.store, append)?;
        Ok(())
    }
}

impl Journal for Remote {
    fn head(&mut self, _: &Store) -> Result<Option<Head>, JournalError> {
        self.tail()
    }

    fn create(&mut self, id: JournalId) -> Result<(), JournalError> {
        let store = &mut self.lock().store;
        let mut batch = store.batch();
        journal::create(&mut batch, id)?;
        let writes = batch.into_writes();
        store.commit(writes, Durability::Synced)?;
        Ok(())
    }

    fn read(&mut self, _: &Store, from: JournalSeq) -> Result<Vec<Stored>, JournalError> {
        let mut server = self.lock();
        server.may_read()?;
        let mut part = LocalJournal.read(&server.store, from)?;
        part.truncate(PART_ENTRIES);
        Ok(part)
    }

    fn append(
        &mut self,
        views: &mut Store,
        append: Append<'_>,
    ) -> Result<CommitReceipt, JournalError> {
        let stored = append.entries()?;
        let entries: Vec<Entry> = stored.into_iter().map(|stored| stored.entry).collect();
        let mut server = self.lock();
        match server.next_fault() {
            None | Some(RemoteFault::Unread) => {}
            Some(RemoteFault::Busy) => {
                server.count("remote: busy");
                return Err(JournalError::Store(EngineError::Busy.into()));
            }
            Some(RemoteFault::Lost) => {
                server.count("remote: appends lost");
                return Err(lost("append"));
            }
            Some(RemoteFault::Late) => {
                let expected = append.expected;
                server.late.push_back(Late { expected, entries });
                return Err(lost("append"));
            }
            Some(RemoteFault::AnswerLost) => {
                server.append(append.expected, &entries)?;
                server.count("remote: answers lost");
                return Err(lost("append"));
            }
        }
        let appended = server.append(append.expected, &entries);
        if matches!(appended, Err(JournalError::Moved { .. })) {
            server.count("remote: appends of a deposed leader refused");
        }
        appended?;
        append.keep(views)
    }
}

/// The line broke: nothing is known of what came of it.
fn lost(operation: &'static str) -> JournalError {
    let message = "the connection is lost".to_owned();
    JournalError::Store(EngineError::Io { operation, message }.into())
}
