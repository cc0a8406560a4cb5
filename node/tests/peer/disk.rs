//! A node's imaginary disk, which outlives its peers.

use khlong_crdt::id::LogId;
use khlong_crdt::time::Now;
use khlong_node::error::NodeError;
use khlong_node::peer::{MasterKey, Peer};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::store::{OpenOptions, Store};

/// Bytes that the engine keeps free; below it commits answer "disk full".
const RESERVE_BYTES: u64 = 1_024;

pub(crate) fn open_store(disk: &MemoryDisk, role: Role) -> Store {
    open_store_as(disk, role, LogId::from_bytes([5; 16]))
}

/// On an empty disk the log begins with this id.
pub(crate) fn open_store_as(disk: &MemoryDisk, role: Role, fresh_log_id: LogId) -> Store {
    let options = OpenOptions {
        role,
        fresh_log_id,
        accept_loss: false,
        sizes: RocksOptions {
            reserve_bytes: RESERVE_BYTES,
            ..RocksOptions::default()
        },
    };
    Store::in_memory(disk, &options).unwrap()
}

/// Key and entropy of a node, from its name and how often it was opened.
pub(crate) struct NodeDisk {
    pub(crate) disk: MemoryDisk,
    pub(crate) name: String,
    pub(crate) openings: u64,
}

impl NodeDisk {
    pub(crate) fn with_node(name: &str, seed: u64) -> Self {
        let name = format!("{seed}/{name}");
        let node = Self {
            disk: MemoryDisk::new(),
            name,
            openings: 0,
        };
        let mut store = open_store(&node.disk, Role::Node);
        let nickname = node.name.rsplit('/').next().unwrap();
        Peer::create_on(&mut store, &node.master(), nickname, node.entropy("birth")).unwrap();
        node
    }

    /// What a process does that starts on this disk.
    pub(crate) fn open(&mut self, now: Now) -> Result<Peer, NodeError> {
        self.openings += 1;
        let store = open_store(&self.disk, Role::Node);
        let entropy = self.entropy(&format!("opening {}", self.openings));
        Peer::open_on(store, &self.master(), entropy, now)
    }

    pub(crate) fn master(&self) -> MasterKey {
        MasterKey::from_bytes(self.entropy("master key"))
    }

    fn entropy(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(
            "khlong peer tests",
            format!("{}/{purpose}", self.name).as_bytes(),
        )
    }
}
