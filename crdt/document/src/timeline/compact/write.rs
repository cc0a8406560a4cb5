//! From raw changes to a compact plaintext. A change takes the compact form only where the
//! bytes that a reader would rebuild are its own.

use std::collections::BTreeMap;

use automerge::ChangeHash;
use khlong_crdt::id::{AuthorKey, EpochId};
use khlong_crdt::time::UnixMillis;

use super::rebuild::{Known, Reference};
use super::{
    After, AuthHeads, Dependencies, NAME_BYTES, NewMessage, NewMessages, START, Whose, chunk_writer,
};
use crate::timeline::canonical::genesis_hash;
use crate::timeline::entry::{self, Entry, Section};
use crate::timeline::genesis::DocumentKind;
use crate::timeline::limits::{AUTH_HEADS_MAX, COMPACT_MESSAGES_MAX, COMPACT_REFERENCES_MAX};
use crate::timeline::message::key;
use crate::timeline::page::PageAddress;
use crate::timeline::plaintext::DocumentChanges;
use crate::{text, varint};

/// A plaintext, and the hashes of its changes in order.
pub(crate) struct Compact {
    pub(crate) plaintext: Vec<u8>,
    pub(crate) hashes: Vec<[u8; 32]>,
}

/// `known` finds changes of pages by reference.
pub(crate) fn write(
    author: &AuthorKey,
    epoch: &EpochId,
    clock: UnixMillis,
    auth_heads: &AuthHeads,
    sections: &[DocumentChanges],
    known: &mut dyn FnMut(&PageAddress, &Reference) -> Vec<Known>,
) -> Compact {
    let mut out = START.to_vec();
    varint::write_signed(&mut out, clock.0);
    match auth_heads {
        AuthHeads::Listed(ids) => {
            varint::write(&mut out, ids.len() as u64);
            out.extend(ids.iter().flat_map(|id| *id.as_bytes()));
        }
        AuthHeads::AsBefore(places) => varint::write(&mut out, AUTH_HEADS_MAX as u64 + places),
    }
    let mut hashes = Vec::new();
    let mut messages = COMPACT_MESSAGES_MAX;
    let mut references = COMPACT_REFERENCES_MAX;
    for section in sections {
        let page = PageAddress {
            kind: DocumentKind::Page,
            n: section.n,
            lineage: section.lineage,
        };
        head(&mut out, section, epoch);
        let mut seq = None;
        let mut sent_at = clock.0;
        let mut texts = Vec::new();
        for raw in &section.changes {
            hashes.push(chunk_writer::hash_of(raw));
            // Behind a raw one nothing is said of what is in this plaintext.
            let is_page = section.document == DocumentKind::Page as u8;
            let new = Some(raw)
                .filter(|_| is_page && section.changes.len() == 1)
                .and_then(|raw| NewMessages::of(author, raw, &mut |wanted| known(&page, wanted)))
                .filter(|new| new.messages.len() <= messages && new.names() <= references);
            let Some(new) = new else {
                out.push(0);
                varint::write(&mut out, raw.len() as u64);
                out.extend_from_slice(raw);
                continue;
            };
            messages -= new.messages.len();
            references -= new.names();
            new.encode(&mut out, &mut texts, &mut seq, &mut sent_at);
        }
        out.extend(texts);
    }
    Compact {
        plaintext: out,
        hashes,
    }
}

fn head(out: &mut Vec<u8>, section: &DocumentChanges, epoch: &EpochId) {
    let tag = 4 * u64::from(section.document);
    if section.lineage == EpochId::ZERO {
        varint::write(out, tag);
    } else if section.lineage == *epoch {
        varint::write(out, tag + 1);
    } else {
        varint::write(out, tag + 2);
        out.extend_from_slice(section.lineage.as_bytes());
    }
    varint::write(out, u64::from(section.n));
    varint::write(out, section.changes.len() as u64);
}

impl NewMessages {
    /// What a raw change adds; None if the compact form does not say all of it.
    fn of(
        author: &AuthorKey,
        raw: &[u8],
        known: &mut dyn FnMut(&Reference) -> Vec<Known>,
    ) -> Option<Self> {
        let change = entry::check(DocumentKind::Page, author, raw).ok()?;
        let first = change.entries.first()?;
        let messages = change.entries.iter().map(message);
        let messages = messages.collect::<Option<Vec<_>>>()?;

        let previous = Reference::Place(*author, change.seq.checked_sub(1)?);
        let mut found: BTreeMap<Reference, Known> = BTreeMap::new();
        let mut find = |reference: Reference, hash: &ChangeHash| {
            let named = known(&reference).into_iter();
            let mut exact = named.filter(|known| known.hash == *hash);
            exact.next().map(|known| found.insert(reference, known))
        };
        let dependencies = match change.dependencies.as_slice() {
            [genesis] if *genesis == genesis_hash(DocumentKind::Page) && change.seq == 1 => {
                Dependencies::Previous
            }
            [only] if find(previous, only).is_some() => Dependencies::Previous,
            several => {
                let names = several.iter().map(|hash| {
                    let name = *hash.0.first_chunk::<NAME_BYTES>()?;
                    find(Reference::Name(name), hash).map(|_| name)
                });
                Dependencies::Named(names.collect::<Option<Vec<_>>>()?)
            }
        };
        let known: Vec<Known> = match &dependencies {
            Dependencies::Previous => found.values().copied().collect(),
            Dependencies::Named(names) => names
                .iter()
                .filter_map(|name| found.get(&Reference::Name(*name)).copied())
                .collect(),
        };
        let new = Self {
            seq: change.seq,
            dependencies,
            after: after(author, first, change.start_op, &known),
            messages,
        };
        let rebuilt = new.raw(author, None, &|reference| found.get(&reference).copied());
        rebuilt.filter(|(_, bytes)| bytes == raw).map(|_| new)
    }

    fn names(&self) -> usize {
        match &self.dependencies {
            Dependencies::Previous => 1,
            Dependencies::Named(names) => names.len(),
        }
    }

    fn encode(
        &self,
        out: &mut Vec<u8>,
        texts: &mut Vec<u8>,
        seq: &mut Option<u64>,
        sent_at: &mut i64,
    ) {
        let names = match &self.dependencies {
            Dependencies::Previous => &[][..],
            Dependencies::Named(names) => names,
        };
        varint::write(out, 1 + names.len() as u64);
        if seq.replace(self.seq).is_none() {
            varint::write(out, self.seq);
        }
        out.extend(names.iter().flatten());
        match &self.after {
            After::Head => out.push(0),
            After::LastOfDependency => out.push(1),
            After::Element(back, whose) => {
                varint::write(out, back + 1);
                let dependencies = self.dependencies.count(self.seq) as u64;
                match whose {
                    Whose::Own => out.push(0),
                    Whose::OfDependency(place) => varint::write(out, *place as u64 + 1),
                    Whose::Of(author) => {
                        varint::write(out, dependencies + 1);
                        out.extend_from_slice(author.as_bytes());
                    }
                }
            }
        }
        varint::write(out, self.messages.len() as u64);
        for message in &self.messages {
            let step = varint::zigzag(message.sent_at.wrapping_sub(*sent_at));
            *sent_at = message.sent_at;
            varint::write(out, step << 1 | u64::from(message.reply_to.is_some()));
            out.extend(message.reply_to.iter().flatten());
            texts.extend(text::encode(&message.body));
            texts.push(text::END);
        }
    }
}

/// An entry with text, time and at most what it answers; the rebuilt bytes say whether it
/// has anything else.
fn message(entry: &Entry) -> Option<NewMessage> {
    /// So that the step from one to another fits its varint.
    const TIME_MAX: i64 = 1 << 60;
    let sent_at = entry.number(key::SENT_AT)?;
    (entry.section == Section::Messages && (-TIME_MAX..=TIME_MAX).contains(&sent_at))
        .then_some(())?;
    Some(NewMessage {
        sent_at,
        reply_to: entry.array(key::REPLY_TO),
        body: entry.text(key::BODY)?.to_owned(),
    })
}

fn after(author: &AuthorKey, first: &Entry, start_op: u64, known: &[Known]) -> After {
    let Some(element) = first.after else {
        return After::Head;
    };
    if let [only] = known
        && only.author == element.author
        && only.last_message == Some(element.counter)
    {
        return After::LastOfDependency;
    }
    let back = start_op.saturating_sub(element.counter);
    let of_dependency = known
        .iter()
        .position(|known| known.author == element.author);
    let whose = match of_dependency {
        _ if element.author == *author => Whose::Own,
        Some(place) => Whose::OfDependency(place),
        None => Whose::Of(element.author),
    };
    After::Element(back, whose)
}
