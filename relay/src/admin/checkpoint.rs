//! `POST /checkpoint`: a consistent copy of the store beside it, for `backup create`.
//!
//! It takes no path: whatever a request says, files appear at one place only, and there is
//! one copy at most.

use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use khlong_store::identity::Committed;
use serde::{Deserialize, Serialize};

use super::Surface;

pub(crate) const PATH: &str = "/checkpoint";

/// The answer of a relay that made one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Made {
    schema_version: u32,
    seq: u64,
    hash: String,
}

impl Made {
    pub(crate) const PATH: &'static str = PATH;

    /// The last commit in it.
    pub(crate) fn committed(&self) -> Option<Committed> {
        let hash = blake3::Hash::from_hex(&self.hash).ok()?;
        Some(Committed {
            seq: self.seq,
            hash: *hash.as_bytes(),
        })
    }
}

impl From<Committed> for Made {
    fn from(committed: Committed) -> Self {
        Self {
            schema_version: 1,
            seq: committed.seq,
            hash: blake3::Hash::from_bytes(committed.hash)
                .to_hex()
                .to_string(),
        }
    }
}

pub(super) async fn make(Shared(surface): Shared<Surface>, headers: HeaderMap) -> Response {
    let shown = headers.get(header::AUTHORIZATION);
    if !shown.is_some_and(|shown| surface.operator.is_shown_by(shown.as_bytes())) {
        return (StatusCode::UNAUTHORIZED, "only this relay's operator may\n").into_response();
    }
    match surface.checkpoints.take().await {
        Some(Ok(committed)) => match serde_json::to_string(&Made::from(committed)) {
            Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
        Some(Err(error)) if error.exit_code() == 7 => {
            (StatusCode::INSUFFICIENT_STORAGE, error.to_string()).into_response()
        }
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the hub stops, or is built again from disk; try again",
        )
            .into_response(),
    }
}
