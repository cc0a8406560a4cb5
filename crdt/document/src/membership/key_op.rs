//! Key-ops: a new epoch with its wraps (mint), or wraps added to one (grant).

use khlong_crdt::envelope::Kind;
use khlong_crdt::id::{EpochId, InboxKey, TimelineId};
use rand_core::CryptoRng;

use super::manifest::{AUTH_HEADS_MAX, Manifest, ManifestError, PARENTS_MAX, recipients_root};
use super::merkle::{self, LEAVES_MAX, Proof, Tree, WrapLeaf};
use crate::keys::epoch::EpochKey;
use crate::keys::inbox::InboxSecret;
use crate::keys::wrap::{WRAP_BYTES, Wrap, WrapError};
use khlong_crdt::reader::{Reader, Truncated};

/// Recipients of one mint or grant.
pub const RECIPIENTS_MAX: usize = LEAVES_MAX;
const MANIFEST_BYTES_MAX: usize =
    1 + 4 * 32 + 4 + 2 + 32 * (PARENTS_MAX + AUTH_HEADS_MAX) + 2 + 33 * PARENTS_MAX + 16;
const _: () = assert!(
    2 + 4 + MANIFEST_BYTES_MAX + 32 + 2 + RECIPIENTS_MAX * WRAP_BYTES
        <= Kind::KeyOp.body_bytes_max(),
    "the largest mint fits one envelope"
);

const KEY_OP_VERSION: u8 = 1;
const TAG_MINT: u8 = 1;
const TAG_GRANT: u8 = 2;

/// The body of a key-op.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "read, used and dropped one at a time"
)]
pub enum KeyOp {
    /// A new epoch. [`KeyOp::decode`] gives only mints whose wraps are exactly for
    /// the manifest's recipients.
    Mint {
        /// What the epoch id stands for.
        manifest: Manifest,
        /// Merkle root over the wraps.
        wraps_root: [u8; 32],
        /// One a recipient, ascending by inbox key.
        wraps: Vec<Wrap>,
    },
    /// An existing epoch for more recipients: a newcomer, or a member whom the
    /// minter did not know.
    Grant {
        /// Which epoch.
        epoch_id: EpochId,
        /// One a recipient, ascending by inbox key.
        wraps: Vec<Wrap>,
    },
}

/// Why bytes are no key-op.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyOpError {
    /// Cut short, trailing bytes, or too many wraps.
    #[error("the layout of the key-op is damaged")]
    Layout,
    /// Made by a newer program.
    #[error("a key-op of version {0}; upgrade this program")]
    Version(u8),
    /// Made by a newer program.
    #[error("a key-op with tag {0}; upgrade this program")]
    Tag(u8),
    /// The manifest inside.
    #[error("the manifest of the key-op is wrong")]
    Manifest(#[source] ManifestError),
    /// Not ascending by inbox key, or two for one.
    #[error("the wraps are not in ascending order")]
    Order,
    /// The wraps are not those of the recipients, or not those of the root.
    #[error("the wraps do not fit the roots; the minter is at fault")]
    Roots,
}

impl KeyOp {
    /// The epoch that it speaks of.
    #[must_use]
    pub fn epoch_id(&self) -> EpochId {
        match self {
            Self::Mint { manifest, .. } => manifest.epoch_id(),
            Self::Grant { epoch_id, .. } => *epoch_id,
        }
    }

    /// The wraps, ascending by inbox key.
    #[must_use]
    pub fn wraps(&self) -> &[Wrap] {
        match self {
            Self::Mint { wraps, .. } | Self::Grant { wraps, .. } => wraps,
        }
    }

    /// Gives an existing epoch to more inboxes.
    ///
    /// # Errors
    /// [`WrapError::Box`] for an inbox key of low order.
    ///
    /// # Panics
    /// With more than [`RECIPIENTS_MAX`] recipients: split them.
    pub fn grant(
        timeline: TimelineId,
        epoch_id: EpochId,
        key: &EpochKey,
        recipients: &[InboxKey],
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, WrapError> {
        let wraps = wrap_to(timeline, epoch_id, key, recipients, rng)?;
        Ok(Self::Grant { epoch_id, wraps })
    }

    /// The epoch's key, if there is a wrap for `inbox`. The key of a mint is checked
    /// against its manifest; check that of a grant with [`Manifest::check_key`].
    ///
    /// # Errors
    /// [`WrapError`] when there is a wrap and it is wrong, or the timeline is another.
    pub fn unwrap(
        &self,
        timeline: TimelineId,
        inbox: &InboxSecret,
    ) -> Result<Option<(EpochId, EpochKey)>, WrapError> {
        if let Self::Mint { manifest, .. } = self
            && manifest.timeline != timeline
        {
            return Err(WrapError::Timeline);
        }
        let Some(wrap) = self.find(inbox.public()) else {
            return Ok(None);
        };
        let epoch_id = self.epoch_id();
        let key = wrap.open(timeline, epoch_id, inbox)?;
        if let Self::Mint { manifest, .. } = self {
            manifest
                .check_key(&key)
                .map_err(|_| WrapError::KeyCommitment)?;
        }
        Ok(Some((epoch_id, key)))
    }

    /// The leaf of one recipient with its proof; none when there is no wrap for it.
    #[must_use]
    pub fn leaf(&self, inbox: InboxKey) -> Option<WrapLeaf> {
        let index = self
            .wraps()
            .binary_search_by_key(&inbox, |wrap| wrap.inbox)
            .ok()?;
        let leaves: Vec<_> = self.wraps().iter().map(Wrap::encode).collect();
        let proof = Proof::of(
            Tree::Wraps,
            leaves.iter().map(<[u8; WRAP_BYTES]>::as_slice),
            index,
        )?;
        Some(WrapLeaf {
            wrap: self.wraps().get(index)?.clone(),
            proof,
        })
    }

    /// version ‖ 1 ‖ manifest u32 ‖ manifest ‖ wraps_root 32 ‖ wraps, or
    /// version ‖ 2 ‖ epoch_id 32 ‖ wraps; wraps = count u16 ‖ 112 each.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![KEY_OP_VERSION];
        match self {
            Self::Mint {
                manifest,
                wraps_root,
                ..
            } => {
                let manifest = manifest.encode();
                let length = u32::try_from(manifest.len()).expect("bounded by its lists");
                bytes.push(TAG_MINT);
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(&manifest);
                bytes.extend_from_slice(wraps_root);
            }
            Self::Grant { epoch_id, .. } => {
                bytes.push(TAG_GRANT);
                bytes.extend_from_slice(epoch_id.as_bytes());
            }
        }
        let count = u16::try_from(self.wraps().len()).expect("at most RECIPIENTS_MAX");
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend(self.wraps().iter().flat_map(Wrap::encode));
        bytes
    }

    /// Reads a key-op and checks that its parts fit each other.
    ///
    /// # Errors
    /// [`KeyOpError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, KeyOpError> {
        let cut = |_: Truncated| KeyOpError::Layout;
        let mut reader = Reader::new(bytes);
        let version = reader.u8().map_err(cut)?;
        if version != KEY_OP_VERSION {
            return Err(KeyOpError::Version(version));
        }
        match reader.u8().map_err(cut)? {
            TAG_MINT => {
                let length = reader.u32().map_err(cut)? as usize;
                let manifest = Manifest::decode(reader.take(length).map_err(cut)?)
                    .map_err(KeyOpError::Manifest)?;
                let wraps_root = reader.array().map_err(cut)?;
                let wraps = read_wraps(reader)?;
                check_roots(&manifest, &wraps_root, &wraps)?;
                Ok(Self::Mint {
                    manifest,
                    wraps_root,
                    wraps,
                })
            }
            TAG_GRANT => {
                let epoch_id = EpochId::from_bytes(reader.array().map_err(cut)?);
                Ok(Self::Grant {
                    epoch_id,
                    wraps: read_wraps(reader)?,
                })
            }
            unknown => Err(KeyOpError::Tag(unknown)),
        }
    }

    fn find(&self, inbox: InboxKey) -> Option<&Wrap> {
        let index = self
            .wraps()
            .binary_search_by_key(&inbox, |wrap| wrap.inbox)
            .ok()?;
        self.wraps().get(index)
    }
}

/// One wrap a recipient, ascending and without repeats.
pub(super) fn wrap_to(
    timeline: TimelineId,
    epoch_id: EpochId,
    key: &EpochKey,
    recipients: &[InboxKey],
    rng: &mut dyn CryptoRng,
) -> Result<Vec<Wrap>, WrapError> {
    let mut sorted = recipients.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    assert!(
        sorted.len() <= RECIPIENTS_MAX,
        "a key-op has at most {RECIPIENTS_MAX} recipients"
    );
    sorted
        .into_iter()
        .map(|inbox| Wrap::seal(timeline, epoch_id, inbox, key, rng))
        .collect()
}

pub(super) fn wraps_root(wraps: &[Wrap]) -> [u8; 32] {
    let leaves: Vec<_> = wraps.iter().map(Wrap::encode).collect();
    merkle::root(Tree::Wraps, leaves.iter().map(<[u8; WRAP_BYTES]>::as_slice))
}

fn read_wraps(mut reader: Reader<'_>) -> Result<Vec<Wrap>, KeyOpError> {
    let cut = |_: Truncated| KeyOpError::Layout;
    let count = usize::from(reader.u16().map_err(cut)?);
    if count > RECIPIENTS_MAX {
        return Err(KeyOpError::Layout);
    }
    let wraps = (0..count)
        .map(|_| Wrap::read(&mut reader).map_err(cut))
        .collect::<Result<Vec<_>, _>>()?;
    if !reader.is_empty() {
        return Err(KeyOpError::Layout);
    }
    if !wraps.is_sorted_by(|a, b| a.inbox < b.inbox) {
        return Err(KeyOpError::Order);
    }
    Ok(wraps)
}

fn check_roots(
    manifest: &Manifest,
    declared_root: &[u8; 32],
    wraps: &[Wrap],
) -> Result<(), KeyOpError> {
    let inboxes: Vec<InboxKey> = wraps.iter().map(|wrap| wrap.inbox).collect();
    let counted = usize::try_from(manifest.recipients_count) == Ok(inboxes.len());
    if counted
        && recipients_root(&inboxes) == manifest.recipients_root
        && wraps_root(wraps) == *declared_root
    {
        return Ok(());
    }
    Err(KeyOpError::Roots)
}
