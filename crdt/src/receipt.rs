//! The stored receipt: one signature of a relay for all envelopes of a commit,
//! and the proof that one envelope is among them.
//!
//! It says "these bytes are durable in this log". It does not say that the members
//! accept them, and a node keeps its own envelopes whatever it says. A receipt
//! is over ids that only the sender saw together; a [`StoredProof`] says the same of
//! one id to anybody, so it can travel with the envelope.

use ed25519_dalek::SigningKey;

use crate::{
    context,
    id::{EnvelopeId, LogId, RelayKey},
    merkle::{Levels, Tree, proof_length},
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
    /// Not the bytes of a proof: an impossible place, or another number of siblings than it needs.
    #[error("the proof of a stored receipt is damaged; ask for it again")]
    ProofLayout,
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
        receipt.signature = signature::sign(key, &receipt.statement());
        receipt
    }

    /// Checks that it covers exactly `ids`, in order, and is signed by the relay it names.
    /// The caller compares `relay` with the key that it pinned.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify(&self, ids: &[EnvelopeId]) -> Result<(), ReceiptError> {
        if !self.covers(ids, &merkle_root(ids)) {
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

    /// One proof for each of `ids`, in order. The signature is not checked.
    ///
    /// # Errors
    /// [`ReceiptError::OtherEnvelopes`] unless the receipt covers exactly `ids`, in order.
    pub fn prove(&self, ids: &[EnvelopeId]) -> Result<Vec<StoredProof>, ReceiptError> {
        let levels = levels(ids);
        if !self.covers(ids, &levels.top()) {
            return Err(ReceiptError::OtherEnvelopes);
        }
        let prove = |index| StoredProof {
            receipt: self.clone(),
            index,
            siblings: levels.siblings(index),
        };
        Ok((0..self.count).map(prove).collect())
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

    fn covers(&self, ids: &[EnvelopeId], root: &[u8; 32]) -> bool {
        !ids.is_empty() && u32::try_from(ids.len()) == Ok(self.count) && *root == self.root
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

/// That a relay's receipt covers one envelope, without the ids of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProof {
    /// What the relay signed.
    pub receipt: StoredReceipt,
    /// Place of the envelope among the receipt's ids, from 0.
    pub index: u32,
    /// Hashes beside the way from the leaf to the root; none where the node is the odd one.
    pub siblings: Vec<[u8; 32]>,
}

/// A sibling for each level of a tree over 2^32 − 1 ids, more than any receipt counts.
pub const PROOF_SIBLINGS_MAX: usize = 32;

impl StoredProof {
    /// Bytes before the siblings: receipt and index.
    pub const LENGTH_MIN: usize = StoredReceipt::LENGTH + 4;
    /// Bytes of the longest proof.
    pub const LENGTH_MAX: usize = Self::LENGTH_MIN + 32 * PROOF_SIBLINGS_MAX;

    /// Checks that the relay which the receipt names promised the envelope `id`.
    /// The caller decides whether it trusts that relay.
    ///
    /// # Errors
    /// [`ReceiptError::ProofLayout`], [`ReceiptError::OtherEnvelopes`] or
    /// [`ReceiptError::Signature`].
    pub fn verify(&self, id: &EnvelopeId) -> Result<(), ReceiptError> {
        let place = (self.index, self.receipt.count);
        let root = TREE
            .climb(id.as_bytes(), place, &self.siblings)
            .ok_or(ReceiptError::ProofLayout)?;
        if root != self.receipt.root {
            return Err(ReceiptError::OtherEnvelopes);
        }
        self.receipt.verify_signature()
    }

    /// The binary form: receipt, index, siblings from the leaf's level upwards.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.receipt.encode();
        bytes.extend_from_slice(&self.index.to_be_bytes());
        bytes.extend(self.siblings.iter().flatten());
        bytes
    }

    /// Reads the binary form; verifies nothing but the place and the number of siblings.
    ///
    /// # Errors
    /// [`ReceiptError::Length`] without a whole receipt, else [`ReceiptError::ProofLayout`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let (receipt, place) = bytes
            .split_at_checked(StoredReceipt::LENGTH)
            .ok_or(ReceiptError::Length)?;
        let receipt = StoredReceipt::decode(receipt)?;
        let mut reader = Reader::new(place);
        let index = reader
            .u32()
            .map_err(|Truncated| ReceiptError::ProofLayout)?;
        let length = proof_length(index, receipt.count).ok_or(ReceiptError::ProofLayout)?;
        let siblings = (0..length).map(|_| reader.array());
        let siblings = siblings
            .collect::<Result<_, _>>()
            .map_err(|Truncated| ReceiptError::ProofLayout)?;
        if reader.remaining() > 0 {
            return Err(ReceiptError::ProofLayout);
        }
        Ok(Self {
            receipt,
            index,
            siblings,
        })
    }
}

const TREE: Tree = Tree {
    leaf: context::RECEIPT_LEAF,
    node: context::RECEIPT_NODE,
};

/// Root of a binary tree over the ids in order ([`crate::merkle`]). No ids: 32 zero bytes.
#[must_use]
pub fn merkle_root(ids: &[EnvelopeId]) -> [u8; 32] {
    levels(ids).top()
}

fn levels(ids: &[EnvelopeId]) -> Levels {
    TREE.levels(ids.iter().map(|id| &id.as_bytes()[..]))
}
