//! The compact form of a change's plaintext, codec 1 (`DOCUMENT.md` §8): what a reader can
//! work out is left out, and the change is rebuilt byte for byte.
//!
//! | part | what |
//! |---|---|
//! | this file | what the bytes say, and reading them |
//! | [`write`] | from raw changes to bytes; whatever cannot be rebuilt stays raw |
//! | [`rebuild`] | from what the bytes say, and changes of the page, to raw changes |
//! | [`chunk_writer`] | one Automerge change |

mod chunk_writer;
pub(crate) mod rebuild;
pub(crate) mod write;

use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId};
use khlong_crdt::reader::Reader;
use khlong_crdt::time::UnixMillis;

use super::limits::{
    AUTH_HEADS_BACK_MAX, AUTH_HEADS_MAX, CHANGE_BYTES_MAX, CHANGES_PER_SECTION_MAX,
    COMPACT_MESSAGES_MAX, COMPACT_REFERENCES_MAX, PAGE_NUMBER_MAX, SECTIONS_MAX, VALUE_BYTES_MAX,
};
use super::plaintext::PlaintextError;
use crate::{text, varint};

/// Version and codec.
pub(crate) const START: [u8; 2] = [1, 1];
/// Bytes of a change's hash that name it.
pub(crate) const NAME_BYTES: usize = 8;

/// What the writer knew of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AuthHeads {
    Listed(Vec<EnvelopeId>),
    /// As its change so many places before lists them.
    AsBefore(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CompactPlaintext {
    pub(crate) clock: UnixMillis,
    pub(crate) auth_heads: AuthHeads,
    pub(crate) sections: Vec<CompactSection>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CompactSection {
    pub(crate) document: u8,
    pub(crate) lineage: EpochId,
    pub(crate) n: u32,
    pub(crate) changes: Vec<CompactChange>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CompactChange {
    Raw(Vec<u8>),
    Messages(NewMessages),
}

/// A change that does nothing but add messages, each behind the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewMessages {
    pub(crate) seq: u64,
    pub(crate) dependencies: Dependencies,
    pub(crate) after: After,
    pub(crate) messages: Vec<NewMessage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dependencies {
    /// The change before: in this section, or the author's in this page, or the genesis.
    Previous,
    /// First bytes of their hashes.
    Named(Vec<[u8; NAME_BYTES]>),
}

/// The element behind which the first message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Head,
    /// The last message of the only dependency.
    LastOfDependency,
    /// So many operations before the first of this change.
    Element(u64, Whose),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Own,
    /// Of the dependency at this place.
    OfDependency(usize),
    Of(AuthorKey),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewMessage {
    pub(crate) sent_at: i64,
    pub(crate) reply_to: Option<[u8; 16]>,
    pub(crate) body: String,
}

impl NewMessage {
    /// One that makes it, one for each key.
    pub(crate) const fn operations(&self) -> u64 {
        3 + self.reply_to.is_some() as u64
    }
}

impl Dependencies {
    /// How many can be meant by [`Whose::OfDependency`].
    fn count(&self, seq: u64) -> usize {
        match self {
            Self::Previous => usize::from(seq > 1),
            Self::Named(names) => names.len(),
        }
    }
}

impl CompactPlaintext {
    /// Reads a plaintext that begins with [`START`], of an envelope under `epoch`.
    pub(crate) fn decode(bytes: &[u8], epoch: &EpochId) -> Result<Self, PlaintextError> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != START {
            return Err(PlaintextError::Version);
        }
        let clock = UnixMillis(varint::read_signed(&mut reader)?);
        let auth_heads = auth_heads(&mut reader)?;
        let mut room = Room {
            messages: COMPACT_MESSAGES_MAX,
            references: COMPACT_REFERENCES_MAX,
        };
        let mut sections = Vec::new();
        while !reader.is_empty() {
            if sections.len() == SECTIONS_MAX {
                return Err(PlaintextError::Limit);
            }
            sections.push(section(&mut reader, epoch, clock, &mut room)?);
        }
        Ok(Self {
            clock,
            auth_heads,
            sections,
        })
    }
}

/// What one envelope may still hold.
struct Room {
    messages: usize,
    references: usize,
}

fn taken(room: &mut usize, count: usize) -> Result<(), PlaintextError> {
    *room = room.checked_sub(count).ok_or(PlaintextError::Limit)?;
    Ok(())
}

fn length(reader: &mut Reader<'_>, max: usize) -> Result<usize, PlaintextError> {
    match varint::read_length(reader)? {
        length if length <= max => Ok(length),
        _ => Err(PlaintextError::Limit),
    }
}

fn auth_heads(reader: &mut Reader<'_>) -> Result<AuthHeads, PlaintextError> {
    let count = length(reader, AUTH_HEADS_MAX + AUTH_HEADS_BACK_MAX)?;
    if count > AUTH_HEADS_MAX {
        return Ok(AuthHeads::AsBefore((count - AUTH_HEADS_MAX) as u64));
    }
    let ids = (0..count).map(|_| Ok(EnvelopeId::from_bytes(reader.array()?)));
    ids.collect::<Result<_, PlaintextError>>()
        .map(AuthHeads::Listed)
}

fn section(
    reader: &mut Reader<'_>,
    epoch: &EpochId,
    clock: UnixMillis,
    room: &mut Room,
) -> Result<CompactSection, PlaintextError> {
    let tag = length(reader, 4 * usize::from(u8::MAX) + 3)?;
    let document = u8::try_from(tag / 4).map_err(|_| PlaintextError::Limit)?;
    let lineage = match tag % 4 {
        0 => EpochId::ZERO,
        1 => *epoch,
        2 => {
            let lineage = EpochId::from_bytes(reader.array()?);
            if lineage == *epoch || lineage == EpochId::ZERO {
                return Err(PlaintextError::Malformed); // it has a shorter form
            }
            lineage
        }
        _ => return Err(PlaintextError::Malformed),
    };
    let n = u32::try_from(varint::read(reader)?).map_err(|_| PlaintextError::Limit)?;
    if n > PAGE_NUMBER_MAX {
        return Err(PlaintextError::Limit);
    }
    let mut changes = Vec::new();
    let mut seq = None;
    let mut sent_at = clock.0;
    for _ in 0..length(reader, CHANGES_PER_SECTION_MAX)? {
        changes.push(change(reader, document, &mut seq, &mut sent_at, room)?);
    }
    let messages = changes.iter_mut().filter_map(|change| match change {
        CompactChange::Raw(_) => None,
        CompactChange::Messages(new) => Some(&mut new.messages),
    });
    for message in messages.flatten() {
        message.body = body(reader)?;
    }
    Ok(CompactSection {
        document,
        lineage,
        n,
        changes,
    })
}

fn change(
    reader: &mut Reader<'_>,
    document: u8,
    seq: &mut Option<u64>,
    sent_at: &mut i64,
    room: &mut Room,
) -> Result<CompactChange, PlaintextError> {
    let form = length(reader, 1 + COMPACT_REFERENCES_MAX)?;
    if form == 0 {
        let length = length(reader, CHANGE_BYTES_MAX)?;
        return Ok(CompactChange::Raw(reader.take(length)?.to_vec()));
    }
    // Messages lie in pages, and of later documents it is not known what rebuilds them.
    if document != 0 {
        return Err(PlaintextError::Malformed);
    }
    let place = match *seq {
        None => varint::read(reader)?,
        Some(before) => before + 1,
    };
    if place == 0 || place > u64::from(u32::MAX) {
        return Err(PlaintextError::Limit);
    }
    *seq = Some(place);
    let dependencies = match form - 1 {
        0 => Dependencies::Previous,
        count => {
            let names = (0..count).map(|_| reader.array());
            let names = names.collect::<Result<Vec<_>, _>>()?;
            if !names.is_sorted_by(|left, right| left < right) {
                return Err(PlaintextError::Malformed);
            }
            Dependencies::Named(names)
        }
    };
    taken(&mut room.references, form.max(2) - 1)?;
    let after = after(reader, dependencies.count(place))?;
    let count = length(reader, COMPACT_MESSAGES_MAX)?;
    if count == 0 {
        return Err(PlaintextError::Malformed);
    }
    taken(&mut room.messages, count)?;
    let mut messages = Vec::new();
    for _ in 0..count {
        let step = varint::read(reader)?;
        *sent_at = sent_at
            .checked_add(varint::unzigzag(step >> 1))
            .ok_or(PlaintextError::Malformed)?;
        let reply_to = match step & 1 {
            0 => None,
            _ => Some(reader.array()?),
        };
        messages.push(NewMessage {
            sent_at: *sent_at,
            reply_to,
            body: String::new(),
        });
    }
    Ok(CompactChange::Messages(NewMessages {
        seq: place,
        dependencies,
        after,
        messages,
    }))
}

fn after(reader: &mut Reader<'_>, dependencies: usize) -> Result<After, PlaintextError> {
    let back = varint::read(reader)?;
    match back {
        0 => return Ok(After::Head),
        1 if dependencies == 1 => return Ok(After::LastOfDependency),
        1 => return Err(PlaintextError::Malformed),
        _ => {}
    }
    let whose = match length(reader, dependencies + 1)? {
        0 => Whose::Own,
        place if place <= dependencies => Whose::OfDependency(place - 1),
        _ => Whose::Of(AuthorKey::from_bytes(reader.array()?)),
    };
    Ok(After::Element(back - 1, whose))
}

/// The next text, up to its end.
fn body(reader: &mut Reader<'_>) -> Result<String, PlaintextError> {
    // Reader gives no view of what is left, so the end is looked for byte by byte.
    let mut coded = Vec::new();
    loop {
        match reader.u8()? {
            text::END => break,
            _ if coded.len() == VALUE_BYTES_MAX => return Err(PlaintextError::Limit),
            byte => coded.push(byte),
        }
    }
    text::decode(&coded, VALUE_BYTES_MAX).map_err(|error| match error {
        text::TextError::Coding => PlaintextError::Malformed,
        text::TextError::TooLong => PlaintextError::Limit,
    })
}
