//! The stored receipt: one signature of a relay for all envelopes of a commit.
//!
//! It says "these bytes are durable in this log". It does not say that the members
//! accept them, and a node keeps its own envelopes whatever it says.

use ed25519_dalek::{Signer, SigningKey};

use crate::{
    context,
    id::{EnvelopeId, LogId, RelayKey},
    reader::{Reader, Truncated},
    signature::{self, SignatureError},
    time::UnixMillis,
};

/// A relay's word that `count` envelopes under `root` are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// Who signs.
    pub relay: RelayKey,
    /// In which log.
    pub log: LogId,
    /// In which life of the log.
    pub log_epoch: u32,
    /// When the relay took them; expiry counts from here.
    pub received_at: UnixMillis,
    /// [`merkle_root`] of the ids, in the order of the answer.
    pub root: [u8; 32],
    /// Number of ids, at least 1.
    pub count: u32,
    /// Ed25519 over `khlong stored v1\0` ‖ the fields.
    pub signature: [u8; 64],
}

/// Why a receipt was refused. Never retryable: the envelopes are offered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It covers other ids, or another number of them.
    #[error("the receipt covers other envelopes than were sent; send them again")]
    OtherEnvelopes,
    /// The signature is not the relay's.
    #[error("the receipt is not signed by the relay that it names")]
    Signature(#[source] SignatureError),
    /// Not the number of bytes of a receipt.
    #[error("a stored receipt has {expected} bytes", expected = StoredReceipt::LENGTH)]
    Length,
}

impl StoredReceipt {
    /// Bytes of the binary form.
    pub const LENGTH: usize = 32 + 16 + 4 + 8 + 4 + 32 + 64;

    /// Signs for `ids`.
    ///
    /// # Panics
    /// On no ids, or more than 2^32 − 1: a relay answers at most one frame's worth.
    #[must_use]
    pub fn sign(
        key: &SigningKey,
        log: LogId,
        log_epoch: u32,
        received_at: UnixMillis,
        ids: &[EnvelopeId],
    ) -> Self {
        assert!(!ids.is_empty(), "a receipt covers at least one envelope");
        let mut receipt = Self {
            relay: RelayKey::from_bytes(key.verifying_key().to_bytes()),
            log,
            log_epoch,
            received_at,
            root: merkle_root(ids),
            count: u32::try_from(ids.len()).expect("a frame holds fewer than 2^32 ids"),
            signature: [0; 64],
        };
        receipt.signature = key.sign(&receipt.statement()).to_bytes();
        receipt
    }

    /// Checks that it covers exactly `ids`, in order, and is signed by the relay it names.
    /// The caller compares `relay` with the key that it pinned.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify(&self, ids: &[EnvelopeId]) -> Result<(), ReceiptError> {
        if ids.is_empty()
            || u32::try_from(ids.len()) != Ok(self.count)
            || merkle_root(ids) != self.root
        {
            return Err(ReceiptError::OtherEnvelopes);
        }
        self.verify_signature()
    }

    /// Checks the signature alone: for a stored receipt whose ids were checked when it came.
    ///
    /// # Errors
    /// [`ReceiptError::Signature`].
    pub fn verify_signature(&self) -> Result<(), ReceiptError> {
        signature::verify(self.relay.as_bytes(), &self.statement(), &self.signature)
            .map_err(ReceiptError::Signature)
    }

    /// The binary form: the signed fields, then the signature.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.fields();
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Reads the binary form; verifies nothing.
    ///
    /// # Errors
    /// [`ReceiptError::Length`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptError> {
        Self::read(bytes).map_err(|Truncated| ReceiptError::Length)
    }

    fn read(bytes: &[u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(bytes);
        let receipt = Self {
            relay: RelayKey::from_bytes(reader.array()?),
            log: LogId::from_bytes(reader.array()?),
            log_epoch: reader.u32()?,
            received_at: UnixMillis(i64::from_be_bytes(reader.array()?)),
            count: reader.u32()?,
            root: reader.array()?,
            signature: reader.array()?,
        };
        if reader.remaining() == 0 {
            Ok(receipt)
        } else {
            Err(Truncated)
        }
    }

    fn statement(&self) -> Vec<u8> {
        [context::SIGN_STORED, &self.fields()].concat()
    }

    fn fields(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LENGTH);
        bytes.extend_from_slice(self.relay.as_bytes());
        bytes.extend_from_slice(self.log.as_bytes());
        bytes.extend_from_slice(&self.log_epoch.to_be_bytes());
        bytes.extend_from_slice(&self.received_at.get().to_be_bytes());
        bytes.extend_from_slice(&self.count.to_be_bytes());
        bytes.extend_from_slice(&self.root);
        bytes
    }
}

/// Root of a binary tree over the ids in order; an odd node goes up unchanged.
/// Leaves and nodes have their own hash contexts. No ids: 32 zero bytes.
#[must_use]
pub fn merkle_root(ids: &[EnvelopeId]) -> [u8; 32] {
    let mut level: Vec<[u8; 32]> = ids
        .iter()
        .map(|id| hash(context::RECEIPT_LEAF, &[id.as_bytes()]))
        .collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => hash(context::RECEIPT_NODE, &[left, right]),
                [single] => *single,
                other => unreachable!("chunks(2) gave {} nodes", other.len()),
            })
            .collect();
    }
    level.first().copied().unwrap_or_default()
}

fn hash(context: &'static str, parts: &[&[u8; 32]]) -> [u8; 32] {
    let mut hasher = context::hasher(context);
    for part in parts {
        hasher.update(*part);
    }
    *hasher.finalize().as_bytes()
}
