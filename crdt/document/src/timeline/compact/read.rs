//! Reading a compact plaintext: first what the head says, then the texts and raw changes
//! behind it. Every count is compared with its limit before anything is made of it, and what
//! is rebuilt has no more bytes than a plaintext of raw changes could have.

use khlong_crdt::id::{AuthorKey, EpochId};
use khlong_crdt::reader::Reader;
use khlong_crdt::time::UnixMillis;

use super::{After, Before, Check, CompactPlaintext, Link, NewMessage, NewMessages, START};
use crate::seal::PLAINTEXT_BYTES_MAX;
use crate::text::{self, TextError};
use crate::timeline::chunk;
use crate::timeline::genesis::DocumentKind;
use crate::timeline::limits::{
    AUTH_HEADS_MAX, CHANGE_BYTES_MAX, CHANGE_DEPS_MAX, CHANGES_PER_SECTION_MAX,
    COMPACT_MESSAGES_MAX, OP_COUNTER_MAX, PAGE_NUMBER_MAX, SECTIONS_MAX, VALUE_BYTES_MAX,
};
use crate::timeline::plaintext::{DocumentChanges, PlaintextError, ReadChanges};
use crate::varint;

/// A section as the head says it.
struct SectionHead {
    document: u8,
    lineage: EpochId,
    n: u32,
    changes: Vec<ChangeHead>,
}

enum ChangeHead {
    /// Of so many bytes.
    Raw(usize),
    /// Their texts are empty so far.
    Messages(NewMessages),
}

/// What an envelope may still hold, and what the next message's time is told from.
struct State {
    messages: usize,
    bytes: usize,
    sent_at: i64,
}

impl CompactPlaintext {
    /// Reads what lies in an envelope of `author` under `epoch`, and rebuilds its changes.
    ///
    /// # Errors
    /// [`PlaintextError`].
    pub(crate) fn decode(
        bytes: &[u8],
        author: &AuthorKey,
        epoch: &EpochId,
    ) -> Result<Self, PlaintextError> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != START {
            return Err(PlaintextError::Version);
        }
        let clock = UnixMillis(varint::read_signed(&mut reader)?);
        let names = (0..length(&mut reader, AUTH_HEADS_MAX)?).map(|_| reader.array());
        let auth_names = names.collect::<Result<_, _>>()?;
        let mut state = State {
            messages: COMPACT_MESSAGES_MAX,
            bytes: PLAINTEXT_BYTES_MAX,
            sent_at: clock.0,
        };
        let mut heads = Vec::new();
        for _ in 0..length(&mut reader, SECTIONS_MAX)? {
            heads.push(section(&mut reader, epoch, &mut state)?);
        }
        let promised = reader.array()?;
        let mut tail = reader.rest();
        let mut check = Check::new();
        let mut sections = Vec::new();
        for head in heads {
            sections.push(rebuilt(head, author, &mut tail, &mut state, &mut check)?);
        }
        if !tail.is_empty() {
            return Err(PlaintextError::Malformed);
        }
        if check.bytes() != promised {
            return Err(PlaintextError::Check);
        }
        Ok(Self {
            clock,
            auth_names,
            sections,
        })
    }
}

fn length(reader: &mut Reader<'_>, max: usize) -> Result<usize, PlaintextError> {
    match usize::try_from(varint::read(reader)?) {
        Ok(length) if length <= max => Ok(length),
        Ok(_) | Err(_) => Err(PlaintextError::Limit),
    }
}

/// Takes `count` of what is left.
fn take(room: &mut usize, count: usize) -> Result<(), PlaintextError> {
    *room = room.checked_sub(count).ok_or(PlaintextError::Limit)?;
    Ok(())
}

fn section(
    reader: &mut Reader<'_>,
    epoch: &EpochId,
    state: &mut State,
) -> Result<SectionHead, PlaintextError> {
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
    for _ in 0..length(reader, CHANGES_PER_SECTION_MAX)? {
        changes.push(match length(reader, 1 + CHANGE_DEPS_MAX)? {
            0 => ChangeHead::Raw(length(reader, CHANGE_BYTES_MAX)?),
            // Messages lie in pages.
            _ if document != DocumentKind::Page as u8 => return Err(PlaintextError::Malformed),
            form => ChangeHead::Messages(messages(reader, form - 1, state)?),
        });
    }
    Ok(SectionHead {
        document,
        lineage,
        n,
        changes,
    })
}

fn messages(
    reader: &mut Reader<'_>,
    dependencies: usize,
    state: &mut State,
) -> Result<NewMessages, PlaintextError> {
    let link = match dependencies {
        0 => Link::Previous,
        count => written(reader, count)?,
    };
    let after = after(reader)?;
    let count = length(reader, COMPACT_MESSAGES_MAX)?;
    if count == 0 {
        return Err(PlaintextError::Malformed);
    }
    take(&mut state.messages, count)?;
    let mut messages = Vec::new();
    for _ in 0..count {
        let step = varint::read(reader)?;
        let sent_at = state.sent_at.checked_add(varint::unzigzag(step >> 1));
        state.sent_at = sent_at.ok_or(PlaintextError::Malformed)?;
        let reply_to = match step & 1 {
            0 => None,
            _ => Some(reader.array()?),
        };
        messages.push(NewMessage {
            sent_at: state.sent_at,
            reply_to,
            body: String::new(),
        });
    }
    Ok(NewMessages {
        link,
        after,
        messages,
    })
}

fn written(reader: &mut Reader<'_>, count: usize) -> Result<Link, PlaintextError> {
    let seq = varint::read(reader)?;
    let start_op = varint::read(reader)?;
    if start_op == 0 {
        return Err(PlaintextError::Malformed);
    }
    if start_op > OP_COUNTER_MAX {
        return Err(PlaintextError::Limit);
    }
    let hashes = (0..count).map(|_| reader.array::<32>());
    let dependencies = hashes.collect::<Result<Vec<_>, _>>()?;
    if !dependencies.is_sorted_by(|left, right| left < right) {
        return Err(PlaintextError::Malformed);
    }
    Ok(Link::Written {
        seq,
        start_op,
        dependencies,
    })
}

fn after(reader: &mut Reader<'_>) -> Result<After, PlaintextError> {
    let Some(said) = varint::read(reader)?.checked_sub(1) else {
        return Ok(After::Head);
    };
    let other = match said % 2 {
        0 => None,
        _ => Some(AuthorKey::from_bytes(reader.array()?)),
    };
    Ok(After::Element(said / 2 + 1, other))
}

/// The changes of a section, their texts and raw bytes taken off `tail`.
fn rebuilt(
    head: SectionHead,
    author: &AuthorKey,
    tail: &mut &[u8],
    state: &mut State,
    check: &mut Check,
) -> Result<ReadChanges, PlaintextError> {
    let (mut changes, mut all_written) = (Vec::new(), Vec::new());
    let mut before: Option<Before> = None;
    for change in head.changes {
        let (bytes, hash, is_written) = match change {
            ChangeHead::Raw(length) => {
                let (raw, rest) = tail
                    .split_at_checked(length)
                    .ok_or(PlaintextError::Malformed)?;
                *tail = rest;
                before = None;
                (raw.to_vec(), chunk::hash_of(raw), false)
            }
            ChangeHead::Messages(mut new) => {
                if matches!(new.after, After::Element(_, Some(other)) if other == *author) {
                    return Err(PlaintextError::Malformed); // it has a shorter form
                }
                texts(&mut new.messages, tail)?;
                let (written, next) = new.rebuild(author, before)?;
                before = Some(next);
                (written.bytes, written.hash, true)
            }
        };
        if bytes.len() > CHANGE_BYTES_MAX {
            return Err(PlaintextError::Limit);
        }
        take(&mut state.bytes, bytes.len())?;
        check.add(&hash);
        all_written.push(is_written.then_some(hash));
        changes.push(bytes);
    }
    Ok(ReadChanges {
        of: DocumentChanges {
            document: head.document,
            lineage: head.lineage,
            n: head.n,
            changes,
        },
        written: all_written,
    })
}

/// The texts of one change: together no more than a change may hold.
fn texts(messages: &mut [NewMessage], tail: &mut &[u8]) -> Result<(), PlaintextError> {
    let mut room = CHANGE_BYTES_MAX;
    for message in messages {
        let body = text::take(tail, VALUE_BYTES_MAX.min(room));
        message.body = body.map_err(|error| match error {
            TextError::Coding => PlaintextError::Malformed,
            TextError::TooLong => PlaintextError::Limit,
        })?;
        take(&mut room, message.body.len())?;
    }
    Ok(())
}
