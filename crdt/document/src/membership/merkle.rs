//! Merkle trees over recipients and wraps: a joiner fetches its one leaf with a
//! proof instead of a key-op of thousands of wraps.
//!
//! `root = H(root, count ‖ top)`: the count lies in the root, so an index has one
//! meaning. An odd node moves up unchanged.

use crate::context;
use crate::keys::wrap::{WRAP_BYTES, Wrap};
use crate::reader::{Reader, Truncated};

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
    fn leaf(self, bytes: &[u8]) -> [u8; 32] {
        let context = match self {
            Self::Recipients => context::RECIPIENT_LEAF,
            Self::Wraps => context::WRAP_LEAF,
        };
        context::derive(context, &[bytes])
    }

    fn node(self, left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
        let context = match self {
            Self::Recipients => context::RECIPIENT_NODE,
            Self::Wraps => context::WRAP_NODE,
        };
        context::derive(context, &[left, right])
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
    let mut level: Vec<[u8; 32]> = leaves.into_iter().map(|leaf| tree.leaf(leaf)).collect();
    let count = u32::try_from(level.len()).unwrap_or(u32::MAX);
    while level.len() > 1 {
        level = parents(tree, &level);
    }
    tree.close(count, level.first().unwrap_or(&[0; 32]))
}

fn parents(tree: Tree, level: &[[u8; 32]]) -> Vec<[u8; 32]> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => tree.node(left, right),
            [odd] => *odd,
            _ => unreachable!("chunks of two"),
        })
        .collect()
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
        let mut level: Vec<[u8; 32]> = leaves.into_iter().map(|leaf| tree.leaf(leaf)).collect();
        level.get(index)?;
        let count = u32::try_from(level.len()).ok()?;
        let mut siblings = Vec::new();
        let mut place = index;
        while level.len() > 1 {
            siblings.extend(level.get(place ^ 1).copied());
            level = parents(tree, &level);
            place /= 2;
        }
        Some(Self {
            index: u32::try_from(index).ok()?,
            count,
            siblings,
        })
    }

    /// Whether `leaf` lies under `root` at the place that the proof names.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, tree: Tree, leaf: &[u8], root: &[u8; 32]) -> Result<(), ProofError> {
        self.check_place()?;
        let (mut place, mut width) = (self.index, self.count);
        let mut node = tree.leaf(leaf);
        let mut siblings = self.siblings.iter();
        while width > 1 {
            let is_odd_one = place == width - 1 && place % 2 == 0;
            if !is_odd_one {
                let sibling = siblings.next().ok_or(ProofError::Layout)?;
                node = if place % 2 == 0 {
                    tree.node(&node, sibling)
                } else {
                    tree.node(sibling, &node)
                };
            }
            place /= 2;
            width = width.div_ceil(2);
        }
        if siblings.next().is_some() {
            return Err(ProofError::Layout);
        }
        if tree.close(self.count, &node) != *root {
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
