//! QUIC: client to relay (`sync/PROTOCOL.md`, part "QUIC").
//!
//! * ALPN [`ALPN`]; TLS 1.3 only; no 0-RTT and no resumption in version 1.
//! * The server shows a self-signed Ed25519 certificate made from its relay
//!   key; the client knows that key from the relay's address and accepts no
//!   other. Names, dates and authorities play no part.
//! * The client opens one bidirectional stream: the control lane. Each side
//!   opens at most one unidirectional stream per class; its first byte is the
//!   class. Ephemeral frames are datagrams, dropped when there is no room.
//! * Both sides take [`EXPORTER_LABEL`] from TLS as the channel binding of
//!   proofs.
//!
//! No task outlives its handle: dropping a [`link::Link`] ends its tasks and
//! its connection, dropping a [`listener::Listener`] ends the handshakes that
//! it has begun.

pub mod config;
pub mod dialer;
pub mod error;
pub mod identity;
pub mod lane;
pub mod limits;
pub mod link;
pub mod listener;
mod reader;
pub mod reset;
pub mod seats;
mod verifier;
mod writer;

/// The application protocol that both sides must name in the handshake.
pub const ALPN: &[u8] = b"khlong/1";

/// The label of `export_keying_material`; the context is empty.
pub const EXPORTER_LABEL: &[u8] = b"khlong exporter v1";

/// The server name that a client sends. Relays are known by key, so every
/// relay has the same name and an observer learns nothing from it.
pub(crate) const SERVER_NAME: &str = "khlong.invalid";
