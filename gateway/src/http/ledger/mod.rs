//! `/v1/ledger`: the ledger's commands and queries as JSON. Names are TigerBeetle's.

pub(super) mod accounts;
pub(super) mod assets;
pub(super) mod lines;
pub(super) mod number;
pub(super) mod transfers;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

pub(super) use self::number::moment;
use super::keys::Role;
use super::problem::{Problem, ProblemKind};
use super::service::Service;
use crate::domains::ledger::{Failures, LEDGER_DOMAIN, LedgerCommand};
use crate::kernel::{Decided, Outcome, Rejection};

/// What came of each item of a batch, in its order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchAnswer {
    /// The journal's entry that decided it.
    entry: u64,
    /// One for each item.
    results: Vec<ItemResult>,
}

/// What came of one item.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ItemResult {
    /// Which, from 0.
    index: usize,
    /// `ok`, or why it did not happen.
    #[schema(value_type = String, example = "ok")]
    result: &'static str,
}

/// A batch of one kind of item.
trait Batch: DeserializeOwned {
    /// Where its idempotency keys hold.
    const SCOPE: &'static str;
    /// Who may send it.
    const ROLE: Role;
    /// The command, and how many items it has.
    fn command(&self) -> (LedgerCommand, usize);
    /// What a client is told to send otherwise.
    fn check(&self) -> Result<(), Problem> {
        Ok(())
    }
    /// The name of a result.
    fn result(code: u8) -> Option<&'static str>;
}

/// Admits, decides, and tells what came of each item.
async fn create<B: Batch>(service: &Service, request: Request) -> Result<Response, Problem> {
    let write = service.admit_write::<B>(request, B::ROLE).await?;
    write.body.check()?;
    let (ledger, items) = write.body.command();
    let command = write.command(B::SCOPE, LEDGER_DOMAIN, ledger.encode());
    drop(write);
    let decided = service.write(command).await?;
    let results = results(&decided, items, B::result)?;
    Ok(answer(&BatchAnswer {
        entry: decided.seq.0,
        results,
    }))
}

fn results(
    decided: &Decided,
    items: usize,
    name: fn(u8) -> Option<&'static str>,
) -> Result<Vec<ItemResult>, Problem> {
    let unknown = || {
        Problem::new(
            ProblemKind::Fault,
            format!(
                "entry {} holds an answer that this version cannot read; use a newer gateway",
                decided.seq.0
            ),
        )
    };
    let payload = match decided.outcome().ok_or_else(unknown)? {
        Outcome::Done(payload) => payload,
        Outcome::Rejected(rejection) => return Err(rejected(rejection)),
    };
    let failures = Failures::decode(&payload).ok_or_else(unknown)?;
    let result = |index| ItemResult {
        index,
        result: "ok",
    };
    let mut results: Vec<ItemResult> = (0..items).map(result).collect();
    for (index, code) in failures.0 {
        let item = results.get_mut(usize::from(index)).ok_or_else(unknown)?;
        item.result = name(code).ok_or_else(unknown)?;
    }
    Ok(results)
}

/// Why a command as a whole was not carried out.
pub(super) fn rejected(rejection: Rejection) -> Problem {
    let kind = match rejection {
        Rejection::Malformed | Rejection::TooLarge => ProblemKind::Rejected,
        Rejection::UnknownDomain
        | Rejection::Invariant
        | Rejection::Panicked
        | Rejection::ForeignTable => ProblemKind::Fault,
    };
    Problem::new(kind, rejection.to_string())
}

/// As JSON, with status 200.
pub(super) fn answer(body: &impl Serialize) -> Response {
    // Types of our own, without maps of odd keys, are always JSON.
    let text = serde_json::to_string(body).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// The part of an address that is an id; it may be no text.
pub(super) type IdPath = Result<Path<String>, PathRejection>;

pub(super) fn id(path: IdPath) -> Result<u128, Problem> {
    path.ok()
        .and_then(|Path(text)| number::parse(&text))
        .ok_or_else(|| Problem::malformed("an id is a whole number in decimal, below 2^128"))
}
