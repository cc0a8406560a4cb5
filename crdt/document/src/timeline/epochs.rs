//! The epoch keys of one timeline, as they become known.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::id::EpochId;

use crate::keys::epoch::EpochKey;
use crate::membership::manifest::{Manifest, ManifestError, ParentKey};

/// Epochs kept; far more than removals in the life of a timeline.
pub(crate) const EPOCHS_MAX: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Epochs {
    manifests: BTreeMap<EpochId, Manifest>,
    keys: BTreeMap<EpochId, EpochKey>,
    /// Named by a child's manifest; to be checked once their own manifest is here.
    unchecked: BTreeMap<EpochId, EpochKey>,
}

impl Epochs {
    /// Notes a manifest. Keys that waited for it are learnt.
    pub(crate) fn add_manifest(&mut self, manifest: &Manifest) -> Vec<EpochId> {
        let id = manifest.epoch_id();
        if self.manifests.len() < EPOCHS_MAX {
            self.manifests.entry(id).or_insert_with(|| manifest.clone());
        }
        match self.unchecked.remove(&id) {
            Some(key) => self.learn(id, key).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    pub(crate) fn has_manifest(&self, id: &EpochId) -> bool {
        self.manifests.contains_key(id)
    }

    /// Takes a key, checks it, and opens what it opens: in `full` timelines the
    /// parents' keys. Returns the epochs that are new.
    pub(crate) fn learn(
        &mut self,
        id: EpochId,
        key: EpochKey,
    ) -> Result<Vec<EpochId>, ManifestError> {
        let mut learnt = Vec::new();
        let mut found = vec![(id, key)];
        while let Some((id, key)) = found.pop() {
            if self.keys.contains_key(&id) {
                continue;
            }
            let Some(manifest) = self.manifests.get(&id) else {
                if self.unchecked.len() < EPOCHS_MAX {
                    self.unchecked.insert(id, key);
                }
                continue;
            };
            manifest.check_key(&key)?;
            for (parent, parent_key) in manifest.open_parents(&key)? {
                match parent_key {
                    ParentKey::Epoch(key) => found.push((parent, key)),
                    // Opens who did what, not what was said.
                    ParentKey::Control(_) => {}
                }
            }
            self.keys.insert(id, key);
            learnt.push(id);
        }
        Ok(learnt)
    }

    pub(crate) fn key(&self, id: &EpochId) -> Option<&EpochKey> {
        self.keys.get(id)
    }

    /// Epochs that no known epoch continues and whose key is here.
    pub(crate) fn maximal(&self) -> Vec<(EpochId, &EpochKey)> {
        let parents: BTreeSet<&EpochId> = self
            .manifests
            .values()
            .flat_map(|manifest| &manifest.parents)
            .collect();
        self.keys
            .iter()
            .filter(|(id, _)| !parents.contains(id))
            .map(|(id, key)| (*id, key))
            .collect()
    }

    /// The epoch to write under: the lowest of the maximal ones.
    pub(crate) fn current(&self) -> Option<(EpochId, &EpochKey)> {
        self.maximal().into_iter().next()
    }
}
