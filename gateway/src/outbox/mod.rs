//! Carries out what commands left for the outside world, and brings back what came of it.
//!
//! A notice of the outbox goes to every target that subscribes to its topic, by HTTP POST, under a
//! key that never changes: at least once, so that whoever receives it drops what it knows. Its
//! outcome is a command, so a replay knows it and sends nothing, and a crash between sending and
//! the outcome only sends again.
//!
//! [`schedule`] decides what is due when, without a clock or a socket; `worker` is the task that
//! sends. Of several gateways on one journal only one does ([`crate::kernel::Holder`]).

pub mod limits;
mod message;
pub mod schedule;
mod worker;

use std::collections::BTreeSet;

use axum::http::Uri;

pub use self::message::{Secret, delivery_id, payload, signature};
pub(crate) use self::worker::Worker;
use crate::outbound::Client;

/// Where notices go.
#[derive(Debug, Clone)]
pub struct Target {
    /// Names it for people.
    pub name: String,
    /// Its address.
    pub url: Uri,
    /// What it wants to hear of.
    pub topics: BTreeSet<String>,
    /// What signs for it.
    pub secret: Secret,
    /// With the certificates that it is believed by.
    pub client: Client,
}

/// What the worker is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where notices go; a notice that no target wants is reported as wanted by nobody.
    pub targets: Vec<Target>,
    /// How long it waits for what.
    pub policy: schedule::Policy,
}
