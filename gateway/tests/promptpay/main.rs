//! Thai QR, through the library and through the program.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod command;
mod corruption;
mod order;
mod payload;
mod picture;
#[path = "../program/mod.rs"]
mod program;
mod slip;
mod vectors;
