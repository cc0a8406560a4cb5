//! Health checks, for anybody: they tell nothing about the books.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::service::Shared;
use crate::app::State;

/// Whether the process answers.
#[utoipa::path(get, path = "/livez", tag = "health",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Whether the journal was read once.
#[utoipa::path(get, path = "/startupz", tag = "health", responses(
    (status = 200, description = "It was", body = String, content_type = "text/plain"),
    (status = 503, description = "Not yet", body = String, content_type = "text/plain")))]
pub(super) async fn startupz(service: Shared) -> Response {
    match service.handle.state() {
        State::Starting => unready("starting\n".to_owned()),
        State::Ready | State::Stopping => "ok\n".into_response(),
    }
}

/// Whether requests are decided now.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "They are", body = String, content_type = "text/plain"),
    (status = 503, description = "They are not; the body says why", body = String, content_type = "text/plain")))]
pub(super) async fn readyz(service: Shared) -> Response {
    match service.handle.unready() {
        Some(why) => unready(format!("{why}\n")),
        None => "ok\n".into_response(),
    }
}

fn unready(why: String) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}
