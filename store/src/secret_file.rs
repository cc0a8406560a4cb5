//! Files of secrets, which are read only if they are their owner's alone.
//!
//! Whoever reads such a file can pose as its owner, and whoever owns it can exchange it. So one that
//! is open, or somebody else's, is refused as `ssh` refuses its keys. A file of root's may be read by
//! a group, as a packaged service lends it.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

#[cfg(unix)]
use crate::folder::{ROOT, own_user};

/// The most that is read of a file of a secret.
pub const SECRET_FILE_BYTES_MAX: u64 = 4_096;

/// Why a file of a secret is not taken. None shows what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It is not its owner's alone, so it may have been copied already.
    #[error("{path} is open to group or others (mode {mode:04o}); run `chmod 600 {path}`", path = path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else, who can read and exchange it.
    #[error("{path} belongs to user {owner}; give it to the user that reads it: `chown`", path = path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Number of its owner.
        owner: u32,
    },
    /// It is longer than any secret.
    #[error("{path} has more than {SECRET_FILE_BYTES_MAX} bytes, which no secret has", path = path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// It is a folder, a pipe or a device: reading might never end.
    #[error("{path} is no file", path = path.display())]
    NoFile {
        /// Which.
        path: PathBuf,
    },
    /// It is no text (UTF-8), as secrets are.
    #[error("{path} holds no text, so no secret", path = path.display())]
    NoText {
        /// Which file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("{path} cannot be read; check the path and its rights", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl SecretFileError {
    /// Whether it was refused for whom it is open to, or belongs to.
    #[must_use]
    pub fn is_untrusted(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Foreign { .. } => true,
            Self::TooLong { .. }
            | Self::NoFile { .. }
            | Self::NoText { .. }
            | Self::Unreadable { .. } => false,
        }
    }
}

/// The text of the file `path` without the end of its line. Of a link, what it leads to is looked at.
///
/// # Errors
/// [`SecretFileError`].
pub fn read_secret_file(path: &Path) -> Result<String, SecretFileError> {
    let mut bytes = Vec::new();
    open(path)?
        .take(SECRET_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable(path))?;
    let path = path.to_path_buf();
    if bytes.len() as u64 > SECRET_FILE_BYTES_MAX {
        return Err(SecretFileError::TooLong { path });
    }
    let mut text = String::from_utf8(bytes).map_err(|_| SecretFileError::NoText { path })?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

/// A file that may not be opened is as foreign as one that may: whose it is is seen from outside.
fn open(path: &Path) -> Result<File, SecretFileError> {
    // Looked at before it is opened: to open a pipe waits for whoever writes to it.
    check(path, &path.metadata().map_err(unreadable(path))?)?;
    let file = File::open(path).map_err(unreadable(path))?;
    check(path, &file.metadata().map_err(unreadable(path))?)?;
    Ok(file)
}

fn check(path: &Path, metadata: &Metadata) -> Result<(), SecretFileError> {
    if !metadata.is_file() {
        let path = path.to_path_buf();
        return Err(SecretFileError::NoFile { path });
    }
    check_rights(path, metadata)
}

#[cfg(unix)]
fn check_rights(path: &Path, metadata: &Metadata) -> Result<(), SecretFileError> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let (mode, owner) = (metadata.permissions().mode() & 0o777, metadata.uid());
    let path = path.to_path_buf();
    let own = own_user();
    let is_lent = owner == ROOT && own.is_some_and(|own| own != ROOT);
    let refused = if is_lent { 0o037 } else { 0o077 };
    if mode & refused != 0 {
        return Err(SecretFileError::Open { path, mode });
    }
    // Root works for the users of this machine.
    let is_foreign = |own| own != ROOT && owner != own && owner != ROOT;
    if own.is_some_and(is_foreign) {
        return Err(SecretFileError::Foreign { path, owner });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_rights(_path: &Path, _metadata: &Metadata) -> Result<(), SecretFileError> {
    Ok(())
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> SecretFileError {
    let path = path.to_path_buf();
    move |source| SecretFileError::Unreadable { path, source }
}
