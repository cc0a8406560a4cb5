//! How the rest of the process reaches the driver: a bounded queue, and a way back for each answer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use khlong_crdt::time::{Monotonic, UnixMillis};
use khlong_store::journal::Head;
use khlong_store::store::Store;
use tokio::sync::oneshot;

use super::clock::DriverClock;
use super::passed_over::PassedOver;
use super::postgres::Watch;
use crate::kernel::{Command, Decided};
use crate::metrics::Metrics;

/// Why the driver did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The journal is still being read.
    #[error("the gateway starts; it reads its journal")]
    Starting,
    /// The queue is full.
    #[error("too many requests wait; try again")]
    Full,
    /// The same key is being decided.
    #[error("a request with this idempotency key is being decided; wait for its answer")]
    UnderWay,
    /// The key stands for another command.
    #[error("the idempotency key stands for another request (entry {seq}); use a fresh key")]
    KeyReused {
        /// Where that command stands.
        seq: u64,
    },
    /// The command breaks a limit.
    #[error("{reason}")]
    Unfit {
        /// Which.
        reason: String,
    },
    /// Free space is below the reserve, and the key was not decided before.
    #[error("the gateway's disk is full; its operator must make room")]
    DiskFull,
    /// The driver ended. Whether the command was decided is told by a retry under its key.
    #[error("the gateway stopped before it could answer; try again with the same idempotency key")]
    Stopped,
    /// The read failed.
    #[error("the gateway could not read this")]
    ReadFailed,
}

/// Whether the driver takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It reads its journal.
    Starting,
    /// It does.
    Ready,
    /// It ends, or has ended.
    Stopping,
}

impl State {
    /// In the order in which they come.
    const fn number(self) -> u8 {
        match self {
            Self::Starting => 0,
            Self::Ready => 1,
            Self::Stopping => 2,
        }
    }
}

/// What reads see: everything that was answered before, and nothing that is not durable.
pub struct Committed<'k> {
    /// The tables.
    pub store: &'k Store,
    /// The journal's head.
    pub head: Head,
    /// The time of that entry.
    pub time: UnixMillis,
    /// The driver's clock.
    pub now: UnixMillis,
    /// Whether another gateway may be the one that serves: the last entry is not known to be
    /// this one's, in a journal that is shared.
    pub follows: bool,
}

/// A read, which sends its own answer.
pub(super) type Job = Box<dyn FnOnce(&Committed<'_>) + Send>;

/// A command that waits.
pub(super) struct Asked {
    /// `admitted_at` is the driver's to say.
    pub(super) command: Command,
    pub(super) answer: oneshot::Sender<Result<Decided, AskError>>,
    /// Given back when the answer is out, also if nobody waits for it any more.
    pub(super) claim: Claim,
}

/// What the driver's queue holds.
pub(super) enum Input {
    Write(Box<Asked>),
    Read(Job),
    Stop,
}

/// A read, and where its answer comes.
fn read_of<T: Send + 'static>(
    job: impl FnOnce(&Committed<'_>) -> T + Send + 'static,
) -> (Input, oneshot::Receiver<T>) {
    let (answer, answered) = oneshot::channel();
    let read = Input::Read(Box::new(move |committed| {
        // Whoever asked may have gone away.
        let _ = answer.send(job(committed));
    }));
    (read, answered)
}

/// Caller, scope and key.
type Name = (Vec<u8>, Vec<u8>, Vec<u8>);

/// The keys that are being decided: at most as many as the queue and one batch hold.
#[derive(Debug, Default)]
struct UnderWay(Mutex<BTreeSet<Name>>);

impl UnderWay {
    fn with<T>(&self, act: impl FnOnce(&mut BTreeSet<Name>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Claim {
    under_way: Arc<UnderWay>,
    name: Name,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.under_way.with(|names| names.remove(&self.name));
    }
}

/// Sends commands and reads to the driver. Clones share one queue.
#[derive(Clone)]
pub struct Handle {
    queue: SyncSender<Input>,
    under_way: Arc<UnderWay>,
    state: Arc<AtomicU8>,
    is_disk_full: Arc<AtomicBool>,
    passed_over: Arc<Mutex<PassedOver>>,
    clock: DriverClock,
    database: Option<Watch>,
    metrics: Arc<Metrics>,
}

impl Handle {
    /// `database`: how it goes with the journal's; `clock`: the driver's.
    pub(super) fn new(
        queue: SyncSender<Input>,
        metrics: Arc<Metrics>,
        database: Option<Watch>,
        clock: DriverClock,
    ) -> Self {
        Self {
            queue,
            under_way: Arc::default(),
            state: Arc::default(),
            is_disk_full: Arc::default(),
            passed_over: Arc::default(),
            clock,
            database,
            metrics,
        }
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Why requests should go elsewhere, or wait; `None`: they are decided here and now. One that
    /// follows decides as well; that it says no leads a balancer to the one that works, so that
    /// both do not append at once.
    #[must_use]
    pub fn unready(&self) -> Option<&'static str> {
        match self.state() {
            State::Starting => Some("starting"),
            State::Stopping => Some("stopping"),
            State::Ready if self.is_disk_full() => Some("disk full"),
            State::Ready if self.database.as_ref().is_some_and(Watch::is_away) => {
                Some("the journal's database does not answer")
            }
            State::Ready if self.is_passed_over() => Some("another gateway works"),
            State::Ready => None,
        }
    }

    fn is_passed_over(&self) -> bool {
        let now = (self.clock)().monotonic;
        self.with_passed_over(|seen| seen.is_passed_over(now))
    }

    /// Entries of another gateway were applied.
    pub(super) fn others_appended(&self, now: Monotonic) {
        self.with_passed_over(|seen| seen.others_appended(now));
    }

    /// This one appended.
    pub(super) fn appended(&self) {
        self.with_passed_over(PassedOver::appended);
    }

    fn with_passed_over<T>(&self, act: impl FnOnce(&mut PassedOver) -> T) -> T {
        act(&mut self
            .passed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the driver takes requests.
    #[must_use]
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Starting,
            1 => State::Ready,
            _ => State::Stopping,
        }
    }

    /// Whether writes are refused until there is room again.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.is_disk_full.load(Ordering::Acquire)
    }

    pub(super) fn set_disk_full(&self, is_full: bool) {
        self.is_disk_full.store(is_full, Ordering::Release);
    }

    /// Stops a driver that takes nothing yet; false if it takes requests, or has ended.
    pub(super) fn stop_starting(&self) -> bool {
        let (starting, stopping) = (State::Starting.number(), State::Stopping.number());
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let changed = self
            .state
            .compare_exchange(starting, stopping, success, failure);
        changed.is_ok()
    }

    /// A driver that stops never becomes ready again.
    pub(super) fn set_state(&self, state: State) {
        self.state.fetch_max(state.number(), Ordering::AcqRel);
    }

    /// Has a command decided; answers when that is durable. The driver says when it was
    /// admitted. That the caller goes away changes nothing once it is in the queue.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn write(&self, command: Command) -> Result<Decided, AskError> {
        let name = (
            command.caller.clone(),
            command.scope.clone(),
            command.key.clone(),
        );
        if !self.under_way.with(|names| names.insert(name.clone())) {
            return Err(AskError::UnderWay);
        }
        let claim = Claim {
            under_way: Arc::clone(&self.under_way),
            name,
        };
        let (answer, answered) = oneshot::channel();
        self.send(Input::Write(Box::new(Asked {
            command,
            answer,
            claim,
        })))?;
        answered.await.unwrap_or(Err(AskError::Stopped))
    }

    /// Runs `job` on the driver's thread, after the commit of what came before it.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Committed<'_>) -> T + Send + 'static,
    ) -> Result<T, AskError> {
        let answered = self.begin_read(job)?;
        answered.await.map_err(|_| self.unread())
    }

    /// Why a read that was begun has no answer.
    #[must_use]
    pub fn unread(&self) -> AskError {
        match self.state() {
            State::Ready => AskError::ReadFailed,
            State::Starting | State::Stopping => AskError::Stopped,
        }
    }

    /// As [`Self::read`], without waiting for the answer.
    ///
    /// # Errors
    /// [`AskError`], if the read is not in the queue.
    pub fn begin_read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Committed<'_>) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, AskError> {
        let (read, answered) = read_of(job);
        self.send(read)?;
        Ok(answered)
    }

    /// The same for a job that carries what was read before: where the queue is full it is tried again, so
    /// many times and so far apart.
    ///
    /// # Errors
    /// As [`Self::begin_read`].
    pub(crate) async fn go_on_reading<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Committed<'_>) -> T + Send + 'static,
        tries: u32,
        pause: Duration,
    ) -> Result<oneshot::Receiver<T>, AskError> {
        let (mut read, answered) = read_of(job);
        for _ in 0..tries {
            match self.offer(read)? {
                None => return Ok(answered),
                Some(back) => read = back,
            }
            tracing::debug!("a read waits for a place in the queue");
            tokio::time::sleep(pause).await;
        }
        self.send(read)?;
        Ok(answered)
    }

    fn send(&self, input: Input) -> Result<(), AskError> {
        if self.offer(input)?.is_some() {
            self.metrics.count_queue_full();
            return Err(AskError::Full);
        }
        Ok(())
    }

    /// Gives it back if the queue is full.
    fn offer(&self, input: Input) -> Result<Option<Input>, AskError> {
        match self.state() {
            State::Starting => return Err(AskError::Starting),
            State::Ready => {}
            State::Stopping => return Err(AskError::Stopped),
        }
        self.metrics.enqueue();
        let offered = self.queue.try_send(input);
        if offered.is_err() {
            self.metrics.dequeue();
        }
        match offered {
            Ok(()) => Ok(None),
            Err(TrySendError::Full(input)) => Ok(Some(input)),
            Err(TrySendError::Disconnected(_)) => Err(AskError::Stopped),
        }
    }

    /// Waits for a place in the queue; what is in it before is still answered.
    pub(super) fn stop_blocking(&self) {
        self.set_state(State::Stopping);
        self.metrics.enqueue();
        // An error: it has ended already.
        let _ = self.queue.send(Input::Stop);
    }
}
