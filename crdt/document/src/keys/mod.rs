//! Keys: who signs, who can read, and how a key travels.
//!
//! | key | what for | lives |
//! |---|---|---|
//! | [`device`] | this machine | on this machine only |
//! | [`user`] | invites that only one person can open | on all devices of a user |
//! | [`principal`] | one member of one timeline | as long as the membership |
//! | [`author`] | one device of one member: signs envelopes | until the device is copied or restored |
//! | [`inbox`] | epoch keys are wrapped to it | as long as the membership |
//! | [`epoch`] | opens the bodies of one epoch | until the history is erased |
//! | [`invite`] | the way in | until the handover |
//!
//! Every secret is wiped when dropped and never shown by `Debug`. `to_bytes` gives
//! `version 1 ‖ tag ‖ seed 32`, so that a stored secret of one type is never read as
//! another; the caller seals these bytes before they reach a disk.

mod secret;

pub mod author;
pub mod device;
pub mod epoch;
pub mod inbox;
pub mod invite;
pub mod principal;
pub mod sealed_box;
pub mod user;
pub mod wrap;

pub use secret::SecretError;
