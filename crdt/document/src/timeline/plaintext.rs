//! What is sealed in an envelope of kind change or receipt (`DOCUMENT.md`,
//! "Plaintext of a change", "Plaintext of a receipt").

use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId};
use khlong_crdt::time::UnixMillis;

use super::compact::{self, CompactPlaintext};
use super::limits::{
    AUTH_HEADS_MAX, CHANGE_BYTES_MAX, CHANGES_PER_SECTION_MAX, PAGE_NUMBER_MAX,
    RECEIPT_HEIGHTS_MAX, SECTIONS_MAX,
};
use khlong_crdt::reader::{Reader, Truncated};

const VERSION: u8 = 1;
const CODEC_RAW: u8 = 0;

/// Why a plaintext cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaintextError {
    /// Written by a later version of this program.
    #[error("the message was written by a newer version; update to read it")]
    Version,
    /// Ends early, or carries something behind its end.
    #[error("the plaintext is truncated or malformed")]
    Malformed,
    /// What was rebuilt is not what its writer sealed.
    #[error("the message does not say what its check promises; its writer is at fault")]
    Check,
    /// More sections, changes or heights than allowed.
    #[error("the plaintext exceeds a limit of the document format")]
    Limit,
}

impl From<Truncated> for PlaintextError {
    fn from(_: Truncated) -> Self {
        Self::Malformed
    }
}

/// Changes of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentChanges {
    /// 0 page, 1 state; others are kept for later versions and skipped.
    pub document: u8,
    /// See [`super::page::PageAddress::lineage`].
    pub lineage: EpochId,
    /// Number of the page.
    pub n: u32,
    /// Raw Automerge changes of the envelope's author, oldest first.
    pub changes: Vec<Vec<u8>>,
}

/// Changes of one document as they lay in an envelope.
#[derive(Clone, Debug)]
pub(crate) struct ReadChanges {
    pub(crate) of: DocumentChanges,
    /// For each of them its hash, if it was not sent but written here, as Automerge writes it.
    pub(crate) written: Vec<Option<[u8; 32]>>,
}

/// The plaintext of an envelope of kind change, its changes written out (codec 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePlaintext {
    /// What the writer's clock said; for display, never for order.
    pub clock: UnixMillis,
    /// Heads of the membership log that the writer knew.
    pub auth_heads: Vec<EnvelopeId>,
    /// One part per document.
    pub sections: Vec<DocumentChanges>,
}

/// The changes that lie in an envelope of `author` under `epoch`, whatever the codec.
pub(crate) fn sections(
    plaintext: &[u8],
    author: &AuthorKey,
    epoch: &EpochId,
) -> Result<Vec<ReadChanges>, PlaintextError> {
    if plaintext.starts_with(&compact::START) {
        let compact = CompactPlaintext::decode(plaintext, author, epoch)?;
        return Ok(compact.sections);
    }
    let raw = ChangePlaintext::decode(plaintext)?;
    let sent = |of: DocumentChanges| ReadChanges {
        written: vec![None; of.changes.len()],
        of,
    };
    Ok(raw.sections.into_iter().map(sent).collect())
}

impl ChangePlaintext {
    /// As sealed where the compact form does not do. The caller keeps the limits: [`Self::decode`] refuses what does not.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, CODEC_RAW];
        out.extend_from_slice(&self.clock.0.to_be_bytes());
        out.push(u8::try_from(self.auth_heads.len()).unwrap_or(u8::MAX));
        for head in &self.auth_heads {
            out.extend_from_slice(head.as_bytes());
        }
        out.push(u8::try_from(self.sections.len()).unwrap_or(u8::MAX));
        for section in &self.sections {
            out.push(section.document);
            out.extend_from_slice(section.lineage.as_bytes());
            out.extend_from_slice(&section.n.to_be_bytes());
            out.extend_from_slice(
                &u16::try_from(section.changes.len())
                    .unwrap_or(u16::MAX)
                    .to_be_bytes(),
            );
            for change in &section.changes {
                out.extend_from_slice(
                    &u32::try_from(change.len())
                        .unwrap_or(u32::MAX)
                        .to_be_bytes(),
                );
                out.extend_from_slice(change);
            }
        }
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`PlaintextError`]; another codec counts as a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, PlaintextError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION || reader.u8()? != CODEC_RAW {
            return Err(PlaintextError::Version);
        }
        let clock = UnixMillis(i64::from_be_bytes(reader.array()?));
        let mut auth_heads = Vec::new();
        for _ in 0..bounded(usize::from(reader.u8()?), AUTH_HEADS_MAX)? {
            auth_heads.push(EnvelopeId::from_bytes(reader.array()?));
        }
        let mut sections = Vec::new();
        for _ in 0..bounded(usize::from(reader.u8()?), SECTIONS_MAX)? {
            sections.push(DocumentChanges::decode(&mut reader)?);
        }
        if reader.is_empty() {
            Ok(Self {
                clock,
                auth_heads,
                sections,
            })
        } else {
            Err(PlaintextError::Malformed)
        }
    }
}

impl DocumentChanges {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, PlaintextError> {
        let document = reader.u8()?;
        let lineage = EpochId::from_bytes(reader.array()?);
        let n = reader.u32()?;
        if n > PAGE_NUMBER_MAX {
            return Err(PlaintextError::Limit);
        }
        let mut changes = Vec::new();
        for _ in 0..bounded(usize::from(reader.u16()?), CHANGES_PER_SECTION_MAX)? {
            let length = reader.u32()? as usize;
            changes.push(reader.take(bounded(length, CHANGE_BYTES_MAX)?)?.to_vec());
        }
        Ok(Self {
            document,
            lineage,
            n,
            changes,
        })
    }
}

/// The plaintext of an envelope of kind receipt: how far the writer's principal
/// has received and read the chain of each author.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptPlaintext {
    /// Received and merged, without a hole, up to this place.
    pub delivered: Vec<(AuthorKey, u64)>,
    /// Shown to a person.
    pub read: Vec<(AuthorKey, u64)>,
}

impl ReceiptPlaintext {
    /// As sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for heights in [&self.delivered, &self.read] {
            out.extend_from_slice(
                &u16::try_from(heights.len())
                    .unwrap_or(u16::MAX)
                    .to_be_bytes(),
            );
            for (author, seq) in heights {
                out.extend_from_slice(author.as_bytes());
                out.extend_from_slice(&seq.to_be_bytes());
            }
        }
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`PlaintextError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, PlaintextError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(PlaintextError::Version);
        }
        let mut half = || -> Result<Vec<(AuthorKey, u64)>, PlaintextError> {
            let count = bounded(usize::from(reader.u16()?), RECEIPT_HEIGHTS_MAX)?;
            (0..count)
                .map(|_| {
                    Ok((
                        AuthorKey::from_bytes(reader.array()?),
                        u64::from_be_bytes(reader.array()?),
                    ))
                })
                .collect()
        };
        let receipt = Self {
            delivered: half()?,
            read: half()?,
        };
        if reader.is_empty() {
            Ok(receipt)
        } else {
            Err(PlaintextError::Malformed)
        }
    }
}

const fn bounded(value: usize, max: usize) -> Result<usize, PlaintextError> {
    if value <= max {
        Ok(value)
    } else {
        Err(PlaintextError::Limit)
    }
}
