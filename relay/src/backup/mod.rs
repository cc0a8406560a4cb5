//! A relay's log as one folder, to be carried away, and a relay made from it.
//!
//! ```text
//! <backup>/MANIFEST.json     which log, up to which commit, and every other file with its checksum
//! <backup>/MANIFEST.blake3   the checksum of MANIFEST.json, as `b3sum` writes it
//! <backup>/store/COMMITTED   the side file
//! <backup>/store/db/…        a checkpoint of the database, made between two commits
//! ```
//!
//! It grows under another name, `<backup>.partial`, and gets its own in the last step, after
//! every byte of it is on the disk: what has the name is whole. `store/KEYSPACE.md`,
//! "Backups", is the specification.
//!
//! The relay's key is not in it. A backup holds what the relay cannot read either, so it may lie
//! where the operator trusts less; whoever has the key can pose as the relay. The key never
//! changes, so one copy, made once and kept elsewhere, serves every backup.

mod create;
mod error;
mod files;
mod manifest;
mod restore;
mod verify;

pub use self::create::{Draft, Origin, Staging, forget_checkpoint, take_checkpoint};
pub use self::error::{BackupError, Damage};
pub use self::manifest::{FileEntry, MANIFEST_FILE, MANIFEST_SUM_FILE, MANIFEST_VERSION, Manifest};
pub use self::restore::{Restore, restore};
pub use self::verify::verify;

/// The folder of the store inside a backup.
pub const STORE_FOLDER: &str = "store";
