//! Pages that nobody looks at: their changes, compressed, and what must be known
//! without unpacking them.

use std::collections::BTreeMap;

use super::canonical;
use super::entry;
use super::genesis::DocumentKind;
use super::page::{Lost, Page, Rules};
use khlong_crdt::id::AuthorKey;

use khlong_crdt::reader::Reader;

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
    lost: Lost,
}

impl Shelved {
    pub(crate) fn pack(page: &Page) -> Self {
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
            lost: page.lost().clone(),
        }
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
            changes.extend(entry::check(kind, &AuthorKey::from_bytes(author), change));
        }
        let mut page = Page::as_before(kind, self.dropped.clone(), &self.lost);
        page.merge(changes, rules);
        debug_assert_eq!(
            page.applied_count(),
            self.applied,
            "a shelved page unpacks to what it was"
        );
        page
    }
}
