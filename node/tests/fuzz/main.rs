//! Any bytes, at every decoder of this crate: exports of other programs, what is typed, what
//! comes through the socket, and what lies in a node's folder. How long, and with which
//! engine: `crdt/tests/fuzzing`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "../peer/disk.rs"]
mod disk;
mod folder;
#[path = "../../../crdt/tests/fuzzing/mod.rs"]
mod fuzzing;
mod import;
mod query;
mod socket;
