//! Which log a store holds, and under which promises.

use khlong_crdt::id::LogId;

use crate::error::StoreError;
use crate::key::{Decoder, Encoder};
use crate::rows::Rows;
use crate::table::Table;

/// Names the class logs of one store. A cursor carries it, so that a reader
/// notices when it talks to another log, or to one that has lost entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogIdentity {
    /// Drawn once, when the folder is made.
    pub log: LogId,
    /// Starts at 1; raised whenever loss was accepted.
    pub epoch: u32,
}

impl Default for LogIdentity {
    /// The identity of no log: what a batch without a store has.
    fn default() -> Self {
        Self {
            log: LogId::from_bytes([0; 16]),
            epoch: 0,
        }
    }
}

/// Who uses the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A client.
    Node,
    /// A regional relay.
    Relay,
    /// The gateway.
    Gateway,
}

impl Role {
    /// As it stands in the folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Relay => "relay",
            Self::Gateway => "gateway",
        }
    }
}

/// Names of the rows of table `meta`.
pub(crate) const META_SCHEMA: &[u8] = b"schema";
/// While a migration is unfinished: the key where it goes on.
pub(crate) const META_MIGRATING: &[u8] = b"migrating";
pub(crate) const META_ROLE: &[u8] = b"role";
pub(crate) const META_LOG: &[u8] = b"log";
pub(crate) const META_COMMITTED: &[u8] = b"committed";

/// `log:16 ‖ log_epoch:4`.
pub(crate) fn encode_identity(identity: LogIdentity) -> Vec<u8> {
    Encoder::new()
        .fixed(identity.log.as_bytes())
        .u32(identity.epoch)
        .finish()
}

pub(crate) fn read_identity(rows: &dyn Rows) -> Result<Option<LogIdentity>, StoreError> {
    let Some(bytes) = rows.get(Table::Meta, META_LOG)? else {
        return Ok(None);
    };
    let mut fields = Decoder::new(&bytes);
    let decoded = (|| {
        let identity = LogIdentity {
            log: LogId::from_bytes(fields.fixed()?),
            epoch: fields.u32()?,
        };
        fields.end()?;
        Some(identity)
    })();
    decoded
        .map(Some)
        .ok_or_else(|| StoreError::corrupt(Table::Meta, META_LOG, "not a log identity"))
}

/// The last commit and the hash over all commits up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Committed {
    /// Counts commits of the folder, from 1.
    pub seq: u64,
    /// `derive_key("khlong.network 2026-11 store commit v1", hash before ‖ seq ‖ encoded writes)`.
    pub hash: [u8; 32],
}

impl Committed {
    /// After one more commit.
    #[must_use]
    pub fn extend(self, writes: &[u8]) -> Self {
        let seq = self.seq + 1;
        let mut hasher = blake3::Hasher::new_derive_key("khlong.network 2026-11 store commit v1");
        hasher
            .update(&self.hash)
            .update(&seq.to_be_bytes())
            .update(writes);
        Self {
            seq,
            hash: *hasher.finalize().as_bytes(),
        }
    }

    /// `seq:8 ‖ hash:32`.
    pub(crate) fn encode(self) -> Vec<u8> {
        Encoder::new().u64(self.seq).fixed(&self.hash).finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(bytes);
        let committed = Self {
            seq: fields.u64()?,
            hash: fields.fixed()?,
        };
        fields.end()?;
        // Each has one after it.
        (committed.seq < u64::MAX).then_some(committed)
    }

    pub(crate) fn read(rows: &dyn Rows) -> Result<Self, StoreError> {
        let Some(bytes) = rows.get(Table::Meta, META_COMMITTED)? else {
            return Ok(Self::default());
        };
        Self::decode(&bytes)
            .ok_or_else(|| StoreError::corrupt(Table::Meta, META_COMMITTED, "not a commit"))
    }
}
