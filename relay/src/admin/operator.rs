//! Who may ask a running relay to do something: whoever can read its key.

use ed25519_dalek::SigningKey;

const CONTEXT: &str = "khlong.network 2026-11 relay operator token v1";

/// A token that the relay's key gives. Whoever has that key is the relay anyway; from the
/// token nobody gets the key.
#[derive(Clone)]
pub(crate) struct Operator(blake3::Hash);

impl Operator {
    pub(crate) fn of(key: &SigningKey) -> Self {
        Self(blake3::Hash::from_bytes(blake3::derive_key(
            CONTEXT,
            key.as_bytes(),
        )))
    }

    /// The value of the header `Authorization`.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0.to_hex())
    }

    /// Whether the header is that of this operator, in constant time.
    pub(crate) fn is_shown_by(&self, header: &[u8]) -> bool {
        let shown = header
            .strip_prefix(b"Bearer ")
            .and_then(|digits| blake3::Hash::from_hex(digits).ok());
        shown.is_some_and(|shown| shown == self.0)
    }
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Operator(…)")
    }
}
