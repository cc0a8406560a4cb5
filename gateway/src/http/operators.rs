//! What an operator's tools ask, at an address of its own that is kept private: `/metrics`,
//! `/livez`, `/readyz` and `/startupz`. Nobody has to show a key here, and nothing names anybody.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::health;
use super::service::{Service, Shared};

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/startupz", get(health::startupz))
        .with_state(service)
}

async fn metrics(service: Shared) -> Response {
    let handle = &service.handle;
    handle.metrics().set_ready(handle.unready().is_none());
    match handle.metrics().render() {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
