//! Where a driver gets its peer from.

use khlong_crdt::time::Now;

use super::NodeOptions;
use crate::backup::RESTORED_FILE;
use crate::error::NodeError;
use crate::folder;
use crate::peer::Peer;

/// Opens the peer of a node: when it starts, and anew after a failed commit. The
/// one before is gone by then. Runs on the driver's thread and may block.
pub type OpenPeer = Box<dyn FnMut(Now) -> Result<Peer, NodeError> + Send>;

/// Opens the folder of `options`. In one that was restored from a backup it
/// begins new author keys.
pub(super) fn in_folder(options: NodeOptions) -> OpenPeer {
    Box::new(move |now| {
        let passphrase = options.passphrase.clone();
        let mut peer = folder::open(&options.home, passphrase, entropy()?, now)?;
        let marker = options.home.join(RESTORED_FILE);
        if marker.exists() {
            peer.renew_authors(now)?;
            std::fs::remove_file(&marker).map_err(|source| NodeError::Io {
                action: "removing",
                path: marker,
                source,
            })?;
        }
        Ok(peer)
    })
}

/// 32 bytes from the operating system.
pub(crate) fn entropy() -> Result<[u8; 32], NodeError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| NodeError::Keys(format!("the system gives no randomness: {error}")))?;
    Ok(bytes)
}
