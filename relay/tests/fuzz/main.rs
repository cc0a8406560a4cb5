//! Any bytes, wherever a relay takes some: from clients, from its operator, from a backup.
//! How long, and with which engine: `crdt/tests/fuzzing`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod answers;
#[path = "../../../crdt/tests/fuzzing/mod.rs"]
mod fuzzing;
mod hub;
mod operator;
#[path = "../../../crdt/tests/fuzzing/request.rs"]
mod request;
#[path = "../support/mod.rs"]
mod support;
