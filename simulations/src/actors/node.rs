//! A person's device: the real [`Peer`] on an imaginary disk.

use std::collections::VecDeque;

use khlong_crdt::time::{Monotonic, Now};
use khlong_node::api::{Request, Response};
use khlong_node::error::NodeError;
use khlong_node::peer::{MasterKey, Peer, PeerInput, PeerOutput, SnapshotPace};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role;

use super::host::{Body, Core, Host, MachineClock, Turn, described};
use crate::kernel::seeds::Seeds;

/// Inputs that share one commit: as the binary's driver.
const BATCH_INPUTS_MAX: usize = 64;
/// So often that devices of a few messages start from snapshots.
const SNAPSHOT_PACE: SnapshotPace = SnapshotPace {
    due: 5,
    at_stop: 1,
    ..SnapshotPace::PRODUCTION
};
/// Names the stream of a device's log id.
const LOG_PURPOSE: &str = "node log";
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

/// What a device's turn gave.
pub type NodeTurn = Turn<PeerOutput>;
/// A device.
pub type NodeMachine = Host<Peer>;

impl Core for Peer {
    type Input = NodeInput;
    type Output = PeerOutput;
    type Settings = ();

    fn open(body: &Body, (): &(), now: Now) -> Result<Self, String> {
        let life = format!("{} {}", body.name, body.life);
        let entropy = body.seeds.bytes("node life", &life);
        let open = || {
            let store = body
                .store(Role::Node, LOG_PURPOSE)
                .map_err(NodeError::Store)?;
            Self::open_on(store, &master_key(body), entropy, now)
                .map(|peer| peer.with_snapshot_pace(SNAPSHOT_PACE))
        };
        let mut peer = open().map_err(|error| error.to_string())?;
        peer.go_online(now, true);
        Ok(peer)
    }

    fn deadline(&self) -> Option<Monotonic> {
        self.next_deadline()
    }

    fn turn(
        &mut self,
        now: Now,
        inbox: &mut VecDeque<NodeInput>,
        turn: &mut NodeTurn,
    ) -> Result<(), String> {
        let described = |error: NodeError| described(&error);
        if self.next_deadline().is_some_and(|at| at <= now.monotonic) {
            self.handle(now, PeerInput::Timeout).map_err(described)?;
        }
        for input in inbox.drain(..inbox.len().min(BATCH_INPUTS_MAX)) {
            match input {
                NodeInput::Peer(input) => self.handle(now, input).map_err(described)?,
                NodeInput::Request(number, request) => {
                    turn.answers.push((number, self.request(now, *request)));
                }
            }
        }
        self.commit(now).map_err(described)?;
        while let Some(output) = self.poll_output() {
            turn.outputs.push(output);
        }
        self.keep_due_snapshots().map_err(described)?;
        // Otherwise nothing was written that anybody waits for.
        turn.committed = turn.has_releases();
        Ok(())
    }
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
        let body = Body::new(name, seeds, disk, clock);
        let mut store = body
            .store(Role::Node, LOG_PURPOSE)
            .map_err(NodeError::Store)?;
        let birth = seeds.bytes("node birth", name);
        Peer::create_on(&mut store, &master_key(&body), name, birth)?;
        drop(store);
        Ok(Self::new(body, ()))
    }

    /// Its core, while it runs.
    #[must_use]
    pub const fn peer(&self) -> Option<&Peer> {
        self.core.as_ref()
    }

    /// Asks its core something outside of any turn: for checks, never for writes.
    pub fn ask(&mut self, at: Monotonic, request: Request) -> Option<Response> {
        let now = self.now(at);
        self.core.as_mut().map(|peer| peer.request(now, request))
    }

    /// The same identity on a copy of the disk, off, with randomness of its own.
    pub(super) fn twin(&self) -> Option<Self> {
        let name = std::path::PathBuf::from(format!("twin of {}", self.name()));
        self.peer()?.checkpoint(&name).ok()?;
        let body = Body {
            disk: MemoryDisk::from_checkpoint(self.disk(), &name)?,
            life: TWIN_LIVES,
            ..self.body.clone()
        };
        Some(Self::new(body, ()))
    }

    /// The key that guards its secrets at rest: to search for.
    #[must_use]
    pub fn master_key_bytes(&self) -> [u8; 32] {
        master_key_bytes(&self.body)
    }
}

fn master_key(body: &Body) -> MasterKey {
    MasterKey::from_bytes(master_key_bytes(body))
}

fn master_key_bytes(body: &Body) -> [u8; 32] {
    body.seeds.bytes("node master key", &body.name)
}
