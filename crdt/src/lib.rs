//! Ids, sealed envelopes and admission: everything that a relay may know.
//!
//! A relay stores and forwards envelopes that it cannot open. This crate holds what
//! it needs for that, and nothing more: the byte layout and the strict
//! verification of an envelope, the clear list of who may append or read, the
//! place in a log (cursor), and the receipt that a relay signs. There is no key
//! of a timeline here, no clock, no randomness and no I/O; times are arguments.
//!
//! The byte-exact specification is `crdt/ENVELOPE.md`; frozen vectors lie in
//! `crdt/testdata`.

pub mod address;
pub mod admission;
pub mod class;
pub mod context;
pub mod envelope;
pub mod id;
pub mod limits;
pub mod merkle;
pub mod reader;
pub mod receipt;
pub mod redacted;
pub mod signature;
pub mod text;
pub mod time;
