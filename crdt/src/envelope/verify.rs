//! [`VerifiedEnvelope`]: bytes that were checked once, so that nobody checks again.

use std::{fmt, sync::Arc};

use ed25519_dalek::SigningKey;

use super::{
    EnvelopeError, Header, Kind, Prefix,
    header::{body_hash, check_body_length, id_of},
};
use crate::{
    class::Class,
    context,
    id::{AuthorKey, EnvelopeId, Seq, TimelineId},
    limits::SIGNATURE_BYTES,
    signature,
};

/// An envelope whose structure, body hash and signature were checked.
///
/// A clone shares the bytes. Only [`verify`](Self::verify), [`sign`](Self::sign) and
/// [`assume_verified`](Self::assume_verified) make one, so a function that takes it
/// needs no check of its own. Two are equal when id and bytes are: a pruned one is
/// not equal to the whole one.
#[derive(Clone)]
pub struct VerifiedEnvelope(Arc<Inner>);

struct Inner {
    id: EnvelopeId,
    header: Header,
    header_length: usize,
    bytes: Arc<[u8]>,
}

impl VerifiedEnvelope {
    /// Checks everything: what every envelope from a peer, a file or a link passes.
    ///
    /// # Errors
    /// [`EnvelopeError`]; cheap checks first, the signature last.
    pub fn verify(bytes: impl Into<Arc<[u8]>>) -> Result<Self, EnvelopeError> {
        let envelope = Self::assume_verified(bytes)?;
        if let Some(body) = envelope.body()
            && body_hash(body) != envelope.header().body_hash
        {
            return Err(EnvelopeError::BodyHash);
        }
        // Mutant: whoever is admitted can be written for.
        #[cfg(khlong_mutant = "signature")]
        return Ok(envelope);
        #[cfg(not(khlong_mutant = "signature"))]
        signature::verify(
            envelope.prefix().author.as_bytes(),
            &signed_message(envelope.header_bytes()),
            envelope.signature(),
        )
        .map_err(EnvelopeError::Signature)?;
        Ok(envelope)
    }

    /// Checks the structure only. For bytes that our own store verified before it
    /// wrote them (and whose block checksums the engine checks when it reads).
    ///
    /// # Errors
    /// [`EnvelopeError`] of the structure.
    pub fn assume_verified(bytes: impl Into<Arc<[u8]>>) -> Result<Self, EnvelopeError> {
        let bytes = bytes.into();
        let (header, header_length) = Header::decode(&bytes)?;
        let without_body = header_length + SIGNATURE_BYTES;
        let with_body = usize::try_from(header.body_len)
            .ok()
            .and_then(|length| length.checked_add(without_body));
        if bytes.len() != without_body && Some(bytes.len()) != with_body {
            return Err(EnvelopeError::Length);
        }
        let id = id_of(bytes.get(..header_length).ok_or(EnvelopeError::Length)?);
        Ok(Self(Arc::new(Inner {
            id,
            header,
            header_length,
            bytes,
        })))
    }

    /// Hashes and signs a body that is already sealed (or clear, for a key-op).
    ///
    /// # Errors
    /// [`EnvelopeError::ForeignKey`], or a prefix or body outside its limits.
    pub fn sign(
        prefix: Prefix,
        nonce: [u8; 24],
        body: &[u8],
        key: &SigningKey,
    ) -> Result<Self, EnvelopeError> {
        prefix.check()?;
        check_body_length(&prefix, body.len())?;
        let public = key.verifying_key().to_bytes();
        if prefix.author != AuthorKey::from_bytes(public) {
            return Err(EnvelopeError::ForeignKey);
        }
        let header = Header {
            prefix,
            nonce,
            body_len: u32::try_from(body.len()).expect("limited to 1 MiB above"),
            body_hash: body_hash(body),
        };
        let mut bytes = header.encode();
        let header_length = bytes.len();
        let signature = signature::sign(key, &signed_message(&bytes));
        let id = id_of(&bytes);
        bytes.extend_from_slice(&signature);
        bytes.extend_from_slice(body);
        Ok(Self(Arc::new(Inner {
            id,
            header,
            header_length,
            bytes: bytes.into(),
        })))
    }

    /// The same envelope without its body.
    #[must_use]
    pub fn pruned(&self) -> Self {
        let length = self.0.header_length + SIGNATURE_BYTES;
        let bytes: Arc<[u8]> = self.0.bytes.iter().copied().take(length).collect();
        Self(Arc::new(Inner {
            id: self.0.id,
            header: self.0.header.clone(),
            header_length: self.0.header_length,
            bytes,
        }))
    }

    /// Hash of the header.
    #[must_use]
    pub fn id(&self) -> EnvelopeId {
        self.0.id
    }

    /// The parsed header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// The parsed prefix.
    #[must_use]
    pub fn prefix(&self) -> &Prefix {
        &self.0.header.prefix
    }

    /// What it carries.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.prefix().kind
    }

    /// Where it belongs.
    #[must_use]
    pub fn timeline(&self) -> TimelineId {
        self.prefix().timeline
    }

    /// Who signed it.
    #[must_use]
    pub fn author(&self) -> AuthorKey {
        self.prefix().author
    }

    /// Its place in the author's chain.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.prefix().seq
    }

    /// The class in which it travels.
    #[must_use]
    pub fn class(&self) -> Class {
        self.kind().class()
    }

    /// The body, or `None` when it was pruned.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.0
            .bytes
            .get(self.0.header_length + SIGNATURE_BYTES..)
            .filter(|body| !body.is_empty())
    }

    /// The signature over the header.
    ///
    /// # Panics
    /// Never: the length was checked when it was made.
    #[must_use]
    pub fn signature(&self) -> &[u8; 64] {
        self.0
            .bytes
            .get(self.0.header_length..)
            .and_then(<[u8]>::first_chunk)
            .expect("every constructor checked the length")
    }

    /// The header as bytes.
    ///
    /// # Panics
    /// Never: the length was checked when it was made.
    #[must_use]
    pub fn header_bytes(&self) -> &[u8] {
        self.0
            .bytes
            .get(..self.0.header_length)
            .expect("every constructor checked the length")
    }

    /// The whole envelope as bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The whole envelope as shared bytes.
    #[must_use]
    pub fn arc_bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.0.bytes)
    }
}

impl PartialEq for VerifiedEnvelope {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id && self.0.bytes == other.0.bytes
    }
}

impl Eq for VerifiedEnvelope {}

impl fmt::Debug for VerifiedEnvelope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerifiedEnvelope")
            .field("id", &self.0.id)
            .field("kind", &self.kind())
            .field("seq", &self.seq())
            .field("bytes", &self.0.bytes.len())
            .finish_non_exhaustive()
    }
}

fn signed_message(header: &[u8]) -> Vec<u8> {
    [context::SIGN_ENVELOPE, header].concat()
}
