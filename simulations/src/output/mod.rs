//! What a study leaves behind: a folder that explains itself.
//!
//! | file | what |
//! |---|---|
//! | `manifest.json` | what was run, so that it can be run again: scenario, overrides, seed, commit, trace hashes, files |
//! | `summary.txt` | the terms of the ONE's `MessageStatsReport`, mean, n and 95 % interval |
//! | `messages.csv`, `messages.parquet` | one row a message and reader, of all replications |
//! | `events.csv`, `events.parquet` | what happened, of the first replication |
//! | `occupancy.csv` | buffers over time, of all replications |
//! | `digests.json` | what the report draws: [`digest::Digest`] of each run |
//! | `story.json` | positions and journeys of the first replication: [`story::Story`] |
//! | `report.html` | to look at |
//! | `inputs/` | traces and timetables that the scenario read |
//!
//! The folder is made under a temporary name and renamed when it is whole, so a
//! folder with the right name is never half a result. Nothing is overwritten.

pub mod digest;
pub mod folder;
pub mod manifest;
pub mod story;
pub mod summary;
pub mod table;

/// Version of everything in a run folder.
pub const SCHEMA_VERSION: u64 = 1;
