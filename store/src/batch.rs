//! The ordered overlay above an engine: what a core has decided but not committed.
//!
//! Reads merge the overlay with the engine, so a core sees its own writes;
//! nothing reaches the engine before [`Batch::into_writes`] and a commit. The
//! merge is ours, in one place, so it is the same on both engines: that is why
//! there is no `WriteBatchWithIndex` and there are no merge operators.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use khlong_crdt::id::TimelineId;

use crate::cache::Caches;
use crate::engine::{Direction, Engine};
use crate::error::StoreError;
use crate::identity::LogIdentity;
use crate::key::KeyRange;
use crate::limits::{
    ADMISSIONS_OPEN_MAX, BATCH_BYTES_MAX, BATCH_ROW_BYTES, KEY_BYTES_MAX, VALUE_BYTES_MAX,
};
use crate::record;
use crate::rows::{Committed, EachRowVisitor, Rows};
use crate::table::{Status, Table};
use crate::tables::admission::AdmissionLog;
use crate::write_set::WriteSet;

/// The writes of a batch without its engine: what a core that owns its store
/// keeps between two calls. See [`Batch::into_overlay`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
    bytes: usize,
    /// What the auth-ops in it have led to; derived from the rows.
    admissions: BTreeMap<TimelineId, Arc<AdmissionLog>>,
}

impl Overlay {
    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// What it holds, against [`BATCH_BYTES_MAX`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The writes, each value with its checksum.
    #[must_use]
    pub fn into_writes(self) -> WriteSet {
        let mut writes = WriteSet::new();
        for (table, rows) in self.tables {
            for (key, payload) in rows {
                match payload {
                    Some(payload) => {
                        let sealed = record::seal(table, &key, payload);
                        writes.put(table, key, sealed);
                    }
                    None => writes.delete(table, key),
                }
            }
        }
        writes
    }

    pub(crate) fn take_admissions(&mut self) -> BTreeMap<TimelineId, Arc<AdmissionLog>> {
        std::mem::take(&mut self.admissions)
    }

    /// The same, for who must keep the overlay in case the engine is busy: a copy
    /// is made of each row once.
    #[must_use]
    pub fn writes(&self) -> WriteSet {
        let mut writes = WriteSet::new();
        for (table, rows) in &self.tables {
            for (key, payload) in rows {
                match payload {
                    Some(payload) => {
                        let mut copy = Vec::with_capacity(payload.len() + record::TRAILER_BYTES);
                        copy.extend_from_slice(payload);
                        writes.put(*table, key.clone(), record::seal(*table, key, copy));
                    }
                    None => writes.delete(*table, key.clone()),
                }
            }
        }
        writes
    }

    pub(crate) fn rows(&self, table: Table) -> Option<&BTreeMap<Vec<u8>, Option<Vec<u8>>>> {
        self.tables.get(&table)
    }
}

/// An overlay on its engine.
pub struct Batch<'e> {
    pub(crate) engine: &'e dyn Engine,
    pub(crate) caches: Option<&'e Caches>,
    pub(crate) identity: LogIdentity,
    pub(crate) overlay: Overlay,
    /// What stood where [`Self::atomically`] has written since it began.
    undo: Option<Vec<Undo>>,
}

/// One write, backwards. `before` is `None` where the overlay had no say.
struct Undo {
    table: Table,
    key: Vec<u8>,
    before: Option<Option<Vec<u8>>>,
}

impl<'e> Batch<'e> {
    /// An empty batch on a bare engine, for migrations and tests of engines.
    /// Cores take theirs from [`crate::store::Store::batch`].
    #[must_use]
    pub fn over(engine: &'e dyn Engine) -> Self {
        Self::on(engine, None, LogIdentity::default(), Overlay::default())
    }

    pub(crate) fn on(
        engine: &'e dyn Engine,
        caches: Option<&'e Caches>,
        identity: LogIdentity,
        overlay: Overlay,
    ) -> Self {
        Self {
            engine,
            caches,
            identity,
            overlay,
            undo: None,
        }
    }

    /// Runs `write`; if it fails, the batch is as it was before. What belongs together
    /// (the rows of one envelope) is written in it, so that a row that cannot be read
    /// costs this envelope and leaves nothing of it.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn atomically<T, E>(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        // One list for all levels: where a panic passes through an inner one, the outer one that
        // catches it takes all of that back.
        let is_outermost = self.undo.is_none();
        let mark = self.undo.get_or_insert_default().len();
        let outcome = write(self);
        if outcome.is_err() {
            let written = self.undo.as_mut().map(|undo| undo.split_off(mark));
            self.roll_back(written.unwrap_or_default());
        }
        if is_outermost {
            self.undo = None;
        }
        outcome
    }

    pub(crate) fn kept_admission(&self, timeline: &TimelineId) -> Option<Arc<AdmissionLog>> {
        self.overlay.admissions.get(timeline).cloned()
    }

    pub(crate) fn keep_admission(&mut self, timeline: TimelineId, log: Arc<AdmissionLog>) {
        if self.overlay.admissions.len() >= ADMISSIONS_OPEN_MAX {
            self.overlay.admissions.clear();
        }
        self.overlay.admissions.insert(timeline, log);
    }

    pub(crate) fn forget_admission(&mut self, timeline: &TimelineId) {
        self.overlay.admissions.remove(timeline);
    }

    fn roll_back(&mut self, written: Vec<Undo>) {
        if written.iter().any(|undo| undo.table == Table::Admission) {
            self.overlay.admissions.clear();
        }
        for Undo { table, key, before } in written.into_iter().rev() {
            let rows = self.overlay.tables.entry(table).or_default();
            let now = rows.get(&key).map_or(0, |row| cost(&key, row.as_ref()));
            self.overlay.bytes -= now;
            match before {
                Some(row) => {
                    self.overlay.bytes += cost(&key, row.as_ref());
                    rows.insert(key, row);
                }
                None => {
                    rows.remove(&key);
                }
            }
        }
        self.overlay.tables.retain(|_, rows| !rows.is_empty());
    }

    /// Sets `key` to `payload`.
    ///
    /// # Errors
    /// [`StoreError::BatchFull`]: commit, then go on. [`StoreError::RowTooLarge`].
    ///
    /// # Panics
    /// If the table is retired: that is a bug of the caller.
    pub fn put(&mut self, table: Table, key: Vec<u8>, payload: Vec<u8>) -> Result<(), StoreError> {
        assert_eq!(
            table.row().status,
            Status::Live,
            "table {} is retired",
            table.name()
        );
        let bytes = key.len() + payload.len();
        if key.len() > KEY_BYTES_MAX || payload.len() > VALUE_BYTES_MAX {
            return Err(StoreError::RowTooLarge {
                table: table.name(),
                bytes,
                max: KEY_BYTES_MAX + VALUE_BYTES_MAX,
            });
        }
        self.write(table, key, Some(payload))
    }

    /// Deletes `key`, whether it exists or not.
    ///
    /// # Errors
    /// [`StoreError::BatchFull`]: commit, then go on.
    pub fn delete(&mut self, table: Table, key: Vec<u8>) -> Result<(), StoreError> {
        self.write(table, key, None)
    }

    /// Whether `bytes` more would still fit.
    #[must_use]
    pub fn has_room_for(&self, bytes: usize) -> bool {
        self.overlay.bytes + bytes <= BATCH_BYTES_MAX
    }

    /// The name of the class logs that it reads and appends to.
    #[must_use]
    pub fn identity(&self) -> LogIdentity {
        self.identity
    }

    /// Whether anything was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.overlay.is_empty()
    }

    /// What the batch holds, against [`BATCH_BYTES_MAX`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.overlay.bytes
    }

    /// The writes, ready for a commit.
    #[must_use]
    pub fn into_writes(self) -> WriteSet {
        self.overlay.into_writes()
    }

    /// The writes, to go on later with [`crate::store::Store::batch_on`].
    #[must_use]
    pub fn into_overlay(self) -> Overlay {
        self.overlay
    }

    fn write(
        &mut self,
        table: Table,
        key: Vec<u8>,
        payload: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let replaced = self.overlay.rows(table).and_then(|rows| rows.get(&key));
        let freed = replaced.map_or(0, |old| cost(&key, old.as_ref()));
        let bytes = self.overlay.bytes - freed + cost(&key, payload.as_ref());
        if bytes > BATCH_BYTES_MAX {
            return Err(StoreError::BatchFull {
                bytes,
                max: BATCH_BYTES_MAX,
            });
        }
        self.overlay.bytes = bytes;
        let noted = self.undo.is_some().then(|| key.clone());
        let rows = self.overlay.tables.entry(table).or_default();
        let before = rows.insert(key, payload);
        if let (Some(undo), Some(key)) = (&mut self.undo, noted) {
            undo.push(Undo { table, key, before });
        }
        Ok(())
    }

    pub(crate) fn touches(&self, table: Table, range: &KeyRange) -> bool {
        self.overlay.rows(table).is_some_and(|rows| {
            let from = rows
                .range::<[u8], _>((Bound::Included(range.start.as_slice()), Bound::Unbounded))
                .next();
            from.is_some_and(|(key, _)| range.contains(key))
        })
    }
}

/// What a row of the overlay counts.
fn cost(key: &[u8], payload: Option<&Vec<u8>>) -> usize {
    BATCH_ROW_BYTES + key.len() + payload.map_or(0, Vec::len)
}

impl Rows for Batch<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.overlay.rows(table).and_then(|rows| rows.get(key)) {
            Some(written) => Ok(written.clone()),
            None => Committed(self.engine).get(table, key),
        }
    }

    fn scan_each(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut EachRowVisitor<'_>,
    ) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let Some(rows) = self.overlay.rows(table) else {
            return Committed(self.engine).scan_each(table, range, direction, visit);
        };
        let end = range.end.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let written = rows.range::<Vec<u8>, _>((Bound::Included(&range.start), end));
        match direction {
            Direction::Forward => merge(self.engine, table, range, direction, written, visit),
            Direction::Reverse => merge(self.engine, table, range, direction, written.rev(), visit),
        }
    }
}

/// Shows the rows of the engine and of the overlay in one order; the overlay wins.
fn merge<'b>(
    engine: &dyn Engine,
    table: Table,
    range: &KeyRange,
    direction: Direction,
    written: impl Iterator<Item = (&'b Vec<u8>, &'b Option<Vec<u8>>)>,
    visit: &mut EachRowVisitor<'_>,
) -> Result<(), StoreError> {
    let mut written = written.peekable();
    let mut ended = false;
    let comes_first = |mine: &[u8], theirs: &[u8]| match direction {
        Direction::Forward => mine < theirs,
        Direction::Reverse => mine > theirs,
    };
    Committed(engine).scan_each(table, range, direction, &mut |key, payload| {
        while let Some((mine, value)) = written.next_if(|(mine, _)| comes_first(mine, key)) {
            if let Some(value) = value
                && visit(mine, Ok(value))?.is_break()
            {
                ended = true;
                return Ok(ControlFlow::Break(()));
            }
        }
        let flow = match written.next_if(|(mine, _)| mine.as_slice() == key) {
            Some((_, None)) => ControlFlow::Continue(()),
            Some((_, Some(value))) => visit(key, Ok(value))?,
            None => visit(key, payload)?,
        };
        ended = flow.is_break();
        Ok(flow)
    })?;
    if ended {
        return Ok(());
    }
    for (mine, value) in written {
        if let Some(value) = value
            && visit(mine, Ok(value))?.is_break()
        {
            return Ok(());
        }
    }
    Ok(())
}
