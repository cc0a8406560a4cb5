//! Errors as RFC 9457 problem details, each with a type that stays.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::limits::RETRY_AFTER_S;
use crate::app::AskError;

/// Before the name of a problem. A tag URI (RFC 4151): it names, and is no address.
pub const TYPE_PREFIX: &str = "tag:khlong.network,2026:problem/";

macro_rules! problems {
    ($($variant:ident $status:ident $name:literal $title:literal,)*) => {
        /// What can go wrong. Names are never used again.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemKind {
            $(#[doc = $title] $variant,)*
        }

        impl ProblemKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The status of the answer.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// The end of its type.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// In words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

problems! {
    MalformedRequest BAD_REQUEST "malformed-request" "The request cannot be read",
    KeyMissing BAD_REQUEST "idempotency-key-missing" "The request has no idempotency key",
    KeyMalformed BAD_REQUEST "idempotency-key-malformed" "The idempotency key cannot be read",
    Unauthenticated UNAUTHORIZED "unauthenticated" "The request names no key that is known",
    Forbidden FORBIDDEN "forbidden" "The key's role does not allow this",
    NotFound NOT_FOUND "not-found" "There is nothing under this address",
    MethodNotAllowed METHOD_NOT_ALLOWED "method-not-allowed" "This address has no such method",
    BodyTooSlow REQUEST_TIMEOUT "body-too-slow" "The body did not come in time",
    KeyUnderWay CONFLICT "idempotency-key-under-way" "A request with this idempotency key is being decided",
    BodyTooLarge PAYLOAD_TOO_LARGE "body-too-large" "The body is too large",
    NotJson UNSUPPORTED_MEDIA_TYPE "not-json" "The body is not said to be JSON",
    KeyReused UNPROCESSABLE_ENTITY "idempotency-key-reused" "The idempotency key stands for another request",
    Rejected UNPROCESSABLE_ENTITY "rejected" "The request was rejected as a whole and changed nothing",
    DayNotClosed CONFLICT "day-not-closed" "A day is not closed yet",
    PayoutRecorded CONFLICT "payout-recorded" "The batch was recorded before",
    PayoutSettled CONFLICT "payout-settled" "A payment of the batch is settled",
    ReconciliationRefused UNPROCESSABLE_ENTITY "reconciliation-refused" "The bank's file cannot be compared",
    PayoutRefused UNPROCESSABLE_ENTITY "payout-refused" "This cannot be paid out",
    ReportRefused UNPROCESSABLE_ENTITY "report-refused" "The bank's report is not taken",
    RateLimited TOO_MANY_REQUESTS "rate-limited" "The key has asked too often",
    Fault INTERNAL_SERVER_ERROR "fault" "The gateway failed",
    Starting SERVICE_UNAVAILABLE "starting" "The gateway starts",
    Busy SERVICE_UNAVAILABLE "busy" "Too many requests wait",
    Stopped SERVICE_UNAVAILABLE "stopped" "The gateway stopped before it could answer",
    DiskFull SERVICE_UNAVAILABLE "disk-full" "The gateway's disk is full",
}

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) kind: ProblemKind,
    /// What to do about it.
    pub(super) detail: String,
    pub(super) retry_after_s: Option<u64>,
    /// What a browser is asked to show.
    pub(super) challenge: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            retry_after_s: (kind.status() == StatusCode::SERVICE_UNAVAILABLE)
                .then_some(RETRY_AFTER_S),
            challenge: None,
        }
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::MalformedRequest, detail)
    }
}

/// As it is sent, with media type `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Problem")]
pub(super) struct ProblemBody {
    /// Which problem; stable. `tag:khlong.network,2026:problem/…`
    r#type: String,
    /// The same in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What it is about this time, and what to do.
    detail: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let body = ProblemBody {
            r#type: format!("{TYPE_PREFIX}{}", self.kind.name()),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: self.detail,
        };
        // Text and a number are always JSON.
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        let kind = match &error {
            AskError::Starting => ProblemKind::Starting,
            AskError::Full => ProblemKind::Busy,
            AskError::UnderWay => ProblemKind::KeyUnderWay,
            AskError::KeyReused { .. } => ProblemKind::KeyReused,
            AskError::Unfit { .. } => ProblemKind::MalformedRequest,
            AskError::DiskFull => ProblemKind::DiskFull,
            AskError::Stopped => ProblemKind::Stopped,
            AskError::ReadFailed => ProblemKind::Fault,
        };
        Self::new(kind, error.to_string())
    }
}
