//! What every handler stands on: who may ask, bodies within limits, and the way to the driver.

use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use khlong_crdt::time::UnixMillis;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::idempotency;
use super::keys::{ApiKey, Caller, Keys, Role, Scheme};
use super::limits::{BODIES_MAX, BODY_BYTES_MAX, BODY_WITHIN, DETAIL_CHARS_MAX};
use super::page::PageCache;
use super::problem::{Problem, ProblemKind};
use crate::app::{AskError, Clock, Committed, Handle};
use crate::kernel::{Command, Decided};

/// Of a write that was turned away. It may be the retry of one that was not.
const UNDECIDED: &str = "; this attempt was not decided, but an earlier one under this key may have been: keep the key and send it again";

/// Shared by all requests.
pub(crate) struct Service {
    pub(super) handle: Handle,
    pub(super) page: PageCache,
    keys: Keys,
    bodies: Semaphore,
    clock: Clock,
}

/// A write of somebody who may, decoded.
pub(super) struct Write<T> {
    caller: Caller,
    key: Vec<u8>,
    pub(super) body: T,
}

impl<T> Write<T> {
    /// As a command of this caller under this key; `scope` is the route.
    pub(super) fn command(&self, scope: &str, domain: u8, body: Vec<u8>) -> Command {
        Command {
            caller: self.caller.name.clone().into_bytes(),
            scope: scope.as_bytes().to_vec(),
            key: self.key.clone(),
            // The driver says when.
            admitted_at: UnixMillis(0),
            domain,
            body,
        }
    }
}

impl Service {
    pub(crate) fn new(handle: Handle, keys: Vec<ApiKey>, requests_per_minute: u32) -> Self {
        let clock = Clock::start();
        Self {
            handle,
            page: PageCache::default(),
            keys: Keys::new(keys, requests_per_minute, clock.now().monotonic),
            bodies: Semaphore::new(BODIES_MAX),
            clock,
        }
    }

    /// Lets in whoever may read.
    pub(super) fn admit(&self, headers: &HeaderMap, scheme: Scheme) -> Result<Caller, Problem> {
        let now = self.clock.now().monotonic;
        self.keys.admit(headers, scheme, Role::Reader, now)
    }

    /// Lets in whoever may write, with a key and a body of type `T`.
    pub(super) async fn admit_write<T: DeserializeOwned>(
        &self,
        request: Request,
        role: Role,
    ) -> Result<Write<T>, Problem> {
        let headers = request.headers();
        let now = self.clock.now().monotonic;
        let caller = self.keys.admit(headers, Scheme::Bearer, role, now)?;
        let key = idempotency::key(headers)?;
        if !is_json(headers) {
            return Err(Problem::new(
                ProblemKind::NotJson,
                "send `Content-Type: application/json`",
            ));
        }
        // Never closed.
        let _place = self.bodies.acquire().await;
        let bytes = read_body(request).await?;
        let body = serde_json::from_slice(&bytes)
            .map_err(|error| Problem::malformed(format!("the body: {}", cut(&error))))?;
        Ok(Write { caller, key, body })
    }

    pub(super) async fn write(&self, command: Command) -> Result<Decided, Problem> {
        self.handle.write(command).await.map_err(|error| {
            let is_undecided = !matches!(error, AskError::Stopped);
            let mut problem = Problem::from(error);
            if is_undecided && problem.kind.status() == StatusCode::SERVICE_UNAVAILABLE {
                problem.detail += UNDECIDED;
            }
            problem
        })
    }

    /// Runs `job` after the commit of what came before it.
    pub(super) async fn read<T: Send + 'static, E: std::error::Error + Send + 'static>(
        &self,
        job: impl FnOnce(&Committed<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem> {
        self.handle.read(job).await?.map_err(|error| unreadable(&error))
    }
}

/// What is wrong with a body, and where: its words hold at most so much of the body's own.
fn cut(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let short = words.chars().take(DETAIL_CHARS_MAX).collect::<String>();
    if short.len() < words.len() {
        format!(
            "{short}… at line {} column {}",
            error.line(),
            error.column()
        )
    } else {
        short
    }
}

/// A read that failed.
pub(super) fn unreadable(error: &(impl std::error::Error + 'static)) -> Problem {
    let error: &dyn std::error::Error = error;
    tracing::error!(error, "a read failed");
    Problem::new(
        ProblemKind::Fault,
        "the gateway cannot read its books; report it",
    )
}

/// The service, as handlers get it.
pub(super) type Shared = axum::extract::State<Arc<Service>>;

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str())
    else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

async fn read_body(request: Request) -> Result<Bytes, Problem> {
    let reading = to_bytes(request.into_body(), BODY_BYTES_MAX);
    match tokio::time::timeout(BODY_WITHIN, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // Or the connection broke, and nobody reads the answer.
        Ok(Err(_)) => Err(Problem::new(
            ProblemKind::BodyTooLarge,
            format!("a body has at most {BODY_BYTES_MAX} bytes; send it in parts"),
        )),
        Err(_) => Err(Problem::new(
            ProblemKind::BodyTooSlow,
            "send it within 30 s",
        )),
    }
}
