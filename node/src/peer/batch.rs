//! What a peer has decided and not committed: the open batch, and what waits for it.

use khlong_crdt::time::Now;
use khlong_document::timeline::limits::{MESSAGE_BODY_BYTES_MAX, ORIGIN_BYTES_MAX};
use khlong_store::batch::Batch;
use khlong_store::engine::Durability;
use khlong_store::error::StoreError;
use khlong_store::limits::BATCH_BYTES_MAX;
use khlong_store::tables::named::{self, Named};
use khlong_sync::limits::{FRAME_BYTES_MAX, PUSH_ENTRIES_MAX};

use super::book::BOOK_ROW;
use super::{Peer, PeerOutput};
use crate::api::{Event, IMPORT_BATCH_MESSAGES_MAX};
use crate::error::NodeError;

/// Events that wait for a commit; the oldest go first, since every event can be asked for again.
const EVENTS_MAX: usize = 4_096;

/// What one input or request may put into the batch.
pub(super) const INPUT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Index rows, heads, cursors and outbox of one envelope, at most.
pub(super) const ROW_BYTES_MAX: usize = 2 * 1024;
/// Beside the texts of an imported message: operations, ids, padding, and its share of rows.
const IMPORTED_BYTES_MAX: usize = MESSAGE_BODY_BYTES_MAX + 2 * ORIGIN_BYTES_MAX + ROW_BYTES_MAX;

// A push, and a receipt for each timeline that it speaks of.
const _: () = assert!(FRAME_BYTES_MAX + 2 * PUSH_ENTRIES_MAX * ROW_BYTES_MAX <= INPUT_BYTES_MAX);
// An import, the largest request, whose padding adds at most an eighth (Padmé).
const _: () = assert!(IMPORT_BATCH_MESSAGES_MAX * IMPORTED_BYTES_MAX * 9 / 8 <= INPUT_BYTES_MAX);
const _: () = assert!(INPUT_BYTES_MAX <= BATCH_BYTES_MAX);

impl Peer {
    /// Whether the batch holds one more input or request, whatever it is. If not:
    /// [`Peer::commit`] first, then go on.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.overlay.bytes() + INPUT_BYTES_MAX <= BATCH_BYTES_MAX
    }

    /// Makes everything since the last commit durable, then releases what may leave.
    ///
    /// # Errors
    /// When the folder refused the batch, or failed under a request before it.
    /// Nothing is released; drop the peer. After [`NodeError::is_busy`] it may
    /// be called again instead, as nothing was tried yet.
    pub fn commit(&mut self, _now: Now) -> Result<(), NodeError> {
        let overlay = std::mem::take(&mut self.overlay);
        if let Some(error) = self.failed.take() {
            self.is_ahead = true;
            return Err(error.before_commit());
        }
        if !overlay.is_empty() {
            match self.store.commit(overlay.writes(), Durability::Synced) {
                Ok(_) => {}
                Err(error) if error.is_retryable() => {
                    self.overlay = overlay;
                    return Err(NodeError::NotWritten(error));
                }
                Err(error) => {
                    self.is_ahead = true;
                    return Err(NodeError::Store(error));
                }
            }
        }
        self.released.extend(self.held.drain(..));
        let count = std::mem::take(&mut self.missed);
        let missed = (count > 0).then_some(Event::Missed { count });
        let events = missed.into_iter().chain(self.events.drain(..));
        self.released.extend(events.map(PeerOutput::Event));
        Ok(())
    }

    pub(super) fn emit(&mut self, event: Event) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.missed += 1;
        }
        self.events.push_back(event);
    }

    /// Runs `write` on the open batch.
    pub(super) fn with_batch<T>(
        &mut self,
        write: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError>,
    ) -> Result<T, NodeError> {
        let mut batch = self.store.batch_on(std::mem::take(&mut self.overlay));
        let written = write(&mut batch);
        self.overlay = batch.into_overlay();
        written.map_err(NodeError::Store)
    }

    pub(super) fn save_book(&mut self) -> Result<(), NodeError> {
        self.book.reindex();
        // What is followed, or to be introduced, may have changed.
        self.owing.extend(self.timelines.keys());
        let value = self.book.encode();
        self.with_batch(|batch| named::put(batch, Named::NodeState, BOOK_ROW.as_bytes(), value))
    }
}
