//! A gateway's folder at one point of its journal, to be carried away, and a gateway made from
//! it; the folder and its rules are those of [`khlong_store::backup`].
//!
//! Beside the store's own list it names the journal, the entry up to which it goes and the
//! state hash there, which a check computes again from every row.
//!
//! What was acknowledged behind a backup is not in it. A restored gateway says so before it
//! decides anything: its first entry begins an epoch of the journal (`DOMAINS.md`, "Backups").

use std::path::Path;

use data_encoding::HEXLOWER;
use khlong_store::backup::{self, BackupError, Restoring};
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::journal::{self, Head, JournalId};
use khlong_store::peek::Peek;
use serde::{Deserialize, Serialize};

use crate::app::postgres::{Home, home, is_copy};
use crate::domains;
use crate::kernel::{Kernel, KernelError, Logic, check_views, state_hash};

/// What a gateway adds to the list of a backup.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Owner {
    /// The journal's id, hexadecimal.
    pub journal: String,
    /// The last entry in it.
    pub entries: u64,
    /// The journal's hash there, hexadecimal.
    pub head: String,
    /// The hash over every view there, hexadecimal.
    pub state: String,
}

/// What a backup of a gateway holds.
pub type Manifest = backup::Manifest<Owner>;

/// What stands in the way of a restore.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup, or the folder.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The kernel does not open the copy.
    #[error("the restored journal is refused; use another backup")]
    Kernel(#[source] KernelError),
    /// The journal lies elsewhere, and the backup is one of its copies. Going on from it would be a
    /// second history.
    #[error(
        "the journal of this gateway is in a database; a folder beside it is made by `khlong-gateway init FOLDER --config FILE`"
    )]
    Copy,
}

impl RestoreError {
    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Backup(error) => error.exit_code(),
            Self::Kernel(error) => error.exit_code(),
            Self::Copy => 3,
        }
    }
}

/// What is in the store of a backup, once its journal and views were found right.
///
/// # Errors
/// [`BackupError::Unfit`] says what is wrong.
pub fn describe(peek: &Peek) -> Result<Owner, BackupError> {
    match home(peek).map_err(BackupError::Store)? {
        Home::Folder => {}
        Home::Database => {
            return Err(BackupError::Unfit(
                "the journal of this gateway is in a database, and this folder is a copy beside it; back up the database"
                    .to_owned(),
            ));
        }
        Home::Leaving(_) => {
            return Err(BackupError::Unfit(
                "a move of its journal into a database was cut off; end it with `khlong-gateway journal to-database`"
                    .to_owned(),
            ));
        }
        Home::Returning(_) => {
            return Err(BackupError::Unfit(
                "taking its journal back out of a database was cut off; end it with `khlong-gateway journal take-back`"
                    .to_owned(),
            ));
        }
    }
    let owner = (|| {
        let head = journal::verify(peek)?;
        check_views(peek, Some(&head))?;
        Ok::<_, KernelError>(Owner {
            journal: HEXLOWER.encode(head.id.as_bytes()),
            entries: head.seq.0,
            head: HEXLOWER.encode(&head.hash),
            state: HEXLOWER.encode(&state_hash(peek)?),
        })
    })();
    owner.map_err(|error| BackupError::Unfit(error.to_string()))
}

/// Reads every file of a gateway's backup, the journal's chain and every view, and compares.
///
/// # Errors
/// As [`backup::verify`].
pub fn verify(folder: &Path) -> Result<Manifest, BackupError> {
    backup::verify(
        folder,
        Role::Gateway,
        |peek, manifest: &Manifest| match describe(peek) {
            Ok(found) if found == manifest.owner => None,
            Ok(found) => Some(format!(
                "it holds entry {} with state {}, not entry {} with state {} that was backed up",
                found.entries, found.state, manifest.owner.entries, manifest.owner.state
            )),
            Err(error) => Some(error.to_string()),
        },
    )
}

/// Verifies the backup at `backup`, makes a gateway of it in the empty folder `folder`, and
/// begins an epoch of its journal there. `epoch`: seconds since 1970, see [`Restoring::open`].
/// Returns the journal's head after it.
///
/// # Errors
/// [`RestoreError`]; the target holds no gateway then.
pub fn restore(backup: &Path, folder: &Path, epoch: u32) -> Result<(Manifest, Head), RestoreError> {
    backup::refuse_used(folder)?;
    let manifest = verify(backup)?;
    let restoring = Restoring::begin(&manifest, backup, folder, epoch)?;
    let (store, identity) = restoring.open(Role::Gateway, RocksOptions::default(), epoch)?;
    if is_copy(&store).map_err(BackupError::Store)? {
        return Err(RestoreError::Copy);
    }
    // There is a journal: nothing gets this name.
    let unused = JournalId::from_bytes([0; 16]);
    let mut kernel = Kernel::open(store, domains::all(), Logic::CURRENT, unused)
        .map_err(RestoreError::Kernel)?;
    kernel
        .begin_epoch(identity.epoch)
        .map_err(RestoreError::Kernel)?;
    let head = kernel.head();
    drop(kernel);
    restoring.finish()?;
    Ok((manifest, head))
}
