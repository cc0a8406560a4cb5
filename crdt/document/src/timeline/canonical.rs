//! Equality of replicas: the canonical save and the state hash.
//!
//! Two `save()`s of equal documents differ when their changes arrived in another
//! order. So: topological order, lowest hash first, one batch, fresh document.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use automerge::{ActorId, Automerge, AutomergeError, Change, ChangeHash};

use super::genesis::{DocumentKind, PAGE_GENESIS, STATE_GENESIS};
use super::page::{Page, PageAddress};

const PAGE_CONTEXT: &str = "khlong.network 2026-11 page state v1";
const STATE_CONTEXT: &str = "khlong.network 2026-11 timeline state v1";

/// The hash of a frozen genesis change: the last 4 + its content decide it.
pub(crate) fn genesis_hash(kind: DocumentKind) -> ChangeHash {
    static PAGE: OnceLock<ChangeHash> = OnceLock::new();
    static STATE: OnceLock<ChangeHash> = OnceLock::new();
    let (cell, bytes) = match kind {
        DocumentKind::Page => (&PAGE, PAGE_GENESIS),
        DocumentKind::State => (&STATE, STATE_GENESIS),
    };
    *cell.get_or_init(|| genesis_change(bytes).hash())
}

#[expect(
    clippy::expect_used,
    reason = "frozen bytes, compared by a golden test"
)]
fn genesis_change(bytes: &[u8]) -> Change {
    Change::try_from(bytes).expect("the frozen genesis is a change")
}

/// The document of a page, built in canonical order.
pub(crate) fn document(page: &Page) -> Result<Automerge, AutomergeError> {
    let mut changes = vec![genesis_change(page.kind().genesis())];
    changes.extend(topological(page));
    // `new` draws a random actor, which must not reach a save.
    let mut document = Automerge::new().with_actor(ActorId::from([0_u8; 32]));
    document.apply_changes(changes)?;
    Ok(document)
}

/// Applied changes, each behind its dependencies, the lowest hash first.
fn topological(page: &Page) -> Vec<Change> {
    let genesis = genesis_hash(page.kind());
    let mut missing: BTreeMap<ChangeHash, usize> = BTreeMap::new();
    let mut followers: BTreeMap<ChangeHash, Vec<ChangeHash>> = BTreeMap::new();
    let mut bytes: BTreeMap<ChangeHash, &[u8]> = BTreeMap::new();
    let mut free = BTreeSet::new();
    for change in page.applied() {
        let dependencies: BTreeSet<_> = change
            .dependencies
            .iter()
            .filter(|hash| **hash != genesis)
            .collect();
        if dependencies.is_empty() {
            free.insert(change.hash);
        }
        missing.insert(change.hash, dependencies.len());
        for dependency in dependencies {
            followers.entry(*dependency).or_default().push(change.hash);
        }
        bytes.insert(change.hash, &change.bytes);
    }
    let mut ordered = Vec::with_capacity(bytes.len());
    while let Some(hash) = free.pop_first() {
        ordered.extend(
            bytes
                .get(&hash)
                .and_then(|bytes| Change::try_from(*bytes).ok()),
        );
        for follower in followers.remove(&hash).unwrap_or_default() {
            if let Some(left) = missing.get_mut(&follower) {
                *left -= 1;
                if *left == 0 {
                    free.insert(follower);
                }
            }
        }
    }
    ordered
}

/// Hash over the sorted change hashes of one page.
pub(crate) fn page_hash(page: &Page) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(PAGE_CONTEXT);
    for hash in page.hashes() {
        hasher.update(&hash.0);
    }
    *hasher.finalize().as_bytes()
}

/// Hash over all pages that hold a change.
pub(crate) fn state_hash(pages: impl Iterator<Item = (PageAddress, [u8; 32])>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(STATE_CONTEXT);
    for (address, hash) in pages {
        hasher.update(&[address.kind as u8]);
        hasher.update(&address.n.to_be_bytes());
        hasher.update(address.lineage.as_bytes());
        hasher.update(&hash);
    }
    *hasher.finalize().as_bytes()
}
