//! The manifest of an epoch: what its id stands for.

use khlong_crdt::id::{EnvelopeId, EpochId, InboxKey, PrincipalKey, TimelineId};
use zeroize::Zeroizing;

use super::merkle::{self, Tree};
use crate::context;
use crate::keys::epoch::{ControlKey, EpochKey};
use khlong_crdt::reader::{Reader, Truncated};

/// Epochs that one mint merges.
pub const PARENTS_MAX: usize = 8;
/// Auth-ops that a mint cites.
pub const AUTH_HEADS_MAX: usize = 32;
/// Bytes of the sealed parents: kind 1 ‖ key 32 each, and a tag.
const SEALED_PARENTS_BYTES_MAX: usize = 33 * PARENTS_MAX + crate::seal::CIPHER_TAG_BYTES;
const _: () = assert!(SEALED_PARENTS_BYTES_MAX <= u16::MAX as usize);
const MANIFEST_VERSION: u8 = 1;

const PARENT_CONTROL: u8 = 1;
const PARENT_EPOCH: u8 = 2;
/// K_E is fresh, and this key seals one string in its life.
const PARENTS_NONCE: [u8; 24] = [0; 24];

/// Everything that an epoch id commits to. Wraps are outside, so that they can be
/// fetched one by one and added to (a grant) without a new epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Where the epoch belongs.
    pub timeline: TimelineId,
    /// Who minted it.
    pub minter: PrincipalKey,
    /// Commitment to K_E, so that all recipients get the same key.
    pub key_commit: [u8; 32],
    /// Merkle root over the recipients' inbox keys.
    pub recipients_root: [u8; 32],
    /// Number of recipients.
    pub recipients_count: u32,
    /// The epochs that this one continues, ascending; at most [`PARENTS_MAX`].
    pub parents: Vec<EpochId>,
    /// The newest auth-ops that the minter knew, ascending; at most [`AUTH_HEADS_MAX`].
    pub auth_heads: Vec<EnvelopeId>,
    /// The parents' keys, sealed under K_E.
    pub sealed_parents: Vec<u8>,
}

/// What a child's manifest says about a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParentKey {
    /// K_C only: who did what, not what was said.
    Control(ControlKey),
    /// K_E, in `full` timelines; K_C follows from it.
    Epoch(EpochKey),
}

impl ParentKey {
    /// K_C, which both forms give.
    #[must_use]
    pub fn control(&self) -> ControlKey {
        match self {
            Self::Control(key) => key.clone(),
            Self::Epoch(key) => key.control(),
        }
    }
}

/// Why bytes are no manifest, or a manifest gives no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Cut short, trailing bytes, or a list that is too long.
    #[error("the manifest is damaged")]
    Layout,
    /// Made by a newer program.
    #[error("a manifest of version {0}; upgrade this program")]
    Version(u8),
    /// A list is not in strictly ascending order: one epoch, one encoding.
    #[error("the manifest's lists are not in ascending order")]
    Order,
    /// The key is not the one that the manifest promises.
    #[error("the key is not the one its manifest promises; its minter is at fault")]
    KeyCommitment,
    /// The sealed parents do not open or do not fit the list of parents.
    #[error("the parents' keys in the manifest are damaged; its minter is at fault")]
    Parents,
}

impl Manifest {
    /// The epoch's id.
    #[must_use]
    pub fn epoch_id(&self) -> EpochId {
        EpochId::from_bytes(context::derive(context::EPOCH_ID, &[&self.encode()]))
    }

    /// Whether `key` is the epoch's key.
    ///
    /// # Errors
    /// [`ManifestError::KeyCommitment`].
    pub fn check_key(&self, key: &EpochKey) -> Result<(), ManifestError> {
        self.check_control_key(&key.control())
    }

    /// Whether `key` is the epoch's K_C.
    ///
    /// # Errors
    /// [`ManifestError::KeyCommitment`].
    pub fn check_control_key(&self, key: &ControlKey) -> Result<(), ManifestError> {
        if key.commitment() == self.key_commit {
            return Ok(());
        }
        Err(ManifestError::KeyCommitment)
    }

    /// The parents' keys. Check each against its own manifest before use.
    ///
    /// # Errors
    /// [`ManifestError::KeyCommitment`] for another epoch's key,
    /// [`ManifestError::Parents`] when the minter made them wrong.
    pub fn open_parents(&self, key: &EpochKey) -> Result<Vec<(EpochId, ParentKey)>, ManifestError> {
        self.check_key(key)?;
        if self.parents.is_empty() {
            return Ok(Vec::new());
        }
        let plaintext = crate::seal::decrypt_raw(
            &key.parents_key(self.timeline),
            &PARENTS_NONCE,
            &self.encode_clear(),
            &self.sealed_parents,
        )
        .map_err(|_| ManifestError::Parents)?;
        self.read_parents(&plaintext).ok_or(ManifestError::Parents)
    }

    fn read_parents(&self, plaintext: &[u8]) -> Option<Vec<(EpochId, ParentKey)>> {
        let mut reader = Reader::new(plaintext);
        let mut keys = Vec::with_capacity(self.parents.len());
        for parent in &self.parents {
            let kind = reader.u8().ok()?;
            let bytes = Zeroizing::new(reader.array().ok()?);
            let key = match kind {
                PARENT_CONTROL => ParentKey::Control(ControlKey::from_seed(*bytes)),
                PARENT_EPOCH => ParentKey::Epoch(EpochKey::from_seed(*bytes)),
                _ => return None,
            };
            keys.push((*parent, key));
        }
        reader.is_empty().then_some(keys)
    }

    /// Seals the keys of [`Self::parents`], in their order.
    pub(super) fn seal_parents(&mut self, key: &EpochKey, parents: &[ParentKey]) {
        assert_eq!(parents.len(), self.parents.len(), "one key a parent");
        if parents.is_empty() {
            self.sealed_parents = Vec::new();
            return;
        }
        let mut plaintext = Zeroizing::new(Vec::with_capacity(33 * parents.len()));
        for parent in parents {
            let (kind, bytes) = match parent {
                ParentKey::Control(key) => (PARENT_CONTROL, key.seed()),
                ParentKey::Epoch(key) => (PARENT_EPOCH, key.seed()),
            };
            plaintext.push(kind);
            plaintext.extend_from_slice(bytes);
        }
        self.sealed_parents = crate::seal::encrypt_raw(
            &key.parents_key(self.timeline),
            &PARENTS_NONCE,
            &self.encode_clear(),
            &plaintext,
        );
    }

    /// version ‖ timeline ‖ minter ‖ key_commit ‖ recipients_root ‖ recipients_count u32
    /// ‖ parents u8 ‖ 32 each ‖ auth_heads u8 ‖ 32 each ‖ sealed_parents u16 ‖ bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.encode_clear();
        let length = u16::try_from(self.sealed_parents.len()).expect("bounded by PARENTS_MAX");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.sealed_parents);
        bytes
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let cut = |_: Truncated| ManifestError::Layout;
        let mut reader = Reader::new(bytes);
        let version = reader.u8().map_err(cut)?;
        if version != MANIFEST_VERSION {
            return Err(ManifestError::Version(version));
        }
        let timeline = TimelineId::from_bytes(reader.array().map_err(cut)?);
        let minter = PrincipalKey::from_bytes(reader.array().map_err(cut)?);
        let key_commit = reader.array().map_err(cut)?;
        let recipients_root = reader.array().map_err(cut)?;
        let recipients_count = reader.u32().map_err(cut)?;
        let parents = read_ids(&mut reader, PARENTS_MAX, EpochId::from_bytes)?;
        let auth_heads = read_ids(&mut reader, AUTH_HEADS_MAX, EnvelopeId::from_bytes)?;
        let sealed = usize::from(reader.u16().map_err(cut)?);
        if sealed > SEALED_PARENTS_BYTES_MAX || (sealed == 0) != parents.is_empty() {
            return Err(ManifestError::Layout);
        }
        let sealed_parents = reader.take(sealed).map_err(cut)?.to_vec();
        if !reader.is_empty() {
            return Err(ManifestError::Layout);
        }
        Ok(Self {
            timeline,
            minter,
            key_commit,
            recipients_root,
            recipients_count,
            parents,
            auth_heads,
            sealed_parents,
        })
    }

    /// All but the sealed parents: what is authenticated with them.
    pub(super) fn encode_clear(&self) -> Vec<u8> {
        let mut bytes = vec![MANIFEST_VERSION];
        bytes.extend_from_slice(self.timeline.as_bytes());
        bytes.extend_from_slice(self.minter.as_bytes());
        bytes.extend_from_slice(&self.key_commit);
        bytes.extend_from_slice(&self.recipients_root);
        bytes.extend_from_slice(&self.recipients_count.to_be_bytes());
        bytes.push(u8::try_from(self.parents.len()).expect("at most PARENTS_MAX"));
        bytes.extend(self.parents.iter().flat_map(EpochId::as_bytes));
        bytes.push(u8::try_from(self.auth_heads.len()).expect("at most AUTH_HEADS_MAX"));
        bytes.extend(self.auth_heads.iter().flat_map(EnvelopeId::as_bytes));
        bytes
    }
}

/// The root over inbox keys in ascending order.
pub(super) fn recipients_root(sorted: &[InboxKey]) -> [u8; 32] {
    merkle::root(
        Tree::Recipients,
        sorted.iter().map(|inbox| inbox.as_bytes().as_slice()),
    )
}

fn read_ids<T: Ord>(
    reader: &mut Reader<'_>,
    limit: usize,
    from_bytes: fn([u8; 32]) -> T,
) -> Result<Vec<T>, ManifestError> {
    let cut = |_: Truncated| ManifestError::Layout;
    let count = usize::from(reader.u8().map_err(cut)?);
    if count > limit {
        return Err(ManifestError::Layout);
    }
    let ids = (0..count)
        .map(|_| reader.array().map(from_bytes).map_err(cut))
        .collect::<Result<Vec<T>, _>>()?;
    if !ids.is_sorted_by(|a, b| a < b) {
        return Err(ManifestError::Order);
    }
    Ok(ids)
}
