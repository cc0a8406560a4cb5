//! The file `HOME/daemon.sock`.
//!
//! Who holds the folder's lock owns the socket: a file that is found while
//! holding the lock was left by a process that was killed, and is replaced.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::error::NodeError;

const NAME: &str = "daemon.sock";
/// Made under this name and moved, so that the socket is never there with wider permissions.
const NAME_NEW: &str = "daemon.sock.new";

/// Longest path of a Unix socket on Linux is 107 bytes and a NUL (unix(7)); 103 on other systems.
pub const SOCKET_PATH_BYTES_MAX: usize = 103;

/// Where the socket of the folder is.
#[must_use]
pub fn path(home: &Path) -> PathBuf {
    home.join(NAME)
}

/// Listens. Only for who holds the folder's lock.
///
/// # Errors
/// [`NodeError::Io`]; a folder whose path is too long for a socket is told so.
pub fn bind(home: &Path) -> Result<UnixListener, NodeError> {
    let fresh = home.join(NAME_NEW);
    let failed = |source| NodeError::Io {
        action: "could not make the socket",
        path: path(home),
        source,
    };
    if fresh.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        let limit = format!(
            "the path is longer than {SOCKET_PATH_BYTES_MAX} bytes; choose a shorter --home"
        );
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, limit)));
    }
    remove(&fresh).map_err(failed)?;
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o600)).map_err(failed)?;
    fs::rename(&fresh, path(home)).map_err(failed)?;
    Ok(listener)
}

/// Removes the socket when the daemon stops.
pub fn unbind(home: &Path) {
    if let Err(error) = remove(&path(home)) {
        tracing::warn!(%error, "the socket could not be removed; the next daemon replaces it");
    }
}

/// The daemon of the folder, if one answers. A socket without one behind it is none.
///
/// # Errors
/// [`NodeError::Io`] when there is one and this user may not talk to it.
pub async fn connect(home: &Path) -> Result<Option<UnixStream>, NodeError> {
    let path = path(home);
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Ok(None); // `bind` refuses such a path, so there is no daemon
    }
    match UnixStream::connect(&path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(source) => Err(NodeError::Io {
            action: "could not talk to the daemon at",
            path,
            source,
        }),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
