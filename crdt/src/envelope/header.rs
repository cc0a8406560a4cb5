//! The header: the prefix, and what sealing adds. Its hash is the envelope's id.

use super::{EnvelopeError, Prefix};
use crate::{context, id::EnvelopeId, limits::HEADER_BYTES_MAX, reader::Reader};

/// Everything that is signed and kept when the body is pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What was known before sealing.
    pub prefix: Prefix,
    /// Nonce of the seal; zero where nothing is sealed.
    pub nonce: [u8; 24],
    /// Bytes of the body, also when it was pruned.
    pub body_len: u32,
    /// BLAKE3 of the body, context `envelope body`.
    pub body_hash: [u8; 32],
}

impl Header {
    /// The byte-exact form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES_MAX);
        bytes.extend_from_slice(&self.prefix.encode());
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&self.body_len.to_be_bytes());
        bytes.extend_from_slice(&self.body_hash);
        bytes
    }

    /// Reads a header from the start of `bytes`; gives its length too.
    ///
    /// # Errors
    /// As [`Prefix::decode`]; also a body length outside the kind's limit.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), EnvelopeError> {
        let (prefix, prefix_length) = Prefix::decode(bytes)?;
        let rest = bytes.get(prefix_length..).ok_or(EnvelopeError::Length)?;
        let mut reader = Reader::new(rest);
        let nonce = reader.array()?;
        let body_len = reader.u32()?;
        let body_hash = reader.array()?;
        check_body_length(&prefix, usize::try_from(body_len).unwrap_or(usize::MAX))?;
        let header = Self {
            prefix,
            nonce,
            body_len,
            body_hash,
        };
        Ok((header, prefix_length + crate::limits::HEADER_TAIL_BYTES))
    }

    /// The envelope's id: hash of the header, context `envelope id`.
    #[must_use]
    pub fn id(&self) -> EnvelopeId {
        id_of(&self.encode())
    }
}

/// Hash of header bytes as they came.
pub(super) fn id_of(header: &[u8]) -> EnvelopeId {
    let mut hasher = context::hasher(context::ENVELOPE_ID);
    hasher.update(header);
    EnvelopeId::from_bytes(*hasher.finalize().as_bytes())
}

/// Hash of a body, context `envelope body`: what a header names.
#[must_use]
pub fn body_hash(body: &[u8]) -> [u8; 32] {
    let mut hasher = context::hasher(context::ENVELOPE_BODY);
    hasher.update(body);
    *hasher.finalize().as_bytes()
}

pub(super) fn check_body_length(prefix: &Prefix, length: usize) -> Result<(), EnvelopeError> {
    let limit = prefix.kind.body_bytes_max();
    if length == 0 || length > limit {
        return Err(EnvelopeError::BodyLength { length, limit });
    }
    Ok(())
}
