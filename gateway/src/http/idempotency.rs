//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).
//!
//! Which request a key stands for is the kernel's to say: it is in the journal, and so is the
//! answer. Keys of different callers and routes never meet.

use axum::http::HeaderMap;

use super::problem::{Problem, ProblemKind};
use crate::kernel::NAME_BYTES_MAX;

pub(super) const HEADER: &str = "idempotency-key";

/// The key: a structured-field string (`"…"`, RFC 9651 §3.3.3), or the same without quotes if
/// it has none of the characters that need them. Both stand for one key.
pub(super) fn key(headers: &HeaderMap) -> Result<Vec<u8>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Err(Problem::new(
            ProblemKind::KeyMissing,
            "send the header `Idempotency-Key` with a text of your own, such as a fresh UUID, and send it again with a retry",
        ));
    };
    let key = match values.next() {
        None => value.to_str().ok().and_then(|text| parse(text.trim())),
        Some(_) => None,
    };
    key.filter(|key| (1..=NAME_BYTES_MAX).contains(&key.len()))
        .ok_or_else(|| {
            Problem::new(
                ProblemKind::KeyMalformed,
                "send one key of 1 to 255 printable ASCII characters, in quotes",
            )
        })
}

fn parse(text: &str) -> Option<Vec<u8>> {
    let Some(quoted) = text.strip_prefix('"') else {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\,;()=".contains(&byte);
        return text.bytes().all(plain).then(|| text.as_bytes().to_vec());
    };
    let mut bytes = quoted.strip_suffix('"')?.bytes();
    let mut key = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => key.push(bytes.next().filter(|next| b"\"\\".contains(next))?),
            b'"' => return None,
            b' '..=b'~' => key.push(byte),
            _ => return None,
        }
    }
    Some(key)
}
