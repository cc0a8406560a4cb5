//! The gateway over HTTP: JSON, one journal entry for each batch that is written.
//!
//! A handler admits (who asks, how often, what may they), decodes, and hands the command to
//! the driver; it decides nothing itself. Every write has an idempotency key, and its answer
//! is made from what stands in the journal, so that a retry gets the same bytes also after a
//! restart. `GET /openapi.json` describes the routes, from the same table that serves them.

pub mod bodies;
mod books;
mod checkpoint;
mod connections;
mod health;
mod idempotency;
mod journal;
mod keys;
mod ledger;
pub mod limits;
mod listing;
mod operators;
mod page;
mod problem;
mod query;
pub mod rate;
mod router;
mod service;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub(crate) use self::checkpoint::{Checkpoint, PATH as CHECKPOINT_PATH};
pub use self::keys::{ApiKey, Role};
pub use self::problem::{ProblemKind, TYPE_PREFIX};
pub(crate) use self::service::Service;

use crate::app::limits::ADMIN_CONNECTIONS_MAX;

/// Serves until `quitting` ends, and then answers what is under way.
pub(crate) async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    connections: usize,
    silence_max: Duration,
    quitting: oneshot::Receiver<()>,
) {
    let router = router::router(service);
    connections::serve(listener, router, connections, silence_max, quitting).await;
}

/// Serves metrics and health, until it is dropped.
pub(crate) async fn serve_operators(
    listener: TcpListener,
    service: Arc<Service>,
    silence_max: Duration,
) {
    let router = operators::router(service);
    // It is not told to end: what it says last is that the gateway stops.
    let (_quit, quitting) = oneshot::channel();
    connections::serve(
        listener,
        router,
        ADMIN_CONNECTIONS_MAX,
        silence_max,
        quitting,
    )
    .await;
}
