//! Named limits of envelopes and admission, with the arithmetic that ties them.

/// Media roots that one envelope may cite.
pub const REFS_MAX: usize = 8;
/// Prefix without refs.
pub const PREFIX_BYTES_MIN: usize = 140;
/// Prefix with all refs.
pub const PREFIX_BYTES_MAX: usize = PREFIX_BYTES_MIN + 32 * REFS_MAX;
/// What the header adds to the prefix: nonce, body length, body hash.
pub const HEADER_TAIL_BYTES: usize = 24 + 4 + 32;
/// Header without refs.
pub const HEADER_BYTES_MIN: usize = PREFIX_BYTES_MIN + HEADER_TAIL_BYTES;
/// Header with all refs.
pub const HEADER_BYTES_MAX: usize = PREFIX_BYTES_MAX + HEADER_TAIL_BYTES;
/// An Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;
/// Body of every kind but a fragment. Default 256 KiB: a day of offline messages.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Body of a fragment. Default 1 MiB: a page.
pub const FRAGMENT_BODY_BYTES_MAX: usize = 1024 * 1024;
/// The longest envelope of any kind.
pub const ENVELOPE_BYTES_MAX: usize = HEADER_BYTES_MAX + SIGNATURE_BYTES + FRAGMENT_BODY_BYTES_MAX;

const _: () = assert!(HEADER_BYTES_MIN == 200);
const _: () = assert!(HEADER_BYTES_MAX == 456);
const _: () = assert!(BODY_BYTES_MAX <= FRAGMENT_BODY_BYTES_MAX);
const _: () = assert!(FRAGMENT_BODY_BYTES_MAX <= u32::MAX as usize);

/// Clear operations in one auth-op.
pub const OPS_PER_ENVELOPE_MAX: usize = 32;
/// Authors that a revocation may name. Equal to the authors of a principal, so
/// that one revocation can keep the past of all of them.
pub const CUTS_MAX: usize = 16;
/// Principals known to one timeline, the revoked included: they never leave.
/// Default 4,096: a large channel of writers; readers of a public one need none.
pub const PRINCIPALS_MAX: usize = 4096;
/// Author keys of one principal: devices, and folders restored from a copy.
pub const AUTHORS_PER_PRINCIPAL_MAX: usize = 16;
/// Grants of one principal that count together.
pub const GRANTS_PER_PRINCIPAL_MAX: usize = 8;
/// Grants and revocations of one timeline. Default: four for each principal.
pub const ADMISSION_OPS_MAX: usize = 4 * PRINCIPALS_MAX;

const _: () = assert!(ADMISSION_OPS_MAX >= 2 * PRINCIPALS_MAX);
const _: () = assert!(CUTS_MAX == AUTHORS_PER_PRINCIPAL_MAX);
/// A revocation with all cuts, its principal, count, tag and length.
const REVOKE_BYTES_MAX: usize = 3 + 32 + 1 + CUTS_MAX * (32 + 8 + 32);
/// An auth-op full of the longest operations fits a body and leaves room for the sealed part.
const _: () = assert!(4 + 2 + OPS_PER_ENVELOPE_MAX * REVOKE_BYTES_MAX <= BODY_BYTES_MAX / 4);
const _: () = assert!(REVOKE_BYTES_MAX <= u16::MAX as usize);
