//! Key-ops: a clear, signed body; what is secret in it is wrapped on its own.

use khlong_crdt::envelope::{Kind, VerifiedEnvelope};

use super::{OpenError, SealError, SealRequest, body_of};
use crate::keys::author::AuthorSecret;
use crate::membership::key_op::KeyOp;

/// Signs a key-op. The request's epoch is zero: its body is under none.
///
/// # Errors
/// [`SealError`].
pub fn seal_key_op(
    request: SealRequest,
    op: &KeyOp,
    author: &AuthorSecret,
) -> Result<VerifiedEnvelope, SealError> {
    request.expect_kind(&[Kind::KeyOp])?;
    request.expect_epoch(false)?;
    let prefix = request.into_prefix(author.public())?;
    VerifiedEnvelope::sign(prefix, [0; 24], &op.encode(), author.signing_key())
        .map_err(SealError::Envelope)
}

/// Reads a key-op and checks that its parts fit each other.
///
/// # Errors
/// [`OpenError`].
pub fn open_key_op(envelope: &VerifiedEnvelope) -> Result<KeyOp, OpenError> {
    let body = body_of(envelope, Kind::KeyOp)?;
    KeyOp::decode(body).map_err(OpenError::KeyOp)
}
