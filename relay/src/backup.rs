//! A relay's log as one folder, to be carried away, and a relay made from it; the folder and
//! its rules are those of [`khlong_store::backup`].
//!
//! The relay's key is not in it. A backup holds what the relay cannot read either, so it may lie
//! where the operator trusts less; whoever has the key can pose as the relay. The key never
//! changes, so one copy, made once and kept elsewhere, serves every backup.
//!
//! Commits that were acknowledged after the backup are not in it. The new epoch tells every
//! client so: its cursors no longer match, it reads anew, and offers again what it wrote.

use std::path::Path;

use khlong_crdt::id::RelayKey;
use khlong_store::backup::{self, Restoring};
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::{LogIdentity, Role};
use serde::{Deserialize, Serialize};

/// What a relay adds to the list of a backup.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Owner {
    /// Public key of the relay, in text form. The secret half is not in a backup.
    pub relay: String,
    /// Whether the relay's key is in it. Version 1 never has it.
    pub includes_key: bool,
}

/// What a backup of a relay holds.
pub type Manifest = backup::Manifest<Owner>;

/// What stands in the way of a backup of a relay, or a restore.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// What may stand in the way of any store's.
    #[error(transparent)]
    Folder(#[from] backup::BackupError),
    /// The configuration has the key of another relay.
    #[error(
        "the backup is of relay {backed_up}, and the configuration has the key of {configured}; put the right key file back, or go on under the other name with --other-key: clients then have to add that relay anew"
    )]
    OtherKey {
        /// Of the backup.
        backed_up: RelayKey,
        /// Of the configuration.
        configured: RelayKey,
    },
}

impl BackupError {
    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Folder(error) => error.exit_code(),
            Self::OtherKey { .. } => 4,
        }
    }
}

/// What to restore, and where.
#[derive(Clone, Debug)]
pub struct Restore<'r> {
    /// The folder of the backup.
    pub backup: &'r Path,
    /// The folder of the store.
    pub folder: &'r Path,
    /// The key that the relay will have.
    pub relay: RelayKey,
    /// Whether that may be another one than it had.
    pub other_key: bool,
    /// Sizes of the store.
    pub sizes: RocksOptions,
    /// Seconds since 1970, see [`Restoring::open`].
    pub epoch: u32,
}

/// Reads every file of a relay's backup, and compares.
///
/// # Errors
/// As [`backup::verify`].
pub fn verify(folder: &Path) -> Result<Manifest, BackupError> {
    Ok(backup::verify(folder, Role::Relay, |_, _: &Manifest| None)?)
}

/// Verifies the backup, then makes the store.
///
/// # Errors
/// [`BackupError`]; the target holds no relay then.
pub fn restore(what: &Restore<'_>) -> Result<(Manifest, LogIdentity), BackupError> {
    backup::refuse_used(what.folder)?;
    let manifest = verify(what.backup)?;
    let backed_up: Option<RelayKey> = manifest.owner.relay.parse().ok();
    if let Some(backed_up) = backed_up
        && backed_up != what.relay
        && !what.other_key
    {
        return Err(BackupError::OtherKey {
            backed_up,
            configured: what.relay,
        });
    }
    let restoring = Restoring::begin(&manifest, what.backup, what.folder, what.epoch)?;
    let (store, identity) = restoring.open(Role::Relay, what.sizes, what.epoch)?;
    drop(store);
    restoring.finish()?;
    Ok((manifest, identity))
}
