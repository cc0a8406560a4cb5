//! What every handler stands on: who may ask, bodies within limits, and the way to the driver.

use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use khlong_crdt::time::UnixMillis;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::bodies::Held;
use super::idempotency;
use super::keys::{ApiKey, Caller, Keys, Role, Scheme};
use super::limits::{BODY_BYTES_MAX, COMPARISONS_MAX, DETAIL_CHARS_MAX};
use super::page::PageCache;
use super::problem::{Problem, ProblemKind};
use crate::app::{AskError, Clock, Committed, Handle};
use crate::kernel::{Command, Decided};
use crate::objects::Object;

/// Of a write that was turned away. It may be the retry of one that was not.
const UNDECIDED: &str = "; this attempt was not decided, but an earlier one under this key may have been: keep the key and send it again";

/// Shared by all requests.
pub(crate) struct Service {
    pub(super) handle: Handle,
    pub(super) page: PageCache,
    /// Places of comparisons with a bank's file.
    pub(super) comparisons: Semaphore,
    /// The gateway's own.
    pub(super) folder: PathBuf,
    keys: Keys,
    /// How long a body may take.
    body_within: Duration,
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
    pub(crate) fn new(
        handle: Handle,
        folder: PathBuf,
        keys: Vec<ApiKey>,
        requests_per_minute: u32,
        body_within: Duration,
    ) -> Self {
        let clock = Clock::start();
        Self {
            handle,
            page: PageCache::default(),
            comparisons: Semaphore::new(COMPARISONS_MAX),
            folder,
            keys: Keys::new(keys, requests_per_minute, clock.now().monotonic),
            body_within,
            clock,
        }
    }

    /// Lets in whoever may read.
    pub(super) fn admit(&self, headers: &HeaderMap, scheme: Scheme) -> Result<Caller, Problem> {
        let now = self.clock.now().monotonic;
        self.keys.admit(headers, scheme, Role::Reader, now)
    }

    /// Lets in whoever has that role.
    pub(super) fn admit_as(&self, headers: &HeaderMap, role: Role) -> Result<Caller, Problem> {
        let now = self.clock.now().monotonic;
        self.keys.admit(headers, Scheme::Bearer, role, now)
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
        let mut held = caller.bodies.begin();
        let bytes = read_body(request, &mut held, self.body_within).await?;
        let Object(body) = serde_json::from_slice(&bytes)
            .map_err(|error| Problem::malformed(format!("the body: {}", cut(&error))))?;
        drop(held);
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
        self.handle
            .read(job)
            .await?
            .map_err(|error| unreadable(&error))
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

/// A write for which there is no room now.
pub(super) fn busy(why: &str) -> Problem {
    Problem::new(ProblemKind::Busy, format!("{why}{UNDECIDED}"))
}

/// A read that failed.
pub(super) fn unreadable<E: std::error::Error + 'static>(error: &E) -> Problem {
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

async fn read_body(
    request: Request,
    held: &mut Held<'_>,
    within: Duration,
) -> Result<Vec<u8>, Problem> {
    let reading = collect(request.into_body(), held);
    let in_time = tokio::time::timeout(within, reading).await;
    in_time.unwrap_or_else(|_| {
        let within = within.as_secs();
        Err(Problem::new(
            ProblemKind::BodyTooSlow,
            format!("send it within {within} s"),
        ))
    })
}

async fn collect(mut body: Body, held: &mut Held<'_>) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        // Nobody reads the answer.
        let frame = frame.map_err(|_| Problem::malformed("the body breaks off"))?;
        // Else they are trailers, which nobody asks for.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > BODY_BYTES_MAX {
            return Err(Problem::new(
                ProblemKind::BodyTooLarge,
                format!("a body has at most {BODY_BYTES_MAX} bytes; send it in parts"),
            ));
        }
        if !held.grow(data.len()) {
            return Err(busy("too many bodies are being read"));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}
