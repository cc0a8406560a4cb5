//! The node's sans-IO core: timelines, outbox, relays.
//!
//! Time, entropy, the store and the master key are arguments; sockets, threads,
//! files and clocks belong to the driver (`crate::node`, `crate::folder`) or to a
//! simulator. Both run this same type:
//!
//! ```text
//! Peer::create_on(&mut store, &master, "mali", entropy)?;     once
//! let mut peer = Peer::open_on(store, &master, entropy, now)?;
//! peer.go_online(now, true);
//! loop {
//!     peer.request(now, request); peer.handle(now, input)?;   as long as peer.has_room()
//!     peer.commit(now)?;                                      one durable batch
//!     while let Some(output) = peer.poll_output() { … }       only now may anything leave
//!     peer.keep_due_snapshots()?;                             for the next start
//!     sleep until peer.next_deadline(), then PeerInput::Timeout
//! }
//! ```
//!
//! Nothing leaves, and no answer may be shown, before the batch that it speaks of
//! is durable. When any of these fails, drop the peer and
//! open it again from the disk: it never retries an fsync.
//!
//! The same store, entropy, times and inputs give byte-identical outputs, so that
//! a failed simulation can be run again from its seed.

mod batch;
mod blocks;
pub(crate) mod book;
mod create;
mod dropped;
mod find;
mod leaving;
mod links;
mod moves;
pub(crate) mod names;
mod no_room;
mod outbox;
mod pauses;
mod receipt_pace;
mod relays;
mod reoffers;
mod requests;
mod searched;
mod served;
mod snapshots;
mod timelines;
mod vault;
mod views;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::{RelayKey, TimelineId};
use khlong_crdt::time::{Monotonic, Now};
use khlong_document::keys::user::UserSecret;
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::timeline::Timeline;
use khlong_store::batch::Overlay;
use khlong_store::store::Store;
use khlong_sync::wire::frame::{Frame, Lane};
use rand_chacha::ChaCha20Rng;

use self::blocks::Blocks;
use self::book::Book;
use self::links::{Link, LinkState};
use self::moves::Moves;
use self::outbox::Outbox;
use self::receipt_pace::ReceiptPace;
use self::reoffers::Reoffers;
use self::vault::Vault;
use crate::api::Event;
use crate::error::NodeError;

pub use self::snapshots::SnapshotPace;
pub use self::vault::{IndexKey, MASTER_KEY_BYTES, MasterKey};

/// What a driver tells the core.
#[derive(Clone, Debug)]
pub enum PeerInput {
    /// A connection stands.
    Connected {
        /// To which relay.
        relay: RelayKey,
        /// The TLS exporter of the connection.
        exporter: [u8; 32],
    },
    /// An attempt failed.
    ConnectFailed {
        /// To which relay.
        relay: RelayKey,
        /// Why.
        reason: String,
        /// Somebody answered, with another key than that of the relay.
        wrong_key: bool,
    },
    /// A frame arrived; its envelopes are verified.
    Frame {
        /// From which relay.
        relay: RelayKey,
        /// The frame.
        frame: Frame,
    },
    /// A connection is gone.
    Disconnected {
        /// To which relay.
        relay: RelayKey,
        /// Why.
        reason: String,
    },
    /// [`Peer::next_deadline`] has come.
    Timeout,
}

/// What the core asks of its driver.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerOutput {
    /// Connect, and answer with `Connected` or `ConnectFailed`.
    Connect {
        /// Which relay.
        relay: RelayKey,
        /// Where it is.
        address: RelayAddress,
    },
    /// Send a frame.
    Send {
        /// To which relay.
        relay: RelayKey,
        /// On which stream.
        lane: Lane,
        /// The frame.
        frame: Frame,
    },
    /// Close the connection.
    Disconnect {
        /// To which relay.
        relay: RelayKey,
    },
    /// For whoever watches.
    Event(Event),
}

/// The core of one node.
pub struct Peer {
    store: Store,
    vault: Vault,
    rng: ChaCha20Rng,
    user: UserSecret,
    book: Book,
    blocks: Blocks,
    /// Every timeline of the book.
    timelines: BTreeMap<TimelineId, Timeline>,
    /// Envelopes that came since the last snapshot of each.
    unkept: BTreeMap<TimelineId, u64>,
    /// Those of which none can be made for good; since the node started.
    without_snapshot: BTreeSet<TimelineId>,
    restored: usize,
    /// Those that changed since it was last seen to what is owed there.
    owing: BTreeSet<TimelineId>,
    receipts: ReceiptPace,
    outbox: Outbox,
    moves: Moves,
    /// What relays that lost their logs are offered again.
    reoffers: Reoffers,
    links: BTreeMap<RelayKey, Link>,
    online: bool,
    /// Written since the last commit.
    overlay: Overlay,
    /// Waits for the commit.
    held: Vec<PeerOutput>,
    /// The same of events.
    events: VecDeque<Event>,
    /// Events before these that were dropped.
    missed: u64,
    released: VecDeque<PeerOutput>,
    /// The folder failed under a request; the next commit says so.
    failed: Option<NodeError>,
    /// The folder failed: memory may be ahead of the disk for good.
    is_ahead: bool,
    pace: SnapshotPace,
}

impl Peer {
    /// Handles one input. Outputs are held until [`Peer::commit`].
    ///
    /// # Errors
    /// Only when the folder fails; the peer is to be dropped then. What a relay
    /// does wrong closes that connection and is reported as an event.
    pub fn handle(&mut self, now: Now, input: PeerInput) -> Result<(), NodeError> {
        let handled = self.take(now, input);
        self.is_ahead |= handled.is_err();
        handled
    }

    fn take(&mut self, now: Now, input: PeerInput) -> Result<(), NodeError> {
        match input {
            PeerInput::Connected { relay, exporter } => self.connected(now, relay, exporter)?,
            PeerInput::ConnectFailed {
                relay,
                reason,
                wrong_key,
            } => {
                if let Some(link) = self.links.get_mut(&relay) {
                    link.wrong_key = wrong_key;
                    link.turn_elsewhere();
                }
                self.lost(now, relay, reason);
            }
            PeerInput::Disconnected { relay, reason } => self.lost(now, relay, reason),
            PeerInput::Frame { relay, frame } => self.frame(now, relay, frame)?,
            PeerInput::Timeout => {}
        }
        self.run_timers(now)?;
        self.owe_receipts(now)?;
        self.follow_moves(now)?;
        self.offer_outbox(now)
    }

    /// The next thing for the driver to do.
    pub fn poll_output(&mut self) -> Option<PeerOutput> {
        self.released.pop_front()
    }

    /// What is committed; for drivers that look, for checkers and for tests.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Timelines of which this opening read only what came since their snapshots: for checkers.
    #[must_use]
    pub const fn restored(&self) -> usize {
        self.restored
    }

    /// The keys with which this node takes part in each timeline: for checkers that look
    /// for them where they may not be. Whoever made the peer has the master key to them.
    pub fn secrets(&self) -> impl Iterator<Item = &TimelineSecrets> {
        self.timelines.values().map(Timeline::secrets)
    }

    /// When [`PeerInput::Timeout`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let links = self.links.values().filter_map(Link::next_deadline);
        links.chain(self.receipts.next_deadline()).min()
    }

    /// Envelopes that no relay has promised to keep yet.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.outbox.unstored()
    }

    /// Connect to relays, or stop.
    pub fn go_online(&mut self, now: Now, online: bool) {
        self.online = online;
        for (relay, link) in &mut self.links {
            match (&link.state, online) {
                (LinkState::Off, true) => link.state = LinkState::Waiting(now.monotonic),
                (LinkState::Off, false) | (_, true) => {}
                (_, false) => {
                    link.state = LinkState::Off;
                    self.held.push(PeerOutput::Disconnect { relay: *relay });
                }
            }
        }
    }

    /// Nothing is queued for a connected relay, everything that it has is here, no receipt is
    /// put off, and no relay owes the answer to [`Request::Probe`](crate::api::Request::Probe).
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.links.values().all(|link| match &link.state {
            LinkState::Off => true,
            LinkState::Waiting(_) => link.failures > 0,
            LinkState::Connecting => false,
            LinkState::Up(live) => {
                live.ready
                    && live.in_flight.is_none()
                    && live.look_again.is_none()
                    && live.is_caught_up()
                    && !live.session.is_probing()
            }
        }) && self.receipts.next_deadline().is_none()
            && self.held.is_empty()
            && self.events.is_empty()
    }

    /// Every relay is connected and has greeted back. Unlike [`Self::is_idle`], a relay
    /// that could not be reached and is tried again later counts as missing.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.links
            .values()
            .all(|link| matches!(&link.state, LinkState::Up(live) if live.ready))
    }
}
