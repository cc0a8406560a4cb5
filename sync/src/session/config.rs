//! Which side a session is, and what it says of itself.

use std::ops::RangeInclusive;

use khlong_crdt::id::RelayKey;

use crate::limits::{
    AGENT_BYTES_MAX, KEEP_ALIVE_MS_DEFAULT, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN,
    TOKEN_BYTES_MAX,
};
use crate::secret::Secret;

/// The side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Opens the connection, speaks first, appends and subscribes.
    Client {
        /// Whose receipts count: the key that the transport pinned.
        relay: RelayKey,
        /// What lets the client open timelines, where the relay asks for it. At most 64 bytes.
        token: Option<Secret>,
    },
    /// Stores and forwards.
    Server,
}

/// What both sides configure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Name and version of the program; cut at 64 bytes.
    pub agent: String,
    /// Default 30,000 ms. After so long a silence this side pings; the smaller of both sides counts.
    pub keep_alive_ms: u32,
    /// Versions that may be spoken. Only a test has another than the default.
    pub versions: RangeInclusive<u16>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            agent: concat!("khlong/", env!("CARGO_PKG_VERSION")).to_owned(),
            keep_alive_ms: KEEP_ALIVE_MS_DEFAULT,
            versions: PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION_MAX,
        }
    }
}

impl SessionConfig {
    pub(super) fn agent(&self) -> String {
        let printable = self.agent.chars().filter(|c| !c.is_control());
        let mut agent = String::new();
        for c in printable {
            if agent.len() + c.len_utf8() > AGENT_BYTES_MAX {
                break;
            }
            agent.push(c);
        }
        agent
    }
}

/// A token that is too long is no token of any relay: it is not sent.
pub(super) fn sendable_token(token: Option<&Secret>) -> Option<Secret> {
    token
        .filter(|token| token.expose().len() <= TOKEN_BYTES_MAX)
        .cloned()
}
