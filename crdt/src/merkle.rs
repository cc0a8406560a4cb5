//! Binary Merkle trees: leaves in the order given, an odd node goes up unchanged. Leaves and
//! nodes of each kind of tree hash under contexts of their own.
//!
//! A proof is the siblings from the leaf's level upwards, none where the node is the odd
//! one: how many there are follows from the place and the number of leaves, so other
//! lengths are refused, and no second count has to be compared.

use crate::context;

/// A kind of tree, by its BLAKE3 contexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree {
    /// Of leaves.
    pub leaf: &'static str,
    /// Of nodes.
    pub node: &'static str,
}

/// Every level of a tree, leaves first, the top last and alone.
#[derive(Debug)]
pub struct Levels(Vec<Vec<[u8; 32]>>);

impl Tree {
    /// The whole tree over `leaves`.
    #[must_use]
    pub fn levels<'a>(self, leaves: impl IntoIterator<Item = &'a [u8]>) -> Levels {
        let mut levels = Vec::new();
        let mut level: Vec<[u8; 32]> = leaves.into_iter().map(|leaf| self.leaf(leaf)).collect();
        while level.len() > 1 {
            let above = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => self.node(left, right),
                    [single] => *single,
                    other => unreachable!("chunks(2) gave {} nodes", other.len()),
                })
                .collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Levels(levels)
    }

    /// The top over `leaf` at `place` of `width` leaves and its siblings. None where there
    /// is no such place, or the number of siblings is another.
    #[must_use]
    pub fn climb(
        self,
        leaf: &[u8],
        (place, width): (u32, u32),
        siblings: &[[u8; 32]],
    ) -> Option<[u8; 32]> {
        let way = way_up(place, width)?;
        if way.len() != siblings.len() {
            return None;
        }
        let steps = way.iter().zip(siblings);
        Some(
            steps.fold(self.leaf(leaf), |node, (side, sibling)| match side {
                Side::Left => self.node(sibling, &node),
                Side::Right => self.node(&node, sibling),
            }),
        )
    }

    fn leaf(self, bytes: &[u8]) -> [u8; 32] {
        *context::hasher(self.leaf)
            .update(bytes)
            .finalize()
            .as_bytes()
    }

    fn node(self, left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
        let mut hasher = context::hasher(self.node);
        *hasher.update(left).update(right).finalize().as_bytes()
    }
}

impl Levels {
    /// The top; of no leaves 32 zero bytes.
    #[must_use]
    pub fn top(&self) -> [u8; 32] {
        let top = self.0.last().and_then(|level| level.first());
        top.copied().unwrap_or_default()
    }

    /// The proof of the leaf at `place`, from 0.
    #[must_use]
    pub fn siblings(&self, place: u32) -> Vec<[u8; 32]> {
        let beside = |(height, level): (usize, &Vec<[u8; 32]>)| {
            let place = usize::try_from(place).ok()? >> height;
            level.get(place ^ 1).copied()
        };
        self.0.iter().enumerate().filter_map(beside).collect()
    }
}

/// How many siblings a proof has; none where there is no such leaf.
#[must_use]
pub fn proof_length(place: u32, width: u32) -> Option<usize> {
    way_up(place, width).map(|way| way.len())
}

/// Where a sibling stands, seen from the way up.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

/// The sides of the siblings from leaf `place` of `width` up to the top.
fn way_up(mut place: u32, mut width: u32) -> Option<Vec<Side>> {
    if place >= width {
        return None;
    }
    let mut sides = Vec::new();
    while width > 1 {
        if place % 2 == 1 {
            sides.push(Side::Left);
        } else if place + 1 < width {
            sides.push(Side::Right);
        }
        place /= 2;
        width = width.div_ceil(2);
    }
    Some(sides)
}
