//! What a target gets: a body that never changes, its key, and a signature (Standard Webhooks,
//! standardwebhooks.com, symmetric signatures); and what its answer means.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use khlong_crdt::time::UnixMillis;
use khlong_store::journal::JournalId;

use super::Target;
use super::schedule::{Heard, Key};
use crate::kernel::Notice;

const ID_CONTEXT: &str = "khlong.network 2026-11 gateway outbox key v1";

/// Before a secret, so that people see what it is.
const SECRET_PREFIX: &str = "whsec_";

/// Bytes of a secret, as the specification has them.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What signs for one target.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl Secret {
    /// From its text: `whsec_`, then 24 to 64 bytes in Base64. `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64
            .decode(text.strip_prefix(SECRET_PREFIX)?.as_bytes())
            .ok()?;
        SECRET_BYTES
            .contains(&bytes.len())
            .then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The key of a notice, the same at every attempt and for every target: a hash over the journal
/// up to its command. A journal that was restored and goes on otherwise has other keys under the
/// same numbers, so that nobody takes a new notice for a known one.
#[must_use]
pub fn delivery_id(journal: JournalId, hash: &[u8; 32], key: Key) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(ID_CONTEXT);
    hasher
        .update(journal.as_bytes())
        .update(hash)
        .update(&key.0.0.to_be_bytes())
        .update(&key.1.to_be_bytes());
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    format!("msg_{}", HEXLOWER.encode(&id))
}

/// `{"type":…,"timestamp":…,"data":…}`; the time is that of the command, RFC 3339 in UTC.
#[must_use]
pub fn payload(notice: &Notice, left_at: UnixMillis) -> Vec<u8> {
    let at = Timestamp::from_millisecond(left_at.0).unwrap_or_default();
    // A topic has no character that JSON escapes.
    format!(
        r#"{{"type":"{}","timestamp":"{at}","data":{}}}"#,
        notice.topic, notice.data
    )
    .into_bytes()
}

/// `v1,` and HMAC-SHA-256 in Base64 over `id.timestamp.body`.
#[must_use]
pub fn signature(secret: &Secret, id: &str, seconds: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&secret.0);
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    format!("v1,{}", BASE64.encode(context.sign().as_ref()))
}

/// One notice with all that it is sent with.
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) body: Vec<u8>,
    pub(super) topic: String,
}

impl Letter {
    /// Sends it once, at `seconds` since 1970, and says what came of it.
    pub(super) async fn deliver(
        self,
        target: &Target,
        attempt: u32,
        seconds: i64,
        within: Duration,
    ) -> Heard {
        let Self { id, body, topic } = self;
        let Some(headers) = headers(target, &id, seconds, &body) else {
            return Heard::Refused { pause: None };
        };
        let name = &target.name;
        match target.client.post(&target.url, headers, body, within).await {
            Ok(answer) if answer.status.is_success() => {
                tracing::info!(to = name, topic, id, attempt, "a notice was delivered");
                Heard::Taken
            }
            Ok(answer) => {
                let status = answer.status.as_u16();
                tracing::warn!(
                    to = name,
                    topic,
                    id,
                    attempt,
                    status,
                    "a notice was refused"
                );
                Heard::Refused {
                    pause: pause(&answer.headers),
                }
            }
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(
                    to = name,
                    topic,
                    id,
                    attempt,
                    error,
                    "a notice got no answer"
                );
                Heard::Refused { pause: None }
            }
        }
    }
}

fn headers(target: &Target, id: &str, seconds: i64, body: &[u8]) -> Option<HeaderMap> {
    let signed = signature(&target.secret, id, seconds, body);
    let pairs = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (
            HeaderName::from_static("idempotency-key"),
            format!("\"{id}\""),
        ),
        (HeaderName::from_static("webhook-id"), id.to_owned()),
        (
            HeaderName::from_static("webhook-timestamp"),
            seconds.to_string(),
        ),
        (HeaderName::from_static("webhook-signature"), signed),
    ];
    let value = |(name, text): (HeaderName, String)| {
        let value = HeaderValue::from_str(&text).ok()?;
        Some((name, value))
    };
    pairs.into_iter().map(value).collect()
}

/// `Retry-After` in seconds; a date is not read.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
