//! `/v1/journal`: what a caller notes to see later that no history was changed.

use axum::http::HeaderMap;
use axum::response::Response;
use data_encoding::HEXLOWER;
use khlong_store::error::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use super::keys::Scheme;
use super::ledger::{answer, moment};
use super::problem::{Problem, ProblemBody};
use super::service::Shared;
use crate::kernel::latest_epoch;

/// The last entry of the journal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JournalHead {
    /// Which journal, in hexadecimal.
    journal: String,
    /// How many entries it has.
    entry: u64,
    /// The hash over all of them, in hexadecimal.
    hash: String,
    /// The time of the last one, RFC 3339.
    time: String,
    /// Since which entry the journal goes on from a backup, or after a loss; absent if it never did.
    /// Entries from it on are others than those that were told of before.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<JournalEpoch>,
}

/// An epoch of the journal, which a restore or an accepted loss began.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JournalEpoch {
    /// Its first entry.
    entry: u64,
    /// Its number: of a restore its time in seconds since 1970, and one more for each loss.
    number: u32,
}

/// The head of the journal.
#[utoipa::path(get, path = "/v1/journal/head", tag = "journal",
    responses((status = 200, description = "The head", body = JournalHead),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(super) async fn head(service: Shared, headers: HeaderMap) -> Result<Response, Problem> {
    service.admit(&headers, Scheme::Bearer)?;
    let told = service
        .read(|committed| {
            let latest = latest_epoch(committed.store)?;
            Ok::<_, StoreError>(JournalHead {
                journal: HEXLOWER.encode(committed.head.id.as_bytes()),
                entry: committed.head.seq.0,
                hash: HEXLOWER.encode(&committed.head.hash),
                time: moment(committed.time),
                epoch: latest.map(|epoch| JournalEpoch {
                    entry: epoch.seq.0,
                    number: epoch.number,
                }),
            })
        })
        .await?;
    Ok(answer(&told))
}
