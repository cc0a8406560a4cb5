//! Snapshots: what a timeline has become, so that the next start need not open every
//! envelope again (`DOCUMENT.md`, "Snapshots").
//!
//! A snapshot is a shortcut and no source: it holds nothing that the envelopes do not say, is
//! taken as a whole or not at all, and whoever finds none reads the envelopes. Of what
//! decides who may write, auth-ops and key-ops, it holds nothing: these are few, and are read anew.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::admission::History;
use khlong_crdt::id::{EnvelopeId, Seq};
use khlong_crdt::reader::{Reader, Truncated};

use super::Timeline;
use super::page::PageAddress;
use super::pages::Pages;
use super::receipts::Receipts;
use super::sources::Sources;
use super::unshown::Unshown;

/// Of the layout, and of the rules that decide what counts: a program that counts otherwise
/// raises it.
const VERSION: u8 = 1;

const PAGE_CONTEXT: &str = "khlong.network 2026-11 page snapshot v1";

/// Why a snapshot is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Written by another version of this program.
    #[error("the snapshot was written by another version; the envelopes are read instead")]
    Version,
    /// This device writes under another key by now.
    #[error("the snapshot is of another device; the envelopes are read instead")]
    Device,
    /// Ends early, or carries something behind its end.
    #[error("the snapshot is truncated or malformed; the envelopes are read instead")]
    Malformed,
    /// A page is missing, or is not the one that the head names.
    #[error("a page of the snapshot does not fit the others; the envelopes are read instead")]
    Page,
}

impl From<Truncated> for SnapshotError {
    fn from(_: Truncated) -> Self {
        Self::Malformed
    }
}

/// Why none is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSnapshot {
    /// It could not say all: while something is to be read again or found no room, where
    /// somebody's handover gave way, where changes wait for a page that has not begun, where
    /// keys are to be forgotten.
    #[error("a snapshot could not say all that is here")]
    ForNow,
    /// A page holds too much; it only grows, so there will be none.
    #[error("page {n} has {bytes} bytes, and a snapshot holds pages of up to {limit}: every start reads all envelopes", n = page.n)]
    PageTooLong {
        /// Which.
        page: PageAddress,
        /// What it holds, in bytes.
        bytes: usize,
        /// [`Limits::page_unpacked_bytes`](super::limits::Limits::page_unpacked_bytes).
        limit: usize,
    },
}

/// What a timeline is to be restored from. It holds plain text: its owner seals it.
#[derive(Debug)]
pub struct Snapshot {
    /// Everything but the pages, and their hashes.
    pub head: Vec<u8>,
    /// The pages that changed since the last one.
    pub pages: BTreeMap<PageAddress, Vec<u8>>,
    /// These are all pages: those of earlier snapshots are void.
    pub is_whole: bool,
}

/// Of the snapshots of one timeline, what its owner keeps.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Hashes of the pages; None if there is no snapshot to add to.
    pages: Option<BTreeMap<PageAddress, [u8; 32]>>,
    /// Envelopes that waited when it was made; None if the timeline was not restored, or they
    /// were asked for.
    parked: Option<Vec<EnvelopeId>>,
}

impl Timeline {
    /// What is shown, to be kept; [`Self::note_saved`] once it is.
    ///
    /// # Errors
    /// [`NoSnapshot`]; that is nobody's failure.
    pub fn snapshot(&mut self) -> Result<Snapshot, NoSnapshot> {
        let keeps = self.history().is_some_and(|it| it != History::Ephemeral);
        let is_settled = keeps && !self.must_reread() && self.superseded.is_empty();
        let is_whole = self.receipts.is_whole() && self.parked.ids().is_some();
        if !is_settled || !is_whole || !self.pages.can_be_saved() {
            return Err(NoSnapshot::ForNow);
        }
        let is_first = self.kept.pages.is_none();
        let mut pages = self.pages.save_changed()?;
        for (address, bytes) in &mut pages {
            self.sources.encode(address, bytes);
        }
        let mut hashes = self.kept.pages.clone().unwrap_or_default();
        hashes.extend(
            pages
                .iter()
                .map(|(address, bytes)| (*address, page_hash(bytes))),
        );
        Ok(Snapshot {
            head: self.encode_head(&hashes).ok_or(NoSnapshot::ForNow)?,
            pages,
            is_whole: is_first,
        })
    }

    /// The snapshot that was made last is kept.
    pub fn note_saved(&mut self, snapshot: &Snapshot) {
        let hashes = self.kept.pages.get_or_insert_default();
        let saved = snapshot.pages.iter();
        hashes.extend(saved.map(|(address, bytes)| (*address, page_hash(bytes))));
        self.pages.note_saved();
    }

    /// Puts a timeline of which nothing was received where [`Self::snapshot`] was made, as far
    /// as its own envelopes of class control allow. A [`Self::reread`] comes next: in its first
    /// turn all of these are received, what [`Self::resume`] names, and what came since; in
    /// every further one all envelopes are, for what gave way may have come from the snapshot.
    ///
    /// # Errors
    /// [`SnapshotError`]; nothing is altered then.
    pub fn restore(
        &mut self,
        head: &[u8],
        pages: &BTreeMap<PageAddress, Vec<u8>>,
    ) -> Result<(), SnapshotError> {
        let mut reader = Reader::new(head);
        if reader.u8()? != VERSION {
            return Err(SnapshotError::Version);
        }
        if reader.array()? != self.rules_bytes() {
            return Err(SnapshotError::Version);
        }
        if reader.array()? != *self.author.as_bytes()
            || reader.array()? != *self.principal.as_bytes()
        {
            return Err(SnapshotError::Device);
        }
        let place = (Seq(reader.u64()?), EnvelopeId::from_bytes(reader.array()?));
        let receipts = Receipts::decode(&mut reader)?;
        let unshown = Unshown::decode(&mut reader)?;
        let mut parked = Vec::new();
        for _ in 0..reader.u32()? {
            parked.push(EnvelopeId::from_bytes(reader.array()?));
        }
        let mut restored = Pages::new(self.timeline, self.pages.limits());
        let mut sources = Sources::default();
        let (mut hashes, mut ids) = (BTreeMap::new(), Vec::new());
        for _ in 0..reader.u32()? {
            let address =
                PageAddress::from_bytes(&reader.array()?).ok_or(SnapshotError::Malformed)?;
            let hash = reader.array()?;
            let bytes = pages.get(&address).filter(|bytes| page_hash(bytes) == hash);
            let mut page = Reader::new(bytes.ok_or(SnapshotError::Page)?);
            ids.extend(restored.restore_page(address, &mut page)?);
            sources.decode(address, &mut page)?;
            if !page.is_empty() {
                return Err(SnapshotError::Malformed);
            }
            hashes.insert(address, hash);
        }
        if !reader.is_empty() {
            return Err(SnapshotError::Malformed);
        }
        restored.restored(ids, unshown);
        if restored.must_reread() {
            return Err(SnapshotError::Page);
        }
        self.head = place;
        self.receipts = receipts;
        self.sources = sources;
        self.pages = restored;
        self.kept = Kept {
            pages: Some(hashes),
            parked: Some(parked),
        };
        Ok(())
    }

    /// Envelopes that waited when the snapshot was made from which this timeline was restored:
    /// once. None if it was not, or is to be read from the beginning after all.
    #[must_use = "it is not said again"]
    pub fn resume(&mut self) -> Option<Vec<EnvelopeId>> {
        self.kept.parked.take()
    }

    /// The limits that decide what counts, of an author in a page: bytes, messages, operations.
    fn rules_bytes(&self) -> [u8; 24] {
        let limits = self.pages.limits();
        let hard = [
            limits.page_author_bytes,
            limits.page_author_messages,
            limits.page_author_ops,
        ];
        let mut bytes = [0; 24];
        let encoded = hard
            .into_iter()
            .flat_map(|limit| (limit as u64).to_be_bytes());
        for (byte, encoded) in bytes.iter_mut().zip(encoded) {
            *byte = encoded;
        }
        bytes
    }

    /// `version 1 ‖ limits 24 ‖ author 32 ‖ principal 32 ‖ my head: seq 8 ‖ id 32 ‖ receipts ‖
    /// unshown ‖ parked: count 4 ‖ id 32* ‖ pages: count 4 ‖ (address 37 ‖ hash 32)*`.
    fn encode_head(&self, hashes: &BTreeMap<PageAddress, [u8; 32]>) -> Option<Vec<u8>> {
        let mut out = vec![VERSION];
        out.extend(self.rules_bytes());
        out.extend_from_slice(self.author.as_bytes());
        out.extend_from_slice(self.principal.as_bytes());
        out.extend(self.head.0.0.to_be_bytes());
        out.extend_from_slice(self.head.1.as_bytes());
        self.receipts.encode(&mut out);
        self.pages.unshown().encode(&mut out);
        let parked = self.parked.ids()?;
        put_count(&mut out, parked.len());
        out.extend(parked.flat_map(|id| *id.as_bytes()));
        let addresses: BTreeSet<_> = self.pages.begun().collect();
        put_count(&mut out, addresses.len());
        for address in addresses {
            out.extend_from_slice(&address.to_bytes());
            out.extend_from_slice(hashes.get(&address)?);
        }
        Some(out)
    }
}

fn page_hash(bytes: &[u8]) -> [u8; 32] {
    blake3::derive_key(PAGE_CONTEXT, bytes)
}

/// A count or a length, 4 bytes. What is counted here is bounded far below.
pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}
