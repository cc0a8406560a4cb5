//! The gateway: the one part of Khlong that holds what needs an authority.
//!
//! [`kernel`] is the one writer, [`domains`] hold what it decides about; [`cli`] is what a person types;
//! [`app`] drives the kernel and serves [`http`] as [`config`] says, and counts in [`metrics`]; [`outbox`] sends what it leaves
//! for the outside, and [`backup`] is what its operator carries away.

pub mod app;
pub mod backup;
pub mod cli;
pub mod config;
pub mod domains;
pub mod http;
pub mod kernel;
pub mod metrics;
mod objects;
pub mod outbound;
pub mod outbox;
