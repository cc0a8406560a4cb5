//! From what a compact plaintext says, and what is known of its pages, to raw changes.
//!
//! A reference may mean several changes: one place has several where its author forked, and
//! first bytes of hashes can be made to agree. The nonce of the envelope says which are
//! meant, as it is a hash over the hashes of the changes.

use std::ops::RangeInclusive;

use automerge::ChangeHash;
use khlong_crdt::id::AuthorKey;

use super::chunk_writer::{self, Place};
use super::{After, CompactChange, CompactPlaintext, Dependencies, NAME_BYTES, NewMessages, Whose};
use crate::timeline::canonical::genesis_hash;
use crate::timeline::entry::{Checked, OpId, Section};
use crate::timeline::genesis::DocumentKind;
use crate::timeline::limits::REBUILD_TRIES_MAX;
use crate::timeline::page::PageAddress;
use crate::timeline::plaintext::DocumentChanges;

/// How a plaintext names a change of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference {
    /// An author's change at this place.
    Place(AuthorKey, u64),
    /// First bytes of the hash.
    Name([u8; NAME_BYTES]),
}

/// What has to be known of a change that another one rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) hash: ChangeHash,
    pub(crate) author: AuthorKey,
    pub(crate) seq: u64,
    pub(crate) max_op: u64,
    /// The operation of its last message.
    pub(crate) last_message: Option<u64>,
}

impl Known {
    pub(crate) fn of(change: &Checked) -> Self {
        let entries = change.entries.iter().rev();
        let last = entries
            .filter(|entry| entry.section == Section::Messages)
            .map(|entry| entry.id.counter)
            .next();
        Self {
            hash: change.hash,
            author: change.author,
            seq: change.seq,
            max_op: change.max_op,
            last_message: last,
        }
    }
}

/// All hashes that begin so.
pub(crate) fn named_so(name: &[u8; NAME_BYTES]) -> RangeInclusive<ChangeHash> {
    let with = |rest: u8| {
        let mut hash = [rest; 32];
        for (byte, named) in hash.iter_mut().zip(name) {
            *byte = *named;
        }
        ChangeHash(hash)
    };
    with(0)..=with(0xff)
}

/// A change of a page, and which.
pub(crate) type Wanted = (PageAddress, Reference);

/// Raw changes, and the hashes of all of them in the order of the plaintext.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    pub(crate) sections: Vec<DocumentChanges>,
    pub(crate) hashes: Vec<[u8; 32]>,
}

impl CompactPlaintext {
    /// The pages that it writes into.
    pub(crate) fn pages(&self) -> Vec<PageAddress> {
        let known = self.sections.iter().filter_map(|section| {
            Some(PageAddress {
                kind: DocumentKind::from_byte(section.document)?,
                n: section.n,
                lineage: section.lineage,
            })
        });
        known.collect()
    }

    /// The changes outside of this plaintext on which its changes rest, each once.
    pub(crate) fn wanted(&self, author: &AuthorKey) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for section in &self.sections {
            let page = PageAddress {
                kind: DocumentKind::Page,
                n: section.n,
                lineage: section.lineage,
            };
            let mut is_first = true;
            for change in &section.changes {
                let CompactChange::Messages(new) = change else {
                    continue;
                };
                match &new.dependencies {
                    Dependencies::Named(names) => {
                        wanted.extend(names.iter().map(|name| (page, Reference::Name(*name))));
                    }
                    Dependencies::Previous if is_first && new.seq > 1 => {
                        wanted.push((page, Reference::Place(*author, new.seq - 1)));
                    }
                    Dependencies::Previous => {}
                }
                is_first = false;
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// Tries what the wanted changes may be, until `is_meant` takes the hashes. `known` has
    /// at least one for each of `wanted`.
    pub(crate) fn rebuild(
        &self,
        author: &AuthorKey,
        wanted: &[Wanted],
        known: &[Vec<Known>],
        mut is_meant: impl FnMut(&[[u8; 32]]) -> bool,
    ) -> Option<Rebuilt> {
        for attempt in 0..REBUILD_TRIES_MAX {
            let mut rest = attempt;
            let mut chosen = Vec::with_capacity(known.len());
            for known in known {
                let count = known.len().max(1);
                chosen.push(known.get(rest % count)?);
                rest /= count;
            }
            if rest > 0 {
                return None; // all were tried
            }
            let find = |page: PageAddress, reference: Reference| {
                let at = wanted.binary_search(&(page, reference)).ok()?;
                chosen.get(at).map(|known| **known)
            };
            let rebuilt = self.with(author, &find);
            if let Some(rebuilt) = rebuilt.filter(|rebuilt| is_meant(&rebuilt.hashes)) {
                return Some(rebuilt);
            }
        }
        None
    }

    fn with(
        &self,
        author: &AuthorKey,
        find: &dyn Fn(PageAddress, Reference) -> Option<Known>,
    ) -> Option<Rebuilt> {
        let mut hashes = Vec::new();
        let mut sections = Vec::new();
        for section in &self.sections {
            let page = PageAddress {
                kind: DocumentKind::Page,
                n: section.n,
                lineage: section.lineage,
            };
            let mut before = None;
            let mut changes = Vec::new();
            for change in &section.changes {
                match change {
                    CompactChange::Raw(raw) => {
                        hashes.push(chunk_writer::hash_of(raw));
                        changes.push(raw.clone());
                    }
                    CompactChange::Messages(new) => {
                        let (known, raw) =
                            new.raw(author, before, &|reference| find(page, reference))?;
                        hashes.push(known.hash.0);
                        before = Some(known);
                        changes.push(raw);
                    }
                }
            }
            sections.push(DocumentChanges {
                document: section.document,
                lineage: section.lineage,
                n: section.n,
                changes,
            });
        }
        Some(Rebuilt { sections, hashes })
    }
}

impl NewMessages {
    /// The change; `before` is the one before it in its section. None if what it rests on is
    /// not what it says.
    pub(super) fn raw(
        &self,
        author: &AuthorKey,
        before: Option<Known>,
        find: &dyn Fn(Reference) -> Option<Known>,
    ) -> Option<(Known, Vec<u8>)> {
        let known: Vec<Known> = match (&self.dependencies, before) {
            (Dependencies::Named(names), _) => {
                let found = names.iter().map(|name| find(Reference::Name(*name)));
                found.collect::<Option<_>>()?
            }
            (Dependencies::Previous, Some(before)) => vec![before],
            (Dependencies::Previous, None) if self.seq > 1 => {
                vec![find(Reference::Place(*author, self.seq - 1))?]
            }
            (Dependencies::Previous, None) => Vec::new(),
        };
        let start_op = match known.iter().map(|known| known.max_op).max() {
            Some(max_op) => max_op + 1,
            None => DocumentKind::Page.genesis_ops() + 1,
        };
        let mut dependencies: Vec<_> = known.iter().map(|known| known.hash.0).collect();
        if dependencies.is_empty() {
            dependencies.push(genesis_hash(DocumentKind::Page).0);
        }
        dependencies.sort_unstable();
        let place = Place {
            author,
            seq: self.seq,
            start_op,
            dependencies: &dependencies,
            after: self.element(author, start_op, &known)?,
        };
        let written = chunk_writer::write(&place, &self.messages);
        let operations = self.messages.iter().map(|new| new.operations());
        let max_op = start_op - 1 + operations.sum::<u64>();
        let last = self.messages.last()?;
        let known = Known {
            hash: ChangeHash(written.hash),
            author: *author,
            seq: self.seq,
            max_op,
            last_message: Some(max_op + 1 - last.operations()),
        };
        Some((known, written.bytes))
    }

    /// What the first message stands behind: None if there is no such element.
    fn element(&self, author: &AuthorKey, start_op: u64, known: &[Known]) -> Option<Option<OpId>> {
        let element = match &self.after {
            After::Head => return Some(None),
            After::LastOfDependency => {
                let only = known.first()?;
                OpId {
                    counter: only.last_message?,
                    author: only.author,
                }
            }
            After::Element(back, whose) => OpId {
                counter: start_op.checked_sub(*back)?,
                author: match whose {
                    Whose::Own => *author,
                    Whose::OfDependency(place) => known.get(*place)?.author,
                    Whose::Of(author) => *author,
                },
            },
        };
        Some(Some(element))
    }
}
