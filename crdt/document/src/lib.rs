//! Keys, sealing, membership and Automerge timelines: everything that a relay must
//! not know.
//!
//! A relay depends on `khlong-crdt` alone, so no type of this crate can be reached
//! from it. Time and randomness are arguments here as well: the same code runs in a
//! node, in the simulator and in a browser. The one part that touches an operating
//! system, [`secret_store::FileStore`], is left out of wasm builds.
//!
//! The byte-exact specification is `crdt/document/DOCUMENT.md`.

mod context;
pub mod keys;
pub mod membership;
pub mod seal;
pub mod secret_store;
pub mod text;
pub mod timeline;
mod varint;
