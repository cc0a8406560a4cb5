//! Envelopes that wait for an author, a grant or a key, and what is remembered of
//! those for which there was no room.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, Seq};

use super::limits::{DROPPED_NEEDS_MAX, PARKED_BYTES_MAX, PARKED_ENVELOPES_MAX};

/// What an envelope waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Another auth-op, whichever.
    AuthOp,
    /// The author's certificate.
    Author(AuthorKey),
    /// The author's right to append.
    Append(AuthorKey),
    /// The manifest of an epoch.
    Manifest(EpochId),
    /// The key of an epoch.
    Key(EpochId),
}

/// There is no room for one more.
#[derive(Debug)]
pub(crate) struct Full;

#[derive(Debug, Default)]
pub(crate) struct Parked {
    /// The first places of chains first: others rest on what these bring.
    waiting: BTreeMap<(Seq, EnvelopeId), VerifiedEnvelope>,
    bytes: usize,
    /// What the dropped ones waited for.
    dropped: BTreeSet<Need>,
    /// More was dropped than `dropped` names.
    dropped_more: bool,
}

impl Parked {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes an envelope, each one once. Without room for it only its need is kept.
    pub(crate) fn park(&mut self, envelope: VerifiedEnvelope, need: Need) -> Result<(), Full> {
        let place = (envelope.prefix().seq, envelope.id());
        if self.waiting.contains_key(&place) {
            return Ok(());
        }
        let bytes = envelope.bytes().len();
        if self.waiting.len() == PARKED_ENVELOPES_MAX || self.bytes + bytes > PARKED_BYTES_MAX {
            self.drop(need);
            return Err(Full);
        }
        self.bytes += bytes;
        self.waiting.insert(place, envelope);
        Ok(())
    }

    /// What waits, if nothing was dropped: then giving these again brings all of it back.
    pub(crate) fn ids(&self) -> Option<impl ExactSizeIterator<Item = EnvelopeId>> {
        let is_whole = self.dropped.is_empty() && !self.dropped_more;
        is_whole.then(|| self.waiting.keys().map(|(_, id)| *id))
    }

    /// Everything that waits, to be tried again.
    pub(crate) fn take(&mut self) -> Vec<VerifiedEnvelope> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// Remembers only that something is to be read again once this is met.
    pub(crate) fn drop(&mut self, need: Need) {
        if self.dropped.len() < DROPPED_NEEDS_MAX {
            self.dropped.insert(need);
        } else {
            self.dropped_more |= !self.dropped.contains(&need);
        }
    }

    /// Whether one that was dropped may count now that an auth-op or a key-op did.
    pub(crate) fn may_count(&self, is_met: impl Fn(&Need) -> bool) -> bool {
        self.dropped_more || self.dropped.iter().any(is_met)
    }

    /// All that was dropped will come again.
    pub(crate) fn forget_dropped(&mut self) {
        self.dropped.clear();
        self.dropped_more = false;
    }
}
