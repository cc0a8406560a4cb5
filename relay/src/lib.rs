//! The regional relay: it stores and forwards envelopes that it cannot read.
//!
//! [`hub`] is the core: all decisions, no I/O of its own. [`server`] gives it
//! sockets, a thread and a clock; [`admin`] shows an operator how it does;
//! [`config`] and [`command`] are what an operator writes and types; [`backup`] is what they
//! carry away.
//!
//! Relays hold no keys of timelines, so a seized relay leaks metadata, never
//! content: nothing in this crate depends on `khlong-document`.

pub mod admin;
pub mod backup;
pub mod command;
pub mod config;
pub mod hub;
pub mod identity;
pub mod server;
