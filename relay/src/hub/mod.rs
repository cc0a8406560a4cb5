//! The relay's core: sessions, decisions, one commit for many, no I/O of its own.
//!
//! ```text
//! hub.handle(now, input)?        sessions read what is committed; appends are decided into the open batch
//! hub.commit(now)?               one fsync for everything decided; then acks and pushes are made
//! while let Some(o) = hub.poll_output() { … }
//! hub.next_deadline()
//! ```
//!
//! Sessions read only committed state, so whatever they send may leave at once;
//! acks and live pushes do not exist before the commit that they promise.
//!
//! A relay holds no key of any timeline. What it decides is admission (who may
//! append), policy (who may open a timeline, how much it may store, how fast, how
//! long), duplicates, forks and order.
//!
//! After a [`HubFailure`] the hub is dropped, its outputs with it; the driver
//! closes the connections without an answer and builds a new hub from disk.

mod commit;
mod connection;
mod decide;
mod message;
mod openings;
mod policy;
mod retention;
mod stats;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use ed25519_dalek::SigningKey;
use khlong_crdt::id::{RelayKey, TimelineId};
use khlong_crdt::time::{Monotonic, Now};
use khlong_store::batch::Overlay;
use khlong_store::error::{EngineError, StoreError};
use khlong_store::store::Store;
use khlong_sync::replica::Arrival;
use khlong_sync::secret::Secret;
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::session::output::{Event, Output};
use khlong_sync::wire::code::ErrorCode;

use self::commit::Pending;
use self::connection::Connection;
pub use self::message::{ConnectionId, HubFailure, HubInput, HubOutput};
pub use self::openings::OpeningRate;
use self::openings::Openings;
pub use self::policy::{
    AUTH_OPS_OF_MEMBERS_MAX, AUTH_OPS_PER_MEMBER_MAX, AUTH_OPS_PER_TIMELINE_MAX, KeepFor, Opening,
    Policy, Retention, WriteRate,
};
use self::retention::Sweep;
pub use self::retention::{ROUND_EVERY_MS, TURN_ENVELOPES_MAX, TURN_TIMELINES_MAX};
pub use self::stats::HubStats;

/// Inputs that a driver gives between two commits, at most.
pub const BATCH_INPUTS_MAX: usize = 64;

/// What the inputs of one batch may hold: 128 MiB, and as much again may wait in a driver's queue.
const _: () = assert!(BATCH_INPUTS_MAX * khlong_sync::limits::FRAME_BYTES_MAX <= 128 * 1024 * 1024);

/// The core. Drain [`Hub::poll_output`] after every [`Hub::handle`] and
/// [`Hub::commit`]; only then read [`Hub::next_deadline`].
pub struct Hub {
    store: Store,
    key: SigningKey,
    policy: Policy,
    connections: BTreeMap<ConnectionId, Connection>,
    watchers: BTreeMap<TimelineId, BTreeSet<ConnectionId>>,
    deadlines: BTreeSet<(Monotonic, ConnectionId)>,
    /// What was decided since the last commit.
    overlay: Overlay,
    pending: Vec<Pending>,
    arrivals: Vec<Arrival>,
    events: VecDeque<(ConnectionId, Event)>,
    outputs: VecDeque<HubOutput>,
    openings: Openings,
    sweep: Sweep,
    stats: HubStats,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("connections", &self.connections.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub without connections, on what `store` holds. `key` signs receipts.
    #[must_use]
    pub fn new(store: Store, key: SigningKey, policy: Policy) -> Self {
        Self {
            store,
            key,
            policy,
            connections: BTreeMap::new(),
            watchers: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            overlay: Overlay::default(),
            pending: Vec::new(),
            arrivals: Vec::new(),
            events: VecDeque::new(),
            outputs: VecDeque::new(),
            openings: Openings::default(),
            sweep: Sweep::new(),
            stats: HubStats::default(),
        }
    }

    /// The key that clients pin.
    #[must_use]
    pub fn relay_key(&self) -> RelayKey {
        RelayKey::from_bytes(self.key.verifying_key().to_bytes())
    }

    /// Takes one input. Commits on its own when the open batch is full.
    ///
    /// # Errors
    /// [`HubFailure`]: drop the hub, nothing that it still holds may leave.
    pub fn handle(&mut self, now: Now, input: HubInput) -> Result<(), HubFailure> {
        match input {
            HubInput::Connected {
                connection,
                exporter,
            } => {
                self.connections
                    .insert(connection, Connection::new(now, &self.policy));
                self.stats.connections_opened += 1;
                self.step(now, connection, Input::Connected { exporter })?;
            }
            HubInput::Frame { connection, frame } => {
                self.stats.frames_received += 1;
                self.step(now, connection, Input::Frame(frame))?;
            }
            HubInput::From {
                connection,
                network,
            } => {
                if let Some(connection) = self.connections.get_mut(&connection) {
                    connection.network = Some(network);
                }
            }
            HubInput::Proof { connection, proof } => {
                self.stats.frames_received += 1;
                self.step(now, connection, Input::Proof(proof))?;
            }
            HubInput::Undecodable { connection, error } => {
                self.stats.frames_undecodable += 1;
                self.step(now, connection, Input::Undecodable(error))?;
            }
            HubInput::Disconnected { connection } => {
                self.step(now, connection, Input::Disconnected)?;
                self.forget(connection);
            }
            HubInput::Timeout => {
                self.time_out(now)?;
                self.sweep(now)?;
            }
            HubInput::ShutDown => self.shut_down(now)?,
        }
        self.settle(now)
    }

    /// What may leave now.
    pub fn poll_output(&mut self) -> Option<HubOutput> {
        self.outputs.pop_front()
    }

    /// When to give [`HubInput::Timeout`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let sessions = self.deadlines.first().map(|(deadline, _)| *deadline);
        sessions.into_iter().chain(self.sweep.deadline()).min()
    }

    /// Counters since this hub was built, and gauges.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        HubStats {
            connections: self.connections.len() as u64,
            timelines_watched: self.watchers.len() as u64,
            ..self.stats.clone()
        }
    }

    /// What is committed; for the operator's surface and for tests.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn time_out(&mut self, now: Now) -> Result<(), HubFailure> {
        let due: Vec<_> = self
            .deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now.monotonic)
            .map(|(_, connection)| *connection)
            .collect();
        due.into_iter()
            .try_for_each(|connection| self.step(now, connection, Input::Timeout))
    }

    fn shut_down(&mut self, now: Now) -> Result<(), HubFailure> {
        self.commit(now)?;
        self.sweep.stop();
        let all: Vec<_> = self.connections.keys().copied().collect();
        let code = Some(ErrorCode::ShuttingDown);
        all.into_iter()
            .try_for_each(|connection| self.step(now, connection, Input::Close { code }))
    }

    /// Gives one input to one session and takes everything out of it. Inputs
    /// for a connection that is gone are dropped.
    fn step(&mut self, now: Now, id: ConnectionId, input: Input) -> Result<(), HubFailure> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        let handled = connection.session.handle(now, input, &self.store);
        let mut closed = false;
        while let Some(output) = connection.session.poll_output() {
            match output {
                Output::Send(lane, frame) => {
                    self.outputs.push_back(HubOutput::Send {
                        connection: id,
                        lane,
                        frame,
                    });
                }
                Output::Event(event) => self.events.push_back((id, event)),
                Output::Close { code } => {
                    self.outputs.push_back(HubOutput::Close {
                        connection: id,
                        code,
                    });
                    closed = true;
                }
            }
        }
        let before = connection.deadline;
        connection.deadline = connection.session.next_deadline();
        if before != connection.deadline {
            if let Some(before) = before {
                self.deadlines.remove(&(before, id));
            }
            if let Some(deadline) = connection.deadline {
                self.deadlines.insert((deadline, id));
            }
        }
        if let Err(error) = handled {
            if !closed {
                self.outputs.push_back(HubOutput::Close {
                    connection: id,
                    code: Some(error.code()),
                });
                closed = true;
            }
            self.session_ended(id, error)?;
        }
        if closed {
            self.forget(id);
        }
        Ok(())
    }

    /// A session that ended badly: the peer's fault is counted, the disk's is ours.
    fn session_ended(&mut self, id: ConnectionId, error: SessionError) -> Result<(), HubFailure> {
        self.stats.sessions_failed += 1;
        tracing::debug!(connection = id.0, %error, "a session ended");
        let SessionError::Replica(replica) = error else {
            return Ok(());
        };
        match replica.source.downcast::<StoreError>() {
            Ok(source) if is_fatal(&source) => Err(HubFailure::Read(*source)),
            Ok(source) => {
                tracing::error!(error = %source, "a row cannot be read");
                Ok(())
            }
            Err(other) => {
                tracing::error!(error = %other, "a row cannot be read");
                Ok(())
            }
        }
    }

    /// Acts on what sessions said, until nothing is left.
    fn settle(&mut self, now: Now) -> Result<(), HubFailure> {
        while let Some((id, event)) = self.events.pop_front() {
            match event {
                Event::Ready { hello, version: _ } => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.may_open = self
                            .policy
                            .opening
                            .permits(hello.token.as_ref().map(Secret::expose));
                    }
                }
                Event::Watching {
                    timeline,
                    wake_up: _,
                } => {
                    self.watchers.entry(timeline).or_default().insert(id);
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.watched.insert(timeline);
                    } else {
                        self.unwatch(id, timeline);
                    }
                }
                Event::Unwatched { timeline } => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.watched.remove(&timeline);
                    }
                    self.unwatch(id, timeline);
                }
                Event::Append { request, envelopes } => {
                    self.propose(now, id, request, envelopes)?
                }
                Event::Ephemeral { timeline, payload } => {
                    self.pass_on(now, id, timeline, &payload)?
                }
                // Nothing to decide, or events of a client's session.
                Event::Proved { .. }
                | Event::Goodbye { .. }
                | Event::Subscribed { .. }
                | Event::SubscriptionEnded { .. }
                | Event::Totals { .. }
                | Event::Pushed { .. }
                | Event::CaughtUp { .. }
                | Event::BackfillDone { .. }
                | Event::Behind { .. }
                | Event::Acked { .. }
                | Event::Refused { .. } => {}
            }
        }
        Ok(())
    }

    fn pass_on(
        &mut self,
        now: Now,
        from: ConnectionId,
        timeline: TimelineId,
        payload: &[u8],
    ) -> Result<(), HubFailure> {
        let watching = self.watchers.get(&timeline).cloned().unwrap_or_default();
        watching
            .into_iter()
            .filter(|id| *id != from)
            .try_for_each(|id| {
                self.stats.ephemerals_relayed += 1;
                self.step(
                    now,
                    id,
                    Input::RelayEphemeral {
                        timeline,
                        payload: payload.to_vec(),
                    },
                )
            })
    }

    fn forget(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        if let Some(deadline) = connection.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        for timeline in connection.watched {
            self.unwatch(id, timeline);
        }
    }

    fn unwatch(&mut self, id: ConnectionId, timeline: TimelineId) {
        if let Some(watching) = self.watchers.get_mut(&timeline) {
            watching.remove(&id);
            if watching.is_empty() {
                self.watchers.remove(&timeline);
            }
        }
    }
}

/// Whether the disk itself failed, and not one row of it.
fn is_fatal(error: &StoreError) -> bool {
    match error {
        StoreError::Engine(
            EngineError::Poisoned
            | EngineError::Io { .. }
            | EngineError::NotSynced
            | EngineError::Corrupt { .. }
            | EngineError::UnknownTable { .. }
            | EngineError::OptionReplaced { .. },
        ) => true,
        StoreError::Engine(EngineError::DiskFull { .. } | EngineError::Busy)
        | StoreError::Locked { .. }
        | StoreError::Foreign { .. }
        | StoreError::Folder { .. }
        | StoreError::WrongRole { .. }
        | StoreError::SchemaTooNew { .. }
        | StoreError::MigrationMissing { .. }
        | StoreError::BehindSideFile { .. }
        | StoreError::Diverged { .. }
        | StoreError::Corrupt { .. }
        | StoreError::BatchFull { .. }
        | StoreError::RowTooLarge { .. }
        | StoreError::TableFull { .. }
        | StoreError::AdmissionLog { .. } => false,
    }
}
