//! A node that stays: it owns the folder and answers on a socket in it.
//!
//! The socket `HOME/daemon.sock` belongs to the user alone (0600). One JSON line
//! asks, one JSON line answers, in order; `{"do":"events"}` turns a connection
//! into a stream of events. Lines are bounded in both directions. While a line is
//! being made, spaces before it say that the daemon lives ([`line::ALIVE`]): who
//! hears nothing for longer than a few of them need not wait for ever.

pub mod client;
mod connection;
pub mod line;
pub mod socket;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::error::NodeError;
use crate::node::Node;
use crate::search::keep_up;

/// Programs that may talk to one daemon at a time; more wait.
pub const DAEMON_CONNECTIONS_MAX: usize = 64;

/// How long connections may finish their answer when the daemon stops.
const FINISH_MAX: Duration = Duration::from_secs(2);

/// Answers on the socket until `shutdown` resolves or the node stops by itself.
/// The socket is gone afterwards; the node is stopped.
///
/// # Errors
/// When the socket cannot be made, or the node gave up.
pub async fn serve(
    node: Node,
    home: &Path,
    shutdown: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let listener = socket::bind(home)?;
    tracing::info!(socket = %socket::path(home).display(), "the daemon runs");
    let permits = Arc::new(Semaphore::new(DAEMON_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let indexing = tokio::spawn(keep_up(node.clone()));
    let mut shutdown = std::pin::pin!(shutdown);
    let gave_up = loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = &mut shutdown => break false,
            () = node.stopped() => break true,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let node = node.clone();
                connections.spawn(async move {
                    connection::serve(node, stream).await;
                    drop(permit);
                });
            }
            // Out of file descriptors, as a rule: later there may be some.
            Err(error) => {
                tracing::warn!(%error, "a connection to the socket could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    socket::unbind(home);
    drop(listener);
    indexing.abort();
    node.stop().await;
    let finished = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FINISH_MAX, finished).await;
    if gave_up {
        Err(NodeError::DaemonGone)
    } else {
        Ok(())
    }
}

type Accepted = (tokio::net::UnixStream, tokio::sync::OwnedSemaphorePermit);

async fn accept(
    listener: &tokio::net::UnixListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<Accepted> {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}
