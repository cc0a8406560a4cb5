//! What two peers say to each other, and nothing about how the bytes travel.
//!
//! [`wire`] turns frames into bytes and back and enforces every limit there;
//! [`session`] is the protocol as a state machine without clock, socket or
//! task; [`replica`] is what a session reads. `PROTOCOL.md` is the
//! specification. Only `transport` (feature `quic`) knows an async runtime.

pub mod limits;
pub mod replica;
pub mod secret;
pub mod session;
#[cfg(feature = "quic")]
pub mod transport;
pub mod wire;
