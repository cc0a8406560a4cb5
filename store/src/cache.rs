//! What a store keeps in memory of its own tables: heads and admissions.
//!
//! Only committed values are kept. A commit forgets whatever it wrote, and the
//! next reader fetches it again; so a cache is never ahead of the disk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use khlong_crdt::class::Class;
use khlong_crdt::id::TimelineId;

use crate::error::StoreError;
use crate::limits::{ADMISSIONS_CACHED_MAX, TIMELINE_HEADS_CACHED_MAX};
use crate::table::Table;
use crate::tables::admission::AdmissionLog;
use crate::tables::timelines::{ClassHead, TimelineHead};
use crate::write_set::WriteSet;

/// Heads by their key, admissions by timeline; each bounded, emptied when full.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    class_heads: RefCell<BTreeMap<Class, ClassHead>>,
    heads: RefCell<BTreeMap<Vec<u8>, TimelineHead>>,
    admissions: RefCell<BTreeMap<[u8; 32], Arc<AdmissionLog>>>,
}

impl Caches {
    pub(crate) fn class_head(
        &self,
        class: Class,
        load: impl FnOnce() -> Result<ClassHead, StoreError>,
    ) -> Result<ClassHead, StoreError> {
        if let Some(head) = self.class_heads.borrow().get(&class) {
            return Ok(*head);
        }
        let head = load()?;
        insert(&self.class_heads, class, head, Class::ALL.len());
        Ok(head)
    }

    pub(crate) fn head(
        &self,
        key: &[u8],
        load: impl FnOnce() -> Result<TimelineHead, StoreError>,
    ) -> Result<TimelineHead, StoreError> {
        if let Some(head) = self.heads.borrow().get(key) {
            return Ok(*head);
        }
        let head = load()?;
        insert(&self.heads, key.to_vec(), head, TIMELINE_HEADS_CACHED_MAX);
        Ok(head)
    }

    pub(crate) fn admission(
        &self,
        timeline: &TimelineId,
        load: impl FnOnce() -> Result<Option<AdmissionLog>, StoreError>,
    ) -> Result<Option<Arc<AdmissionLog>>, StoreError> {
        if let Some(admission) = self.admissions.borrow().get(timeline.as_bytes()) {
            return Ok(Some(Arc::clone(admission)));
        }
        // A timeline that is not known is not kept: nobody fills the cache by asking.
        let Some(admission) = load()?.map(Arc::new) else {
            return Ok(None);
        };
        self.keep_admission(timeline, Arc::clone(&admission));
        Ok(Some(admission))
    }

    /// What is committed, and need not be replayed to be known.
    pub(crate) fn keep_admission(&self, timeline: &TimelineId, admission: Arc<AdmissionLog>) {
        let key = *timeline.as_bytes();
        insert(&self.admissions, key, admission, ADMISSIONS_CACHED_MAX);
    }

    /// Forgets what a commit has changed.
    pub(crate) fn absorb(&self, writes: &WriteSet) {
        self.class_heads.borrow_mut().clear();
        let (mut heads, mut admissions) = (self.heads.borrow_mut(), self.admissions.borrow_mut());
        for (table, key, _) in writes.iter() {
            if table == Table::TimelineHead {
                heads.remove(key);
            } else if table == Table::Admission
                && let Some(timeline) = key.first_chunk::<32>()
            {
                admissions.remove(timeline);
            }
        }
    }
}

fn insert<K: Ord, V>(cache: &RefCell<BTreeMap<K, V>>, key: K, value: V, max: usize) {
    let mut cache = cache.borrow_mut();
    if cache.len() >= max {
        cache.clear();
    }
    cache.insert(key, value);
}
