//! The thread that owns the hub: drain, handle, commit once, release.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use khlong_crdt::time::Now;
use khlong_store::error::{EngineError, StoreError};
use khlong_sync::transport::quic::error::SendError;
use khlong_sync::transport::quic::link::LinkSender;
use khlong_sync::wire::code::ErrorCode;
use tokio::sync::{mpsc, oneshot};

use super::ServerError;
use super::checkpoint::Wanted;
use super::clock::Clock;
use crate::admin::{Metrics, State};
use crate::hub::{BATCH_INPUTS_MAX, ConnectionId, Hub, HubFailure, HubInput, HubOutput};

/// How often the engine's gauges are read, and how long a folder that cannot be
/// opened again is left alone.
const GAUGES_EVERY: Duration = Duration::from_secs(2);
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// How the driver reaches a connection's link.
#[derive(Debug)]
pub(super) struct Attached {
    /// Its lanes.
    pub(super) sender: LinkSender,
    /// Ends it after what was sent.
    pub(super) close: oneshot::Sender<Option<ErrorCode>>,
}

/// What the driver's queue holds.
#[derive(Debug)]
pub(super) enum DriverInput {
    /// A connection with its way back.
    Connected {
        connection: ConnectionId,
        exporter: [u8; 32],
        network: IpAddr,
        attached: Attached,
    },
    /// Anything else for the hub.
    Hub(HubInput),
    /// A copy of what is committed.
    Checkpoint(Wanted),
    /// Whether the thread still turns.
    Beat(oneshot::Sender<()>),
    /// Finish and end the thread.
    ShutDown,
}

type Open = Box<dyn FnMut() -> Result<Hub, ServerError> + Send>;

/// The handle of the thread.
#[derive(Debug)]
pub(super) struct Driver {
    thread: Option<std::thread::JoinHandle<()>>,
    ended: oneshot::Receiver<Ended>,
}

/// How the thread ended: as it was told, or because the folder is not to be opened.
type Ended = Result<(), ServerError>;

impl Driver {
    /// Starts the thread; `open` makes a new hub from disk after a failure.
    pub(super) fn start(
        hub: Hub,
        open: Open,
        queued: mpsc::Receiver<DriverInput>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let (end, ended) = oneshot::channel::<Ended>();
        // Before the thread runs: whoever was told that the relay serves may ask at once.
        metrics.publish_hub(hub.stats());
        metrics.publish_engine(hub.store().stats());
        metrics.set_state(State::Ready);
        let thread = std::thread::Builder::new()
            .name("hub".to_owned())
            .spawn(move || {
                let clock = Clock::start();
                let seats = BTreeMap::new();
                let how = runtime.block_on(
                    Loop {
                        open,
                        queued,
                        metrics,
                        clock,
                        seats,
                    }
                    .run(hub),
                );
                // The handle may be gone.
                let _ = end.send(how);
            })?;
        Ok(Self {
            thread: Some(thread),
            ended,
        })
    }

    /// Ends when the thread has; the store is closed then. Cancel-safe, and not to be
    /// called again once it has ended.
    ///
    /// # Errors
    /// Why the folder is not to be opened again; [`ServerError::DriverGone`] after a panic.
    pub(super) async fn ended(&mut self) -> Ended {
        let how = (&mut self.ended).await;
        if let Some(thread) = self.thread.take() {
            // It has sent its last word, or unwound.
            let _ = thread.join();
        }
        how.unwrap_or(Err(ServerError::DriverGone))
    }
}

struct Loop {
    open: Open,
    queued: mpsc::Receiver<DriverInput>,
    metrics: Arc<Metrics>,
    clock: Clock,
    seats: BTreeMap<ConnectionId, Attached>,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Next,
    Last,
}

impl Loop {
    async fn run(mut self, mut hub: Hub) -> Ended {
        let mut inputs = Vec::with_capacity(BATCH_INPUTS_MAX);
        let mut gauges_due = Instant::now();
        loop {
            if gauges_due <= Instant::now() {
                self.metrics.publish_engine(hub.store().stats());
                gauges_due = Instant::now() + GAUGES_EVERY;
            }
            self.metrics.publish_hub(hub.stats());
            let wake = hub
                .next_deadline()
                .map_or(gauges_due, |at| self.clock.instant(at).min(gauges_due));
            tokio::select! {
                taken = self.queued.recv_many(&mut inputs, BATCH_INPUTS_MAX) => if taken == 0 { return Ok(()) },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
            match self.turn(&mut hub, &mut inputs) {
                Ok(Turn::Next) => {}
                Ok(Turn::Last) => return Ok(()),
                Err(failure) => {
                    tracing::error!(
                        error = &failure as &dyn std::error::Error,
                        "the hub ends; it is built again from disk"
                    );
                    self.metrics.count_failure();
                    // Nothing that it still held leaves: neither acks nor pushes.
                    drop(hub);
                    inputs.clear();
                    self.cut_all();
                    match self.reopen().await? {
                        Some(rebuilt) => hub = rebuilt,
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    fn turn(&mut self, hub: &mut Hub, inputs: &mut Vec<DriverInput>) -> Result<Turn, HubFailure> {
        let now = self.clock.now();
        let mut turn = Turn::Next;
        let mut checkpoints = Vec::new();
        if hub
            .next_deadline()
            .is_some_and(|deadline| deadline <= now.monotonic)
        {
            hub.handle(now, HubInput::Timeout)?;
        }
        for input in inputs.drain(..) {
            match input {
                DriverInput::Connected {
                    connection,
                    exporter,
                    network,
                    attached,
                } => {
                    self.seats.insert(connection, attached);
                    let connected = HubInput::Connected {
                        connection,
                        exporter,
                    };
                    hub.handle(now, connected)?;
                    let from = HubInput::From {
                        connection,
                        network,
                    };
                    hub.handle(now, from)?;
                }
                DriverInput::Hub(input) => {
                    if let HubInput::Disconnected { connection } = &input {
                        self.seats.remove(connection);
                    }
                    hub.handle(now, input)?;
                }
                DriverInput::Checkpoint(wanted) => checkpoints.push(wanted),
                DriverInput::Beat(answer) => {
                    let _ = answer.send(());
                }
                DriverInput::ShutDown => {
                    hub.handle(now, HubInput::ShutDown)?;
                    turn = Turn::Last;
                }
            }
        }
        let began = Instant::now();
        let commits = hub.stats().commits;
        hub.commit(now)?;
        if hub.stats().commits > commits {
            self.metrics.observe_commit(began.elapsed());
        }
        // Before the release: whoever has an ack finds it counted.
        self.metrics.publish_hub(hub.stats());
        self.release(now, hub)?;
        // Between two commits, after the acks: nobody waits for it but those who come meanwhile.
        for wanted in checkpoints {
            wanted.take(hub.store());
        }
        Ok(turn)
    }

    fn release(&mut self, now: Now, hub: &mut Hub) -> Result<(), HubFailure> {
        while let Some(output) = hub.poll_output() {
            match output {
                HubOutput::Send {
                    connection,
                    lane,
                    frame,
                } => {
                    let Some(seat) = self.seats.get(&connection) else {
                        continue;
                    };
                    if seat.sender.try_send(lane, frame) == Err(SendError::Full) {
                        seat.sender
                            .abort(Some(ErrorCode::Busy), "you do not read what you asked for");
                        self.seats.remove(&connection);
                        // Its task ends without a word: the hub hears it from here.
                        hub.handle(now, HubInput::Disconnected { connection })?;
                    }
                }
                HubOutput::Close { connection, code } => {
                    if let Some(seat) = self.seats.remove(&connection) {
                        // Its task may have ended already.
                        let _ = seat.close.send(code);
                    }
                }
            }
        }
        Ok(())
    }

    fn cut_all(&mut self) {
        for seat in std::mem::take(&mut self.seats).into_values() {
            seat.sender
                .abort(Some(ErrorCode::Internal), "the relay starts anew");
        }
    }

    /// Opens the folder again, for as long as it takes; `None` when the server
    /// stops meanwhile.
    ///
    /// # Errors
    /// What only an operator can mend: what was acknowledged is gone or damaged, or the
    /// folder is another's. To ask again would hide it.
    async fn reopen(&mut self) -> Result<Option<Hub>, ServerError> {
        self.metrics.set_state(State::Rebuilding);
        loop {
            match (self.open)() {
                Ok(hub) => {
                    self.metrics.set_state(State::Ready);
                    return Ok(Some(hub));
                }
                Err(ServerError::Store(error)) if is_for_the_operator(&error) => {
                    return Err(ServerError::Store(error));
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the folder cannot be opened again yet"
                    );
                }
            }
            let again = tokio::time::Instant::now() + REOPEN_AFTER;
            // Whoever comes meanwhile is turned away at once.
            while let Ok(input) = tokio::time::timeout_at(again, self.queued.recv()).await {
                match input {
                    Some(DriverInput::Connected { attached, .. }) => {
                        attached
                            .sender
                            .abort(Some(ErrorCode::Internal), "the relay starts anew");
                    }
                    // Whoever wanted a checkpoint hears that there is none.
                    Some(DriverInput::Hub(_) | DriverInput::Checkpoint(_)) => {}
                    Some(DriverInput::Beat(answer)) => {
                        let _ = answer.send(());
                    }
                    Some(DriverInput::ShutDown) | None => return Ok(None),
                }
            }
        }
    }
}

/// Whether a folder stays as it is until somebody has looked at it: a disk that is full
/// or fails may recover, lost or damaged commits do not come back.
fn is_for_the_operator(error: &StoreError) -> bool {
    match error {
        StoreError::BehindSideFile { .. }
        | StoreError::Diverged { .. }
        | StoreError::Corrupt { .. }
        | StoreError::AdmissionLog { .. }
        | StoreError::Foreign { .. }
        | StoreError::WrongRole { .. }
        | StoreError::SchemaTooNew { .. }
        | StoreError::MigrationMissing { .. }
        | StoreError::Engine(EngineError::Corrupt { .. } | EngineError::UnknownTable { .. }) => {
            true
        }
        StoreError::Engine(
            EngineError::DiskFull { .. }
            | EngineError::Busy
            | EngineError::Poisoned
            | EngineError::Io { .. }
            | EngineError::NotSynced
            | EngineError::OptionReplaced { .. },
        )
        | StoreError::Locked { .. }
        | StoreError::Folder { .. }
        | StoreError::BatchFull { .. }
        | StoreError::RowTooLarge { .. }
        | StoreError::TableFull { .. } => false,
    }
}
