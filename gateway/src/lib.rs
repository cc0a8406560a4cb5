//! The gateway: the one part of Khlong that holds what needs an authority.
//!
//! [`kernel`] is the one writer, [`domains`] hold what it decides about; [`cli`] is what a person types;
//! [`app`] drives the kernel and serves [`http`] as [`config`] says.

pub mod app;
pub mod cli;
pub mod config;
pub mod domains;
pub mod http;
pub mod kernel;
