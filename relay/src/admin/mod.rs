//! What an operator sees: metrics and health, over HTTP on a private address.
//!
//! `/livez`: the process answers. `/startupz`: the folder was opened once.
//! `/readyz`: the hub takes appends now; the body says what is wrong. `/metrics`:
//! Prometheus text, prefix `khlong_`, without a label that names anybody. These tell;
//! `POST /checkpoint` does something, so it wants to be shown that it is the operator's.

mod checkpoint;
mod metrics;
mod operator;

use std::sync::Arc;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub(crate) use self::checkpoint::Made;
pub use self::metrics::{Metrics, State};
pub(crate) use self::operator::Operator;
use crate::server::Checkpoints;

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the operators' address shows and does.
#[derive(Clone, Debug)]
pub(crate) struct Surface {
    metrics: Arc<Metrics>,
    checkpoints: Checkpoints,
    operator: Operator,
}

impl Surface {
    pub(crate) fn new(metrics: Arc<Metrics>, checkpoints: Checkpoints, operator: Operator) -> Self {
        Self {
            metrics,
            checkpoints,
            operator,
        }
    }
}

/// Serves until `quitting` ends.
pub(crate) async fn serve(
    listener: TcpListener,
    surface: Surface,
    quitting: oneshot::Receiver<()>,
) {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/startupz", get(startupz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .route(checkpoint::PATH, post(checkpoint::make))
        .with_state(surface);
    let until = async {
        let _ = quitting.await;
    };
    if let Err(error) = axum::serve(listener, router)
        .with_graceful_shutdown(until)
        .await
    {
        tracing::error!(%error, "the operators' address is no longer served");
    }
}

async fn startupz(Shared(Surface { metrics, .. }): Shared<Surface>) -> Response {
    match metrics.state() {
        State::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        State::Ready | State::Rebuilding | State::Stopping => "ok\n".into_response(),
    }
}

async fn readyz(Shared(Surface { metrics, .. }): Shared<Surface>) -> Response {
    let unready = |why| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    match metrics.state() {
        State::Starting => unready("starting\n"),
        State::Rebuilding => unready("a commit failed; the hub is built again from disk\n"),
        State::Stopping => unready("shutting down\n"),
        // Readers are still served, so a balancer must not take the relay out.
        State::Ready if metrics.is_disk_full() => {
            "ok; the disk is full: writes are refused, reads go on\n".into_response()
        }
        State::Ready => "ok\n".into_response(),
    }
}

async fn render(Shared(Surface { metrics, .. }): Shared<Surface>) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
