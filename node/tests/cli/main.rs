//! The program `khlong` as people and scripts use it: real processes, real folders, a real relay.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod backup;
mod chats;
mod daemon;
mod delivery;
mod doctor;
mod doctor_clock;
mod doctor_several;
mod formats;
mod imports;
mod joining;
mod node;
mod offline;
mod options;
mod patience;
mod pipes;
mod pty;
mod quiet;
mod refusals;
mod relay;
mod relay_backup;
mod search;
mod search_room;
mod served;
mod settings;
mod setup;
mod telegram;
mod terminal;
mod two_relays;
mod walk;
