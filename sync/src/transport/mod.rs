//! Transports: they move frames between two sessions and take no decision.
//!
//! A transport decodes and verifies on the task that reads the socket, so that
//! what reaches a core is a domain [`Frame`](crate::wire::frame::Frame) whose
//! every envelope has a valid signature. Only this module names `quinn`.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a driver owns the sockets and the clock that .clippy.toml keeps from the cores"
)]

pub mod quic;
