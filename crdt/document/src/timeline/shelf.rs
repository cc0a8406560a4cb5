//! Pages that nobody looks at: their changes, compressed, and what must be known
//! without unpacking them.

use std::collections::BTreeMap;

use super::canonical;
use super::chunk;
use super::entry::{self, Section};
use super::genesis::DocumentKind;
use super::page::{Page, Rules};
use khlong_crdt::id::{AuthorKey, MessageId};

use khlong_crdt::reader::Reader;

use super::snapshot::{SnapshotError, put_count};

/// Level 1: pages are packed while a person waits.
const LEVEL: i32 = 1;

/// A packed page.
#[derive(Debug)]
pub(crate) struct Shelved {
    packed: Vec<u8>,
    unpacked_bytes: usize,
    /// Applied changes.
    pub(crate) applied: usize,
    /// See [`Page::is_begun`].
    pub(crate) is_begun: bool,
    /// See [`canonical::page_hash`].
    pub(crate) hash: [u8; 32],
    /// Of whom something found no room ([`super::room::Room`]).
    pub(crate) dropped: BTreeMap<AuthorKey, usize>,
    /// How many messages each author has in it.
    pub(crate) authors: BTreeMap<AuthorKey, usize>,
    /// Messages in it, in their order, if no snapshot knows them.
    pub(crate) messages: Vec<MessageId>,
}

impl Shelved {
    pub(crate) fn pack(page: &Page) -> Self {
        let mut authors = BTreeMap::new();
        for message in page.list(Section::Messages) {
            *authors.entry(message.id.author).or_default() += 1;
        }
        let mut bytes = Vec::new();
        for change in page.all() {
            bytes.extend_from_slice(change.author.as_bytes());
            bytes.extend_from_slice(
                &u32::try_from(change.bytes.len())
                    .unwrap_or(u32::MAX)
                    .to_be_bytes(),
            );
            bytes.extend_from_slice(&change.bytes);
        }
        let mut packed = zstd::bulk::compress(&bytes, LEVEL).unwrap_or_default();
        // It was given room for the worst case, several times what it takes.
        packed.shrink_to_fit();
        Self {
            packed,
            unpacked_bytes: bytes.len(),
            applied: page.applied_count(),
            is_begun: page.is_begun(),
            hash: canonical::page_hash(page),
            dropped: page.dropped(),
            authors,
            messages: Vec::new(),
        }
    }

    /// Bytes of its changes, unpacked, with what names their authors.
    pub(crate) const fn unpacked_bytes(&self) -> usize {
        self.unpacked_bytes
    }

    /// For a snapshot: `packed length 4 ‖ packed ‖ unpacked length 4 ‖ applied 4 ‖ is begun 1 ‖
    /// hash 32 ‖ count 4 ‖ (author 32 ‖ messages 4)* ‖ count 4 ‖ message 16*`. None for a page that is not to be
    /// restored: incomplete for want of room.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let is_packed = !self.packed.is_empty() || self.unpacked_bytes == 0;
        let is_listed = self.authors.values().sum::<usize>() == self.messages.len();
        let is_whole = is_packed && is_listed && self.dropped.is_empty();
        if !is_whole {
            return None;
        }
        let mut out = Vec::new();
        put_count(&mut out, self.packed.len());
        out.extend_from_slice(&self.packed);
        put_count(&mut out, self.unpacked_bytes);
        put_count(&mut out, self.applied);
        out.push(u8::from(self.is_begun));
        out.extend_from_slice(&self.hash);
        put_count(&mut out, self.authors.len());
        for (author, messages) in &self.authors {
            out.extend_from_slice(author.as_bytes());
            put_count(&mut out, *messages);
        }
        put_count(&mut out, self.messages.len());
        out.extend(self.messages.iter().flat_map(|id| *id.as_bytes()));
        Some(out)
    }

    /// Reads what [`Self::encode`] wrote. The packed bytes are not looked into before the
    /// page is unpacked, which takes no more than `unpacked_bytes_max`.
    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        unpacked_bytes_max: usize,
    ) -> Result<Self, SnapshotError> {
        let length = reader.u32()? as usize;
        let packed = reader.take(length)?.to_vec();
        let unpacked_bytes = reader.u32()? as usize;
        if unpacked_bytes > unpacked_bytes_max {
            return Err(SnapshotError::Malformed);
        }
        let applied = reader.u32()? as usize;
        let is_begun = reader.u8()? == 1;
        let hash = reader.array()?;
        let mut authors = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let author = AuthorKey::from_bytes(reader.array()?);
            authors.insert(author, reader.u32()? as usize);
        }
        let mut messages = Vec::new();
        for _ in 0..reader.u32()? {
            messages.push(MessageId::from_bytes(reader.array()?));
        }
        Ok(Self {
            packed,
            unpacked_bytes,
            applied,
            is_begun,
            hash,
            dropped: BTreeMap::new(),
            authors,
            messages,
        })
    }

    /// The page as it was: what is applied is a function of its changes.
    pub(crate) fn unpack(&self, kind: DocumentKind, rules: &Rules) -> Page {
        let bytes = zstd::bulk::decompress(&self.packed, self.unpacked_bytes).unwrap_or_default();
        let mut reader = Reader::new(&bytes);
        let mut changes = Vec::new();
        while let (Ok(author), Ok(length)) = (reader.array(), reader.u32()) {
            let Ok(change) = reader.take(length as usize) else {
                break;
            };
            let author = AuthorKey::from_bytes(author);
            let hash = chunk::hash_of(change);
            changes.extend(entry::check_known(kind, &author, change, hash));
        }
        let mut page = Page::with_dropped(kind, self.dropped.clone());
        page.merge(changes, rules);
        page
    }
}
