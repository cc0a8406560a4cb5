//! What goes into a hub and what comes out.

use std::fmt;
use std::net::IpAddr;

use khlong_store::error::StoreError;
use khlong_sync::session::proof::CheckedProof;
use khlong_sync::wire::WireError;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{Frame, Lane};

/// One connection of this process; the driver numbers them, never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// What goes into a hub.
#[derive(Debug)]
pub enum HubInput {
    /// A connection stands.
    Connected {
        /// Which.
        connection: ConnectionId,
        /// Its channel binding.
        exporter: [u8; 32],
    },
    /// Where a connection comes from. Right after `Connected`, where it is known.
    From {
        /// Which.
        connection: ConnectionId,
        /// Whose openings of timelines are counted together; see
        /// `khlong_sync::transport::quic::seats::network_of`.
        network: IpAddr,
    },
    /// A frame came, decoded and verified.
    Frame {
        /// On which connection.
        connection: ConnectionId,
        /// The frame.
        frame: Frame,
    },
    /// A proof came, and was verified where it was read.
    Proof {
        /// On which connection.
        connection: ConnectionId,
        /// The proof, and whether it holds.
        proof: CheckedProof,
    },
    /// Something came that is no frame.
    Undecodable {
        /// On which connection.
        connection: ConnectionId,
        /// What is wrong with it.
        error: WireError,
    },
    /// A connection is gone.
    Disconnected {
        /// Which.
        connection: ConnectionId,
    },
    /// A deadline may have passed.
    Timeout,
    /// Commit, acknowledge, and say goodbye to everybody.
    ShutDown,
}

/// What comes out of a hub; all of it may leave.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every output is a frame; a box would be one more allocation for each"
)]
#[derive(Debug)]
pub enum HubOutput {
    /// Send a frame.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// On which lane.
        lane: Lane,
        /// The frame.
        frame: Frame,
    },
    /// Close after what was sent; nothing follows for this connection.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why; `None`: nothing is wrong.
        code: Option<ErrorCode>,
    },
}

/// The hub cannot go on: what the disk holds is not known. Drop it, close the
/// connections without an answer, open the store again, build a new one.
#[derive(Debug, thiserror::Error)]
pub enum HubFailure {
    /// A commit failed or its fate is unknown.
    #[error("a commit failed; nothing of it was acknowledged")]
    Commit(#[source] StoreError),
    /// The disk cannot be read.
    #[error("the store cannot be read")]
    Read(#[source] StoreError),
}
