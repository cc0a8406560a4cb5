//! Domain separation: every hash and every signature of the project has its own
//! string, so that bytes made for one purpose never count for another.
//!
//! The table in `crdt/ENVELOPE.md` lists all of them, also those of other crates.

/// Starts a BLAKE3 hash of the context `khlong.network 2026-11 NAME v1`.
#[must_use]
pub fn hasher(context: &'static str) -> blake3::Hasher {
    blake3::Hasher::new_derive_key(context)
}

/// Checksum of a text form; see [`crate::text`].
pub const TEXT_CHECKSUM: &str = "khlong.network 2026-11 text checksum v1";
/// Hash of an envelope's body, which lies in the header.
pub const ENVELOPE_BODY: &str = "khlong.network 2026-11 envelope body v1";
/// Id of an envelope: hash of its header.
pub const ENVELOPE_ID: &str = "khlong.network 2026-11 envelope id v1";
/// Running hash of a class log.
pub const ARRIVAL_CHAIN: &str = "khlong.network 2026-11 arrival chain v1";
/// Leaf of the Merkle tree under a stored receipt.
pub const RECEIPT_LEAF: &str = "khlong.network 2026-11 receipt leaf v1";
/// Inner node of the Merkle tree under a stored receipt.
pub const RECEIPT_NODE: &str = "khlong.network 2026-11 receipt node v1";

/// Signature over an envelope's header.
pub const SIGN_ENVELOPE: &[u8] = b"khlong envelope v1\0";
/// A principal certifies an author key.
pub const SIGN_AUTHOR: &[u8] = b"khlong author v1\0";
/// A principal certifies its inbox key.
pub const SIGN_INBOX: &[u8] = b"khlong inbox v1\0";
/// A one-use principal hands its place to a principal of the joiner's making.
pub const SIGN_HANDOVER: &[u8] = b"khlong handover v1\0";
/// A relay's stored receipt.
pub const SIGN_STORED: &[u8] = b"khlong stored v1\0";
