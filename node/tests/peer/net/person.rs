//! One person's node: the disk, the peer on it, and what was seen of it.

use khlong_crdt::time::{Monotonic, Now};
use khlong_node::api::Event;
use khlong_node::peer::Peer;
use khlong_relay::hub::ConnectionId;

use crate::disk::NodeDisk;

pub(crate) struct Person {
    pub(crate) node: NodeDisk,
    /// None while the node is down.
    pub(crate) peer: Option<Peer>,
    pub(crate) events: Vec<Event>,
    /// Microseconds at which the peer asked for a connection, was refused one, got one.
    pub(crate) dialled_at: Vec<u64>,
    pub(crate) failed_at: Vec<u64>,
    pub(crate) connected_at: Vec<u64>,
    /// Of every commit or input that failed.
    pub(crate) failures: Vec<String>,
    /// Frames that are still handled before power goes, between one and its commit.
    pub(crate) crash_at_frame: Option<u64>,
    pub(crate) crashes: u64,
    /// Whether it has left some timeline: its cursors may pass what it does not keep.
    pub(crate) has_left: bool,
    pub(super) wire: Option<ConnectionId>,
    /// Answers to earlier attempts do not count.
    pub(super) attempt: u64,
}

impl Person {
    pub(super) fn new(name: &str, seed: u64, now: Now) -> Self {
        Self::on(NodeDisk::with_node(name, seed), now)
    }

    pub(super) fn on(node: NodeDisk, now: Now) -> Self {
        let mut person = Self {
            node,
            peer: None,
            events: Vec::new(),
            dialled_at: Vec::new(),
            failed_at: Vec::new(),
            connected_at: Vec::new(),
            failures: Vec::new(),
            crash_at_frame: None,
            crashes: 0,
            has_left: false,
            wire: None,
            attempt: 0,
        };
        person.open(now);
        person
    }

    pub(super) fn open(&mut self, now: Now) {
        assert!(self.peer.is_none(), "it runs already");
        self.peer = Some(self.node.open(now).unwrap());
    }

    pub(super) fn crash(&mut self) {
        self.crashes += 1;
        self.attempt += 1;
        self.node.disk.crash();
        self.peer = None;
    }

    /// Whether power goes now, before the commit of the frame that was just handled.
    pub(super) fn is_hit(&mut self) -> bool {
        match &mut self.crash_at_frame {
            None => false,
            Some(0) => {
                self.crash_at_frame = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.peer.as_ref()?.next_deadline()
    }
}
