//! A store as one folder, to be carried away, and a store made from it.
//!
//! ```text
//! <backup>/MANIFEST.json     whose it is, up to which commit, and every other file with its checksum
//! <backup>/MANIFEST.blake3   the checksum of MANIFEST.json, as `b3sum` writes it
//! <backup>/store/COMMITTED   the side file
//! <backup>/store/db/…        a checkpoint of the database, made between two commits
//! ```
//!
//! It grows under another name, `<backup>.partial`, and gets its own in the last step, after
//! every byte of it is on the disk: what has the name is whole. `KEYSPACE.md`, "Backups", is the
//! specification. What the owner adds (a relay its key, a gateway its journal's head) is its own
//! to say and to check.

mod create;
mod error;
mod files;
mod manifest;
mod restore;
mod verify;

pub use self::create::{Draft, Origin, Staging, forget_checkpoint, refuse_inside, take_checkpoint};
pub use self::error::{BackupError, Damage};
pub use self::manifest::{FileEntry, MANIFEST_FILE, MANIFEST_SUM_FILE, MANIFEST_VERSION, Manifest};
pub use self::restore::{Restoring, refuse_used};
pub use self::verify::verify;

/// The folder of the store inside a backup.
pub const STORE_FOLDER: &str = "store";
