//! A hub on an imaginary disk and clients with real sessions, in virtual time.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, LogId, TimelineId};
use khlong_crdt::receipt::StoredProof;
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_relay::hub::{ConnectionId, Hub, HubFailure, HubInput, HubOutput, Policy};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role as StoreRole;
use khlong_store::store::{OpenOptions, Store};
use khlong_sync::session::Session;
use khlong_sync::session::config::{Role, SessionConfig};
use khlong_sync::session::input::Input;
use khlong_sync::session::output::{Event, Output};
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{Ack, AppendOutcome, Frame, TimelineSubscription};

use super::{Author, Inbox};

pub const RESERVE_BYTES: u64 = 1024;

pub fn relay_key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

pub fn open_store(disk: &MemoryDisk, role: StoreRole) -> Store {
    let sizes = RocksOptions {
        reserve_bytes: RESERVE_BYTES,
        ..RocksOptions::default()
    };
    let options = OpenOptions {
        role,
        fresh_log_id: LogId::from_bytes([5; 16]),
        accept_loss: false,
        sizes,
    };
    Store::in_memory(disk, &options).unwrap()
}

pub struct World {
    pub disk: MemoryDisk,
    pub hub: Hub,
    pub clients: BTreeMap<ConnectionId, Client>,
    pub micros: u64,
    /// How wrong the relay's wall clock is.
    pub wall_error_ms: i64,
    policy: Policy,
    next: u64,
}

/// One end of one connection, as a client has it.
pub struct Client {
    pub session: Session,
    pub inbox: Inbox,
    /// By request: outcomes, and the proofs beside them.
    pub acks: BTreeMap<u64, (Vec<AppendOutcome>, Vec<Option<StoredProof>>)>,
    /// As they came.
    pub ack_frames: Vec<Ack>,
    pub refused: Vec<(u64, ErrorCode, Option<u32>)>,
    pub cursors: BTreeMap<Class, Cursor>,
    pub merged: Vec<TimelineId>,
    pub ephemerals: Vec<Vec<u8>>,
    pub closed: Option<Option<ErrorCode>>,
    /// Whether pushes are taken and pulled; a slow reader leaves them.
    pub pulls: bool,
    pub unpulled: Vec<(Class, Option<TimelineId>, ArrivalSeq)>,
    outgoing: Vec<Frame>,
    exporter: [u8; 32],
    replica: Store,
    requests: u64,
}

impl World {
    pub fn new(policy: Policy) -> Self {
        let disk = MemoryDisk::new();
        let hub = Hub::new(
            open_store(&disk, StoreRole::Relay),
            relay_key(),
            policy.clone(),
        );
        Self {
            disk,
            hub,
            clients: BTreeMap::new(),
            micros: 1_000_000,
            wall_error_ms: 0,
            policy,
            next: 0,
        }
    }

    /// A relay that stops and starts with another policy.
    pub fn restart_with(&mut self, policy: Policy) {
        self.policy = policy;
        self.rebuild();
    }

    /// What a driver does after a failure: all connections cut, the hub built from disk.
    pub fn rebuild(&mut self) {
        self.clients.clear();
        // The old one goes first: it has the disk open.
        self.hub = Hub::new(
            open_store(&MemoryDisk::new(), StoreRole::Relay),
            relay_key(),
            self.policy.clone(),
        );
        self.hub = Hub::new(
            open_store(&self.disk, StoreRole::Relay),
            relay_key(),
            self.policy.clone(),
        );
    }

    pub fn now(&self) -> Now {
        Now {
            monotonic: Monotonic(self.micros),
            wall: UnixMillis(1_790_000_000_000 + (self.micros / 1_000) as i64 + self.wall_error_ms),
        }
    }

    pub fn pass_ms(&mut self, ms: u64) {
        self.micros += ms * 1_000;
    }

    /// Runs the hub alone up to `micros`, from deadline to deadline, as a driver does.
    pub fn run_hub_to(&mut self, micros: u64) {
        while let Some(deadline) = self.hub.next_deadline()
            && deadline.0 <= micros
        {
            self.micros = self.micros.max(deadline.0);
            self.wake_hub().unwrap();
        }
        self.micros = micros;
    }

    /// One turn of a driver in which only a deadline passed.
    pub fn wake_hub(&mut self) -> Result<(), HubFailure> {
        self.hub.handle(self.now(), HubInput::Timeout)?;
        self.hub.commit(self.now())?;
        self.deliver_to_clients();
        Ok(())
    }

    pub fn connect(&mut self, token: Option<&[u8]>) -> ConnectionId {
        self.next += 1;
        let id = ConnectionId(self.next);
        let mut exporter = [0; 32];
        exporter[..8].copy_from_slice(&self.next.to_be_bytes());
        let role = Role::Client {
            relay: self.hub.relay_key(),
            token: token.map(Into::into),
        };
        let client = Client {
            session: Session::new(role, SessionConfig::default(), self.now().monotonic),
            inbox: Inbox::default(),
            acks: BTreeMap::new(),
            ack_frames: Vec::new(),
            refused: Vec::new(),
            cursors: BTreeMap::new(),
            merged: Vec::new(),
            ephemerals: Vec::new(),
            closed: None,
            pulls: true,
            unpulled: Vec::new(),
            outgoing: Vec::new(),
            exporter,
            replica: open_store(&MemoryDisk::new(), StoreRole::Node),
            requests: 0,
        };
        self.clients.insert(id, client);
        self.hub
            .handle(
                self.now(),
                HubInput::Connected {
                    connection: id,
                    exporter,
                },
            )
            .unwrap();
        self.give(id, Input::Connected { exporter });
        self.settle();
        id
    }

    pub fn disconnect(&mut self, id: ConnectionId) -> Client {
        self.hub
            .handle(self.now(), HubInput::Disconnected { connection: id })
            .unwrap();
        self.clients.remove(&id).unwrap()
    }

    pub fn client(&self, id: ConnectionId) -> &Client {
        &self.clients[&id]
    }

    pub fn prove(&mut self, id: ConnectionId, author: &Author) {
        let signature = author.proof(&self.clients[&id].exporter);
        let (timeline, author) = (author.timeline, author.author());
        self.give(
            id,
            Input::Prove {
                timeline,
                author,
                signature,
            },
        );
        self.settle();
    }

    /// Subscribes from the very beginning, or from `cursors` with everything merged.
    pub fn subscribe(
        &mut self,
        id: ConnectionId,
        timeline: TimelineId,
        cursors: &BTreeMap<Class, Cursor>,
    ) {
        let backfill = if cursors.is_empty() {
            Class::ALL
                .into_iter()
                .map(|class| (class, ArrivalSeq(0)))
                .collect()
        } else {
            Vec::new()
        };
        let cursors = cursors
            .iter()
            .map(|(class, cursor)| (*class, *cursor))
            .collect();
        let request = self.request(id);
        let timelines = vec![TimelineSubscription { timeline, backfill }];
        self.give(
            id,
            Input::Subscribe {
                request,
                cursors,
                timelines,
                wake_up: None,
            },
        );
        self.settle();
    }

    /// Queues an append without running the hub.
    pub fn offer(&mut self, id: ConnectionId, envelopes: Vec<VerifiedEnvelope>) -> u64 {
        let request = self.request(id);
        self.give(id, Input::Append { request, envelopes });
        request
    }

    /// Appends and waits for the answer.
    pub fn append(
        &mut self,
        id: ConnectionId,
        envelopes: Vec<VerifiedEnvelope>,
    ) -> Vec<AppendOutcome> {
        let request = self.offer(id, envelopes);
        self.settle();
        self.clients[&id].acks[&request].0.clone()
    }

    pub fn say(&mut self, id: ConnectionId, timeline: TimelineId, payload: &[u8]) {
        self.give(
            id,
            Input::Ephemeral {
                timeline,
                payload: payload.to_vec(),
            },
        );
        self.settle();
    }

    pub fn pull(&mut self, id: ConnectionId) {
        let unpulled = std::mem::take(&mut self.clients.get_mut(&id).unwrap().unpulled);
        for (class, backfill, cursor) in unpulled {
            self.give(
                id,
                Input::Pulled {
                    class,
                    backfill,
                    cursor,
                },
            );
        }
        self.settle();
    }

    /// Runs until nothing moves: drain, commit once, release.
    pub fn settle(&mut self) {
        self.try_settle().unwrap();
    }

    pub fn try_settle(&mut self) -> Result<(), HubFailure> {
        loop {
            let mut moved = self.deliver_to_hub()?;
            self.hub.commit(self.now())?;
            moved |= self.deliver_to_clients();
            if !moved {
                return Ok(());
            }
        }
    }

    /// Clients' frames into the hub, without a commit.
    pub fn deliver_to_hub(&mut self) -> Result<bool, HubFailure> {
        let mut moved = false;
        let now = self.now();
        for (id, client) in &mut self.clients {
            for frame in client.drain() {
                moved = true;
                self.hub.handle(
                    now,
                    HubInput::Frame {
                        connection: *id,
                        frame,
                    },
                )?;
            }
        }
        Ok(moved)
    }

    /// What the hub has released, to the clients.
    pub fn deliver_to_clients(&mut self) -> bool {
        let mut moved = false;
        while let Some(output) = self.hub.poll_output() {
            moved = true;
            match output {
                HubOutput::Send {
                    connection,
                    lane,
                    frame,
                } => {
                    assert_eq!(lane, frame.lane());
                    if let Some(client) = self.clients.get_mut(&connection) {
                        if let Frame::Ack(ack) = &frame {
                            client.ack_frames.push(ack.clone());
                        }
                        self.give(connection, Input::Frame(frame));
                    }
                }
                HubOutput::Close { connection, code } => {
                    if let Some(client) = self.clients.get_mut(&connection) {
                        client.closed.get_or_insert(code);
                    }
                }
            }
        }
        moved
    }

    fn request(&mut self, id: ConnectionId) -> u64 {
        let client = self.clients.get_mut(&id).unwrap();
        client.requests += 1;
        client.requests
    }

    fn give(&mut self, id: ConnectionId, input: Input) {
        let now = self.now();
        let client = self.clients.get_mut(&id).unwrap();
        // An error closes the session; the test looks at `closed`.
        if let Err(error) = client.session.handle(now, input, &client.replica) {
            client.closed.get_or_insert(Some(error.code()));
        }
        client.take_events(now);
    }
}

impl Client {
    fn drain(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.outgoing)
    }

    fn take_events(&mut self, now: Now) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(lane, frame) => {
                    assert_eq!(lane, frame.lane());
                    self.outgoing.push(frame);
                }
                Output::Close { code } => {
                    self.closed.get_or_insert(code);
                }
                Output::Event(event) => self.on_event(now, event),
            }
        }
    }

    fn on_event(&mut self, now: Now, event: Event) {
        match event {
            Event::Acked {
                request,
                outcomes,
                proofs,
            } => {
                assert!(
                    self.acks.insert(request, (outcomes, proofs)).is_none(),
                    "two acks of one request"
                );
            }
            Event::Refused {
                request,
                code,
                retry_after_ms,
                ..
            } => self.refused.push((request, code, retry_after_ms)),
            Event::Pushed {
                class,
                backfill,
                entries,
                cursor,
            } => {
                for entry in &entries {
                    self.inbox.take(
                        class,
                        entry.arrival.0,
                        entry.envelope.id(),
                        backfill.is_none(),
                    );
                    self.inbox
                        .envelopes
                        .insert(entry.envelope.id(), entry.envelope.clone());
                }
                if backfill.is_none() {
                    self.cursors.insert(class, cursor);
                }
                if self.pulls {
                    let pulled = Input::Pulled {
                        class,
                        backfill,
                        cursor: cursor.seq,
                    };
                    self.session.handle(now, pulled, &self.replica).unwrap();
                } else {
                    self.unpulled.push((class, backfill, cursor.seq));
                }
            }
            Event::Subscribed { class, cursor, .. } | Event::CaughtUp { class, cursor } => {
                self.cursors.insert(class, cursor);
            }
            Event::Behind { .. } => self.inbox.behind += 1,
            Event::BackfillDone { timeline, .. } => self.merged.push(timeline),
            Event::Ephemeral { payload, .. } => self.ephemerals.push(payload),
            Event::Ready { .. }
            | Event::Proved { .. }
            | Event::Goodbye { .. }
            | Event::Watching { .. }
            | Event::Unwatched { .. }
            | Event::Append { .. }
            | Event::SubscriptionEnded { .. }
            | Event::Totals { .. } => {}
        }
    }
}
