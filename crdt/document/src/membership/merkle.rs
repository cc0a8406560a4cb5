//! Merkle trees over recipients and wraps: a joiner fetches its one leaf with a
//! proof instead of a key-op of thousands of wraps.
//!
//! `root = H(root, count ‖ top)`: the count lies in the root, so an index has one
//! meaning. An odd node moves up unchanged.

use khlong_crdt::merkle;

use crate::context;
use crate::keys::wrap::{WRAP_BYTES, Wrap};
use khlong_crdt::reader::{Reader, Truncated};

/// Leaves of one tree. Default 2,048: their wraps fit one key-op.
pub const LEAVES_MAX: usize = 2_048;
const DEPTH_MAX: usize = 11;
const _: () = assert!(1 << DEPTH_MAX == LEAVES_MAX);

/// Which tree; each hashes under contexts of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// Leaves are inbox keys, in ascending order.
    Recipients,
    /// Leaves are encoded wraps, in ascending order of their inbox keys.
    Wraps,
}

impl Tree {
    const fn kind(self) -> merkle::Tree {
        match self {
            Self::Recipients => merkle::Tree {
                leaf: context::RECIPIENT_LEAF,
                node: context::RECIPIENT_NODE,
            },
            Self::Wraps => merkle::Tree {
                leaf: context::WRAP_LEAF,
                node: context::WRAP_NODE,
            },
        }
    }

    fn close(self, count: u32, top: &[u8; 32]) -> [u8; 32] {
        let context = match self {
            Self::Recipients => context::RECIPIENT_ROOT,
            Self::Wraps => context::WRAP_ROOT,
        };
        context::derive(context, &[&count.to_be_bytes(), top])
    }
}

/// The root over `leaves`; the top of no leaves is zero.
#[must_use]
pub fn root<'a>(tree: Tree, leaves: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut count = 0_u32;
    let counted = leaves
        .into_iter()
        .inspect(|_| count = count.saturating_add(1));
    let levels = tree.kind().levels(counted);
    tree.close(count, &levels.top())
}

/// That one leaf lies under a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Place of the leaf, from 0.
    pub index: u32,
    /// Leaves of the tree.
    pub count: u32,
    /// From the leaf's level upwards; none where the node is the odd one.
    pub siblings: Vec<[u8; 32]>,
}

/// Bytes that are no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Cut short, too long, or with an impossible index or count.
    #[error("the proof is damaged; fetch it again, from another peer")]
    Layout,
    /// The leaf does not lie under the root.
    #[error("the proof does not lead to the signed root; fetch it from another peer")]
    Root,
}

impl Proof {
    /// The proof of `leaves[index]`; none when there is no such leaf.
    #[must_use]
    pub fn of<'a>(
        tree: Tree,
        leaves: impl IntoIterator<Item = &'a [u8]>,
        index: usize,
    ) -> Option<Self> {
        let leaves: Vec<&[u8]> = leaves.into_iter().collect();
        let count = u32::try_from(leaves.len()).ok()?;
        let index = u32::try_from(index).ok().filter(|index| *index < count)?;
        Some(Self {
            index,
            count,
            siblings: tree.kind().levels(leaves).siblings(index),
        })
    }

    /// Whether `leaf` lies under `root` at the place that the proof names.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, tree: Tree, leaf: &[u8], root: &[u8; 32]) -> Result<(), ProofError> {
        self.check_place()?;
        let place = (self.index, self.count);
        let top = tree
            .kind()
            .climb(leaf, place, &self.siblings)
            .ok_or(ProofError::Layout)?;
        if tree.close(self.count, &top) != *root {
            return Err(ProofError::Root);
        }
        Ok(())
    }

    /// index u32 ‖ count u32 ‖ siblings u8 ‖ 32 each.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9 + 32 * self.siblings.len());
        bytes.extend_from_slice(&self.index.to_be_bytes());
        bytes.extend_from_slice(&self.count.to_be_bytes());
        bytes.push(u8::try_from(self.siblings.len()).expect("a tree is at most 11 deep"));
        bytes.extend(self.siblings.iter().flatten());
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ProofError> {
        let cut = |_: Truncated| ProofError::Layout;
        let index = reader.u32().map_err(cut)?;
        let count = reader.u32().map_err(cut)?;
        let depth = usize::from(reader.u8().map_err(cut)?);
        if depth > DEPTH_MAX {
            return Err(ProofError::Layout);
        }
        let siblings = (0..depth)
            .map(|_| reader.array().map_err(cut))
            .collect::<Result<_, _>>()?;
        let proof = Self {
            index,
            count,
            siblings,
        };
        proof.check_place()?;
        Ok(proof)
    }

    fn check_place(&self) -> Result<(), ProofError> {
        let within = usize::try_from(self.count).is_ok_and(|count| count <= LEAVES_MAX);
        if within && self.index < self.count {
            return Ok(());
        }
        Err(ProofError::Layout)
    }
}

/// One wrap and its proof: the answer to a joiner who fetches only its own leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrapLeaf {
    /// The leaf.
    pub wrap: Wrap,
    /// That it lies under the key-op's wraps_root.
    pub proof: Proof,
}

impl WrapLeaf {
    /// wrap 112 ‖ proof.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [self.wrap.encode().as_slice(), &self.proof.encode()].concat()
    }

    /// Reads a leaf and verifies it against the root in a signed key-op.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn decode(bytes: &[u8], wraps_root: &[u8; 32]) -> Result<Self, ProofError> {
        let mut reader = Reader::new(bytes);
        let wrap = Wrap::read(&mut reader).map_err(|_| ProofError::Layout)?;
        let proof = Proof::read(&mut reader)?;
        if !reader.is_empty() {
            return Err(ProofError::Layout);
        }
        let leaf: [u8; WRAP_BYTES] = wrap.encode();
        proof.verify(Tree::Wraps, &leaf, wraps_root)?;
        Ok(Self { wrap, proof })
    }
}
