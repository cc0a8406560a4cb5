//! The hash chain: which bytes each hash covers.

/// Names a journal: drawn once, when it is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JournalId([u8; 16]);

impl JournalId {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The place of an entry, from 1 without a gap; 0 is the empty journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct JournalSeq(pub u64);

impl JournalSeq {
    /// The place after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The last entry, and the hash over all up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Which journal.
    pub id: JournalId,
    /// The last entry.
    pub seq: JournalSeq,
    /// hash(seq); zero for an empty journal.
    pub hash: [u8; 32],
}

impl Head {
    /// That of an empty journal.
    #[must_use]
    pub const fn start(id: JournalId) -> Self {
        Self {
            id,
            seq: JournalSeq(0),
            hash: [0; 32],
        }
    }
}

/// Makes the hashes of one journal.
#[derive(Debug, Clone)]
pub struct Chain {
    key: [u8; 32],
}

impl Chain {
    /// The chain of journal `id`: its key is in every hash, so that no entry of one
    /// journal passes for one of another.
    #[must_use]
    pub fn of(id: JournalId) -> Self {
        Self {
            key: blake3::derive_key("khlong.network 2026-11 store journal v1", id.as_bytes()),
        }
    }

    /// The head after one more entry.
    #[must_use]
    pub fn extend(&self, head: Head, header: &[u8], command: &[u8], outcome: &[u8]) -> Head {
        let seq = head.seq.next();
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher
            .update(&head.hash)
            .update(&seq.0.to_be_bytes())
            .update(&length(header))
            .update(&length(command))
            .update(&length(outcome))
            .update(header)
            .update(command)
            .update(outcome);
        Head {
            id: head.id,
            seq,
            hash: *hasher.finalize().as_bytes(),
        }
    }
}

/// Entries are at most 2 MiB, which the caller has checked.
pub(super) fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}
