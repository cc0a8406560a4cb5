//! Notices: "you were removed", sealed to the inbox key of the one removed, who has
//! no epoch key any more.

use khlong_crdt::envelope::{Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::InboxKey;
use rand_core::CryptoRng;

use super::{OpenError, Parts, SealError, SealRequest, body_of, content};
use crate::context;
use crate::keys::author::AuthorSecret;
use crate::keys::inbox::InboxSecret;
use crate::keys::sealed_box;

/// Seals a notice to `inbox`. Nothing in the envelope names the recipient.
///
/// # Errors
/// [`SealError`].
pub fn seal_notice(
    request: SealRequest,
    inbox: InboxKey,
    plaintext: &[u8],
    author: &AuthorSecret,
    rng: &mut dyn CryptoRng,
) -> Result<VerifiedEnvelope, SealError> {
    request.expect_kind(&[Kind::Notice])?;
    request.expect_epoch(false)?;
    let content = content::pack(Parts::of_text(plaintext))?;
    let prefix = request.into_prefix(author.public())?;
    let (encapsulated, ciphertext) = sealed_box::seal(
        inbox.as_bytes(),
        &info(&prefix, inbox),
        &prefix.encode(),
        &content,
        rng,
    )
    .map_err(SealError::Box)?;
    let body = [encapsulated.as_slice(), &ciphertext].concat();
    VerifiedEnvelope::sign(prefix, [0; 24], &body, author.signing_key())
        .map_err(SealError::Envelope)
}

/// Opens a notice; [`OpenError::Authentication`] mostly means that it is for another.
///
/// # Errors
/// [`OpenError`].
pub fn open_notice(envelope: &VerifiedEnvelope, inbox: &InboxSecret) -> Result<Vec<u8>, OpenError> {
    let body = body_of(envelope, Kind::Notice)?;
    let (encapsulated, ciphertext) = body.split_first_chunk().ok_or(OpenError::Length)?;
    let prefix = envelope.prefix();
    let info = info(prefix, inbox.public());
    let content = sealed_box::open(
        inbox.seed(),
        &info,
        &prefix.encode(),
        encapsulated,
        ciphertext,
    )
    .map_err(|_| OpenError::Authentication)?;
    content::unpack(&content)
}

fn info(prefix: &Prefix, inbox: InboxKey) -> Vec<u8> {
    [
        context::INFO_NOTICE,
        prefix.timeline.as_bytes(),
        inbox.as_bytes(),
    ]
    .concat()
}
