//! A person's device: the real [`Peer`] on an imaginary disk.

use std::collections::VecDeque;

use khlong_crdt::id::{LogId, RelayKey};
use khlong_crdt::time::{Monotonic, Now};
use khlong_node::api::{Request, Response};
use khlong_node::error::NodeError;
use khlong_node::peer::{MasterKey, Peer, PeerInput, PeerOutput};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::store::{OpenOptions, Store};

use super::world::MachineClock;
use crate::kernel::seeds::Seeds;

/// Inputs that share one commit: as the binary's driver.
const BATCH_INPUTS_MAX: usize = 64;

/// Lives of a copy are numbered from here on, so that it draws other random numbers.
const TWIN_LIVES: u32 = 1 << 20;

/// What waits for a node: inputs from outside.
#[expect(
    clippy::large_enum_variant,
    reason = "queues are short, and a box for each frame would cost more"
)]
#[derive(Debug)]
pub enum NodeInput {
    /// Of a connection.
    Peer(PeerInput),
    /// Of a person; the number comes back with the answer.
    Request(u32, Box<Request>),
}

/// What a turn gave, to leave when its commit has taken its time.
#[derive(Debug, Default)]
pub struct NodeTurn {
    /// Frames, connections, events.
    pub outputs: Vec<PeerOutput>,
    /// Answers, by the number of the request.
    pub answers: Vec<(u32, Response)>,
    /// The core failed and must be built again.
    pub failed: Option<String>,
}

/// A device.
pub struct NodeMachine {
    name: String,
    seeds: Seeds,
    disk: MemoryDisk,
    reserve_bytes: u64,
    clock: MachineClock,
    peer: Option<Peer>,
    inbox: VecDeque<NodeInput>,
    /// Lives so far: connections of an earlier one are dead.
    life: u32,
}

impl NodeMachine {
    /// A new device with a new identity, made on `disk`. It is off.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn create(
        name: &str,
        seeds: Seeds,
        disk: MemoryDisk,
        clock: MachineClock,
    ) -> Result<Self, NodeError> {
        let machine = Self {
            name: name.to_owned(),
            seeds,
            disk,
            reserve_bytes: 0,
            clock,
            peer: None,
            inbox: VecDeque::new(),
            life: 0,
        };
        let mut store = machine.store()?;
        Peer::create_on(
            &mut store,
            &machine.master_key(),
            name,
            seeds.bytes("node birth", name),
        )?;
        drop(store);
        Ok(machine)
    }

    /// Switches it on.
    ///
    /// # Errors
    /// What the disk refused; it stays off.
    pub fn start(&mut self, at: Monotonic) -> Result<(), NodeError> {
        self.life += 1;
        let entropy = self
            .seeds
            .bytes("node life", &format!("{} {}", self.name, self.life));
        let now = self.now(at);
        let mut peer = Peer::open_on(self.store()?, &self.master_key(), entropy, now)?;
        peer.go_online(now, true);
        self.peer = Some(peer);
        Ok(())
    }

    /// Cuts its power: whatever was not synced, and every input, is gone.
    /// Of the bytes that were not synced the first `kept_bytes` are on the disk.
    pub fn crash(&mut self, kept_bytes: usize) {
        // The engine first: it has the disk open.
        self.peer = None;
        self.disk.crash_torn(kept_bytes);
        self.inbox.clear();
    }

    /// Whether it runs.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.peer.is_some()
    }

    /// Which life this is.
    #[must_use]
    pub const fn life(&self) -> u32 {
        self.life
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its disk, to torment and to look at.
    #[must_use]
    pub const fn disk(&self) -> &MemoryDisk {
        &self.disk
    }

    /// Its core, while it runs.
    #[must_use]
    pub const fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Asks its core something outside of any turn: for checks, never for writes.
    pub fn ask(&mut self, at: Monotonic, request: Request) -> Option<Response> {
        let now = self.now(at);
        self.peer.as_mut().map(|peer| peer.request(now, request))
    }

    /// Gives it an input; off, it hears nothing.
    pub fn give(&mut self, input: NodeInput) {
        if self.is_on() {
            self.inbox.push_back(input);
        }
    }

    /// Whether inputs wait.
    #[must_use]
    pub fn has_inputs(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// When its core wants a turn by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.peer.as_ref().and_then(Peer::next_deadline)
    }

    /// What the driver does: inputs, one commit, outputs.
    pub fn turn(&mut self, at: Monotonic) -> NodeTurn {
        let now = self.now(at);
        let mut turn = NodeTurn::default();
        let Some(peer) = self.peer.as_mut() else {
            return turn;
        };
        match Self::run(peer, &mut self.inbox, now, &mut turn) {
            Ok(()) => {
                while let Some(output) = peer.poll_output() {
                    turn.outputs.push(output);
                }
            }
            Err(error) => {
                turn.failed = Some(described(&error));
                turn.answers.clear();
                self.peer = None;
                self.inbox.clear();
            }
        }
        turn
    }

    fn run(
        peer: &mut Peer,
        inbox: &mut VecDeque<NodeInput>,
        now: Now,
        turn: &mut NodeTurn,
    ) -> Result<(), NodeError> {
        if peer.next_deadline().is_some_and(|at| at <= now.monotonic) {
            peer.handle(now, PeerInput::Timeout)?;
        }
        for _ in 0..BATCH_INPUTS_MAX {
            match inbox.pop_front() {
                Some(NodeInput::Peer(input)) => peer.handle(now, input)?,
                Some(NodeInput::Request(number, request)) => {
                    let response = peer.request(now, *request);
                    turn.answers.push((number, response));
                }
                None => break,
            }
        }
        peer.commit(now)
    }

    fn now(&self, at: Monotonic) -> Now {
        self.clock.now(at)
    }

    /// Moves its wall clock by so many milliseconds.
    pub fn jump_clock(&mut self, by_ms: i64) {
        self.clock.skew_ms = self.clock.skew_ms.saturating_add(by_ms);
    }

    /// The same device on another disk, off, with randomness of its own.
    pub(super) fn on_disk(&self, disk: MemoryDisk) -> Self {
        Self {
            name: self.name.clone(),
            seeds: Seeds::new(self.seeds.root()),
            disk,
            reserve_bytes: self.reserve_bytes,
            clock: self.clock,
            peer: None,
            inbox: VecDeque::new(),
            life: TWIN_LIVES,
        }
    }

    /// The key that guards its secrets at rest: to search for.
    #[must_use]
    pub fn master_key_bytes(&self) -> [u8; 32] {
        self.seeds.bytes("node master key", &self.name)
    }

    fn master_key(&self) -> MasterKey {
        MasterKey::from_bytes(self.master_key_bytes())
    }

    fn store(&self) -> Result<Store, NodeError> {
        let mut log = [0; 16];
        log.copy_from_slice(&self.seeds.bytes("node log", &self.name)[..16]);
        let options = OpenOptions {
            role: Role::Node,
            fresh_log_id: LogId::from_bytes(log),
            accept_loss: false,
            sizes: RocksOptions {
                reserve_bytes: self.reserve_bytes,
                ..RocksOptions::default()
            },
        };
        Store::in_memory(&self.disk, &options).map_err(NodeError::Store)
    }
}

/// The relay that an output is about, if it is about one.
#[must_use]
pub const fn relay_of(output: &PeerOutput) -> Option<RelayKey> {
    match output {
        PeerOutput::Connect { relay, .. }
        | PeerOutput::Send { relay, .. }
        | PeerOutput::Disconnect { relay } => Some(*relay),
        PeerOutput::Event(_) => None,
    }
}

/// An error with everything behind it.
pub(super) fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
