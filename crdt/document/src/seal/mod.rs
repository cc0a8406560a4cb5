//! Sealing: from plaintext and keys to a signed envelope, and back.
//!
//! Compression and padding happen before encryption, so that a relay sees neither
//! content nor its exact length. The whole prefix is authenticated with the body: an
//! envelope moved to another timeline, place or epoch does not open.
//!
//! XChaCha20-Poly1305 alone does not commit to its key. Here the epoch id, a hash
//! over a commitment to the key, lies in the authenticated prefix: an envelope that
//! opens to two texts under two keys would need two epochs with one id.

mod auth_op;
mod cipher;
mod content;
mod dictionary;
mod key_op;
mod model;
mod notice;

use khlong_crdt::envelope::{EnvelopeError, Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, MediaRootId, Seq, TimelineId};
use khlong_crdt::limits::REFS_MAX;

pub use self::auth_op::{open_auth_op, seal_auth_op};
pub use self::content::{CONTENT_OVERHEAD_BYTES, PLAINTEXT_BYTES_MAX, padded_length};
pub use self::key_op::{open_key_op, seal_key_op};
pub use self::notice::{open_notice, seal_notice};

pub(crate) use self::content::Parts;

pub(crate) use self::cipher::{
    TAG_BYTES as CIPHER_TAG_BYTES, decrypt as decrypt_raw, encrypt as encrypt_raw,
};

use crate::keys::author::AuthorSecret;
use crate::keys::epoch::EpochKey;
use crate::keys::sealed_box::SealedBoxError;
use crate::membership::key_op::KeyOpError;

/// Bytes of packed (compressed) plaintext that always fit a change or a receipt: the
/// largest padded length below the body limit, less the overhead.
pub const PACKED_BYTES_MAX: usize = 252 * 1024 - CONTENT_OVERHEAD_BYTES;
const _: () = assert!(padded_length(PACKED_BYTES_MAX + CONTENT_OVERHEAD_BYTES) == 252 * 1024);
const _: () = assert!(
    252 * 1024 + cipher::TAG_BYTES <= Kind::Change.body_bytes_max(),
    "a full content and its tag fit a body"
);

/// Everything of a prefix but the author, whom the sealing key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealRequest {
    /// What the envelope carries.
    pub kind: Kind,
    /// Where it belongs.
    pub timeline: TimelineId,
    /// Place in the author's chain, from 1.
    pub seq: Seq,
    /// The author's previous envelope; zero exactly at seq 1.
    pub prev: EnvelopeId,
    /// The epoch whose key seals; zero when nothing is sealed under one.
    pub epoch_id: EpochId,
    /// For how long a relay keeps the body.
    pub expiry: Expiry,
    /// Media that the body speaks of.
    pub refs: Vec<MediaRootId>,
}

impl SealRequest {
    fn into_prefix(self, author: AuthorKey) -> Result<Prefix, SealError> {
        if self.refs.len() > REFS_MAX {
            return Err(SealError::Envelope(EnvelopeError::TooManyRefs(
                self.refs.len(),
            )));
        }
        let Self {
            kind,
            timeline,
            seq,
            prev,
            epoch_id: epoch,
            expiry,
            refs,
        } = self;
        Ok(Prefix {
            kind,
            timeline,
            author,
            seq,
            prev,
            epoch,
            expiry,
            refs,
        })
    }

    fn expect_kind(&self, allowed: &[Kind]) -> Result<(), SealError> {
        if allowed.contains(&self.kind) {
            return Ok(());
        }
        Err(SealError::Kind { kind: self.kind })
    }

    fn expect_epoch(&self, sealed: bool) -> Result<(), SealError> {
        if (self.epoch_id != EpochId::ZERO) == sealed {
            return Ok(());
        }
        Err(SealError::Epoch { sealed })
    }
}

/// Why nothing was sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// This function seals other kinds.
    #[error("an envelope of kind {kind:?} is sealed by another function")]
    Kind {
        /// The kind asked for.
        kind: Kind,
    },
    /// An epoch id where nothing is sealed, or none where something is.
    #[error("the epoch id must be set exactly when something is sealed (sealed: {sealed})")]
    Epoch {
        /// Whether something is sealed.
        sealed: bool,
    },
    /// More than a reader would unpack.
    #[error("{bytes} bytes of plaintext; {PLAINTEXT_BYTES_MAX} is the limit: split them")]
    PlaintextTooLong {
        /// Bytes given.
        bytes: usize,
    },
    /// No op, or more than fit an auth-op.
    #[error("the clear part of an auth-op cannot be made")]
    Ops(#[source] khlong_crdt::admission::AdmissionError),
    /// A notice to a weak key.
    #[error("a notice cannot be sealed")]
    Box(#[source] SealedBoxError),
    /// The layout refused; mostly a body that is too long.
    #[error("the envelope cannot be made")]
    Envelope(#[source] EnvelopeError),
}

/// Why an envelope did not open. Says nothing about the plaintext.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Only header and signature are left.
    #[error("the body was pruned; ask another member for a fragment")]
    Pruned,
    /// This function opens other kinds.
    #[error("an envelope of kind {kind:?} is opened by another function")]
    Kind {
        /// The kind found.
        kind: Kind,
    },
    /// The wrong key, or changed bytes.
    #[error("the body does not open with this key")]
    Authentication,
    /// Made by a newer program.
    #[error("packing {0} is not known; upgrade this program")]
    Packing(u8),
    /// A declared length beyond the limit, refused before anything is unpacked.
    #[error("declares {bytes} bytes of plaintext; {PLAINTEXT_BYTES_MAX} is the limit")]
    PlaintextTooLong {
        /// Bytes declared.
        bytes: u64,
    },
    /// The lengths inside do not fit the content or each other.
    #[error("the lengths inside the sealed content do not fit")]
    Length,
    /// The padding is not zero, or not of the one right length.
    #[error("the padding of the sealed content is wrong")]
    Padding,
    /// Not a zstd frame, or one that gives another number of bytes than declared; or a text's
    /// code that gives none, or not the one that a writer makes.
    #[error("the compressed content does not unpack to its declared length")]
    Decompression,
    /// The clear part of an auth-op.
    #[error("the clear part of the auth-op is damaged")]
    Ops(#[source] khlong_crdt::admission::AdmissionError),
    /// A key-op's body.
    #[error("the key-op is damaged")]
    KeyOp(#[source] KeyOpError),
}

const CONTENT_KINDS: [Kind; 3] = [Kind::Change, Kind::Fragment, Kind::Receipt];

/// Seals a change, fragment or receipt under K_E.
///
/// `random` is 32 fresh random bytes; a repeat is harmless unless everything else
/// repeats too.
///
/// # Errors
/// [`SealError`].
pub fn seal(
    request: SealRequest,
    key: &EpochKey,
    plaintext: &[u8],
    author: &AuthorSecret,
    random: [u8; 32],
) -> Result<VerifiedEnvelope, SealError> {
    seal_parts(request, key, Parts::of_text(plaintext), author, random)
}

/// The same for a plaintext of which it is known what is text.
pub(crate) fn seal_parts(
    request: SealRequest,
    key: &EpochKey,
    plaintext: Parts<'_>,
    author: &AuthorSecret,
    random: [u8; 32],
) -> Result<VerifiedEnvelope, SealError> {
    request.expect_kind(&CONTENT_KINDS)?;
    request.expect_epoch(true)?;
    let content = content::pack(plaintext)?;
    let prefix = request.into_prefix(author.public())?;
    let aad = prefix.encode();
    let nonce = author.nonce(&random, &aad, &content);
    let body_key = key.body_key(prefix.timeline, prefix.author);
    let body = cipher::encrypt(&body_key, &nonce, &aad, &content);
    VerifiedEnvelope::sign(prefix, nonce, &body, author.signing_key()).map_err(SealError::Envelope)
}

/// Opens a change, fragment or receipt; the caller picks the key by the prefix's epoch.
///
/// # Errors
/// [`OpenError`].
pub fn open(envelope: &VerifiedEnvelope, key: &EpochKey) -> Result<Vec<u8>, OpenError> {
    let prefix = envelope.prefix();
    if !CONTENT_KINDS.contains(&prefix.kind) {
        return Err(OpenError::Kind { kind: prefix.kind });
    }
    let body = envelope.body().ok_or(OpenError::Pruned)?;
    let body_key = key.body_key(prefix.timeline, prefix.author);
    let content = cipher::decrypt(&body_key, &envelope.header().nonce, &prefix.encode(), body)?;
    content::unpack(&content)
}

fn body_of(envelope: &VerifiedEnvelope, kind: Kind) -> Result<&[u8], OpenError> {
    let found = envelope.prefix().kind;
    if found != kind {
        return Err(OpenError::Kind { kind: found });
    }
    envelope.body().ok_or(OpenError::Pruned)
}
