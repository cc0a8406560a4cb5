//! The epoch keys of one timeline, as they become known.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::id::EpochId;

use super::event::Refused;
use super::limits::EPOCHS_MAX;
use crate::keys::epoch::EpochKey;
use crate::membership::manifest::{Manifest, ParentKey};

#[derive(Debug, Default)]
pub(crate) struct Epochs {
    manifests: BTreeMap<EpochId, Manifest>,
    keys: BTreeMap<EpochId, EpochKey>,
    /// Named by a child's manifest; to be checked once their own manifest is here.
    unchecked: BTreeMap<EpochId, EpochKey>,
}

impl Epochs {
    /// Notes a manifest. Keys that waited for it are learnt.
    pub(crate) fn add_manifest(&mut self, manifest: &Manifest) -> Result<Vec<EpochId>, Refused> {
        let id = manifest.epoch_id();
        if self.is_full() && !self.manifests.contains_key(&id) {
            return Err(Refused::EpochsFull);
        }
        self.manifests.entry(id).or_insert_with(|| manifest.clone());
        Ok(match self.unchecked.remove(&id) {
            // Its own minter vouches for this one; the other's fault is not told here.
            Some(key) => self.learn(id, key).unwrap_or_default(),
            None => Vec::new(),
        })
    }

    /// Whether no other manifest has room.
    pub(crate) fn is_full(&self) -> bool {
        self.manifests.len() == EPOCHS_MAX
    }

    pub(crate) fn has_manifest(&self, id: &EpochId) -> bool {
        self.manifests.contains_key(id)
    }

    /// Takes a key, checks it, and opens what it opens: in `full` timelines the
    /// parents' keys. Returns the epochs that are new.
    pub(crate) fn learn(&mut self, id: EpochId, key: EpochKey) -> Result<Vec<EpochId>, Refused> {
        let mut learnt = Vec::new();
        let mut found = vec![(id, key)];
        while let Some((id, key)) = found.pop() {
            if self.keys.contains_key(&id) {
                continue;
            }
            let Some(manifest) = self.manifests.get(&id) else {
                if self.unchecked.len() == EPOCHS_MAX && !self.unchecked.contains_key(&id) {
                    return Err(Refused::EpochsFull);
                }
                self.unchecked.insert(id, key);
                continue;
            };
            manifest.check_key(&key).map_err(Refused::Manifest)?;
            let parents = manifest.open_parents(&key).map_err(Refused::Manifest)?;
            for (parent, parent_key) in parents {
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
