//! `POST /v1/checkpoint`: a consistent copy of the store beside it, for `backup create`.
//!
//! It takes no path: whatever a request says, files appear at one place only, and there is one
//! copy at most.

use std::path::PathBuf;

use axum::http::HeaderMap;
use axum::response::Response;
use data_encoding::HEXLOWER;
use khlong_store::backup::{forget_checkpoint, take_checkpoint};
use khlong_store::error::StoreError;
use khlong_store::identity::Committed;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::keys::Role;
use super::ledger::answer;
use super::problem::{Problem, ProblemBody, ProblemKind};
use super::service::{Shared, unreadable};

/// Where it is asked for.
pub(crate) const PATH: &str = "/v1/checkpoint";

/// The copy that was made: it holds all that was answered before.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Checkpoint {
    /// The last commit in it.
    commit: u64,
    /// The running hash of the commits up to it, in hexadecimal.
    hash: String,
}

impl Checkpoint {
    /// The last commit in it.
    pub(crate) fn committed(&self) -> Option<Committed> {
        let hash = blake3::Hash::from_hex(&self.hash).ok()?;
        Some(Committed {
            seq: self.commit,
            hash: *hash.as_bytes(),
        })
    }
}

/// What was made, until somebody is told of it.
struct Made {
    folder: PathBuf,
    committed: Option<Result<Committed, StoreError>>,
}

impl Drop for Made {
    fn drop(&mut self) {
        if self.committed.is_some() {
            // Whoever asked is gone, and the links would keep every file of today alive.
            forget_checkpoint(&self.folder);
        }
    }
}

/// Makes a copy of the store beside it, where `khlong-gateway backup create` takes it from.
#[utoipa::path(post, path = PATH, tag = "journal",
    responses((status = 200, description = "The copy", body = Checkpoint),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("admin"))))]
pub(super) async fn checkpoint(service: Shared, headers: HeaderMap) -> Result<Response, Problem> {
    service.admit_as(&headers, Role::Admin)?;
    let folder = service.folder.clone();
    let mut made = service
        .handle
        .read(move |committed| {
            let committed = take_checkpoint(committed.store, &folder);
            match &committed {
                Ok(committed) => tracing::info!(commit = committed.seq, "a checkpoint was made"),
                Err(error) => tracing::warn!(%error, "no checkpoint was made"),
            }
            Made {
                folder,
                committed: Some(committed),
            }
        })
        .await?;
    match made.committed.take() {
        Some(Ok(committed)) => Ok(answer(&Checkpoint {
            commit: committed.seq,
            hash: HEXLOWER.encode(&committed.hash),
        })),
        Some(Err(error)) if error.exit_code() == 7 => Err(Problem::new(
            ProblemKind::DiskFull,
            "there is no room for a checkpoint",
        )),
        Some(Err(error)) => Err(unreadable(&error)),
        None => Err(Problem::new(ProblemKind::Fault, "no checkpoint was made")),
    }
}
