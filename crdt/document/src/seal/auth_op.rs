//! Auth-ops: a clear part for whoever must judge rights without a key, and a sealed
//! part for members. The clear part is authenticated with the sealed one.

use khlong_crdt::admission::{AuthBody, ClearOp};
use khlong_crdt::envelope::{Kind, VerifiedEnvelope};

use super::{OpenError, Parts, SealError, SealRequest, body_of, cipher, content};
use crate::keys::author::AuthorSecret;
use crate::keys::epoch::ControlKey;

/// Seals an auth-op. Without a sealed part the request's epoch is zero.
///
/// # Errors
/// [`SealError`].
pub fn seal_auth_op(
    request: SealRequest,
    ops: &[ClearOp],
    sealed: Option<(&ControlKey, &[u8])>,
    author: &AuthorSecret,
    random: [u8; 32],
) -> Result<VerifiedEnvelope, SealError> {
    request.expect_kind(&[Kind::AuthOp])?;
    request.expect_epoch(sealed.is_some())?;
    let clear = AuthBody::encode_clear(ops).map_err(SealError::Ops)?;
    let prefix = request.into_prefix(author.public())?;
    let aad = [prefix.encode(), clear.clone()].concat();
    let (nonce, body) = match sealed {
        None => ([0; 24], clear),
        Some((key, plaintext)) => {
            let content = content::pack(Parts::of_text(plaintext))?;
            let nonce = author.nonce(&random, &aad, &content);
            let body_key = key.body_key(prefix.timeline, prefix.author);
            let sealed = cipher::encrypt(&body_key, &nonce, &aad, &content);
            (nonce, [clear.as_slice(), &sealed].concat())
        }
    };
    VerifiedEnvelope::sign(prefix, nonce, &body, author.signing_key()).map_err(SealError::Envelope)
}

/// The plaintext of an auth-op's sealed part; none when it has none.
///
/// # Errors
/// [`OpenError`].
pub fn open_auth_op(
    envelope: &VerifiedEnvelope,
    key: &ControlKey,
) -> Result<Option<Vec<u8>>, OpenError> {
    let body = body_of(envelope, Kind::AuthOp)?;
    let parts = AuthBody::decode(body).map_err(OpenError::Ops)?;
    let (clear, sealed) = body
        .split_at_checked(parts.sealed.start)
        .ok_or(OpenError::Length)?;
    if sealed.is_empty() {
        return Ok(None);
    }
    let prefix = envelope.prefix();
    let aad = [prefix.encode().as_slice(), clear].concat();
    let body_key = key.body_key(prefix.timeline, prefix.author);
    let content = cipher::decrypt(&body_key, &envelope.header().nonce, &aad, sealed)?;
    content::unpack(&content).map(Some)
}
