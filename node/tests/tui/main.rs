//! The full-screen client without a terminal: keys go in, cells come out.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod compose;
mod desk;
mod history;
mod hostile;
mod panes;
mod text;
