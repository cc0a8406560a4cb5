//! What a target gets: a body that never changes, its key, and a signature (Standard Webhooks,
//! standardwebhooks.com, symmetric signatures).

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use khlong_crdt::time::UnixMillis;
use khlong_store::journal::JournalId;

use super::schedule::Key;
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
