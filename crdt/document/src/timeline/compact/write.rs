//! From raw changes to a compact plaintext. A change takes the compact form only where the
//! bytes that a reader rebuilds are its own.

use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId};

use super::{
    After, Before, Check, CompactPlaintext, Link, NewMessage, NewMessages, START, name_of,
};
use crate::seal::Parts;
use crate::text;
use crate::timeline::chunk;
use crate::timeline::entry::{self, Entry, Section};
use crate::timeline::genesis::DocumentKind;
use crate::timeline::limits::COMPACT_MESSAGES_MAX;
use crate::timeline::message::key;
use crate::timeline::plaintext::{ChangePlaintext, DocumentChanges};
use crate::varint;

/// So that the step from one time to another fits its varint.
const TIME_MAX: i64 = 1 << 60;

/// A plaintext in two parts: what no model of text makes shorter, then texts and raw changes.
#[derive(Default)]
pub(crate) struct Compact {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Compact {
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts {
            head: &self.head,
            text: &self.tail,
        }
    }
}

/// What a reader reads as `plaintext` in an envelope of `author` under `epoch`; None if there
/// is no such bytes, as read again here. Of `plaintext` the auth heads are not taken but `named`.
pub(crate) fn write(
    author: &AuthorKey,
    epoch: &EpochId,
    plaintext: &ChangePlaintext,
    named: &[EnvelopeId],
) -> Option<Compact> {
    let mut out = Compact::default();
    out.head.extend(START);
    varint::write_signed(&mut out.head, plaintext.clock.0);
    let auth_names: Vec<_> = named.iter().map(name_of).collect();
    varint::write(&mut out.head, auth_names.len() as u64);
    out.head.extend(auth_names.iter().flatten());
    varint::write(&mut out.head, plaintext.sections.len() as u64);
    let mut check = Check::new();
    let mut state = State {
        messages: COMPACT_MESSAGES_MAX,
        sent_at: plaintext.clock.0,
    };
    for section in &plaintext.sections {
        write_section(&mut out, author, epoch, section, &mut state, &mut check);
    }
    out.head.extend(check.bytes());
    let written = [out.head.as_slice(), &out.tail].concat();
    let read = CompactPlaintext::decode(&written, author, epoch);
    let is_meant = read.is_ok_and(|read| {
        let sections = read.sections.iter().map(|section| &section.of);
        read.clock == plaintext.clock
            && read.auth_names == auth_names
            && sections.eq(&plaintext.sections)
    });
    is_meant.then_some(out)
}

/// As in reading.
struct State {
    messages: usize,
    sent_at: i64,
}

fn write_section(
    out: &mut Compact,
    author: &AuthorKey,
    epoch: &EpochId,
    section: &DocumentChanges,
    state: &mut State,
    check: &mut Check,
) {
    let tag = 4 * u64::from(section.document);
    if section.lineage == EpochId::ZERO {
        varint::write(&mut out.head, tag);
    } else if section.lineage == *epoch {
        varint::write(&mut out.head, tag + 1);
    } else {
        varint::write(&mut out.head, tag + 2);
        out.head.extend_from_slice(section.lineage.as_bytes());
    }
    varint::write(&mut out.head, u64::from(section.n));
    varint::write(&mut out.head, section.changes.len() as u64);
    let mut before = None;
    for raw in &section.changes {
        let hash = chunk::hash_of(raw);
        check.add(&hash);
        let new = Some(raw)
            .filter(|_| section.document == DocumentKind::Page as u8)
            .and_then(|raw| NewMessages::of(author, raw, hash, before))
            .filter(|(new, _)| new.messages.len() <= state.messages);
        let Some((new, next)) = new else {
            out.head.push(0);
            varint::write(&mut out.head, raw.len() as u64);
            out.tail.extend_from_slice(raw);
            before = None;
            continue;
        };
        state.messages -= new.messages.len();
        before = Some(next);
        new.encode(out, &mut state.sent_at);
    }
}

impl NewMessages {
    /// What a raw change adds; None if the compact form does not say all of it.
    fn of(
        author: &AuthorKey,
        raw: &[u8],
        hash: [u8; 32],
        before: Option<Before>,
    ) -> Option<(Self, Before)> {
        let change = entry::check_known(DocumentKind::Page, author, raw, hash).ok()?;
        let messages = change.entries.iter().map(message);
        let messages = messages.collect::<Option<Vec<_>>>()?;
        let after = match change.entries.first()?.after {
            None => After::Head,
            Some(element) => {
                let back = change.start_op.checked_sub(element.counter)?;
                let other = Some(element.author).filter(|other| other != author);
                After::Element(back, other)
            }
        };
        let written = Link::Written {
            seq: change.seq,
            start_op: change.start_op,
            dependencies: change.dependencies.iter().map(|hash| hash.0).collect(),
        };
        [Link::Previous, written].into_iter().find_map(|link| {
            let new = Self {
                link,
                after,
                messages: messages.clone(),
            };
            let (written, next) = new.rebuild(author, before).ok()?;
            (written.bytes == raw).then_some((new, next))
        })
    }

    fn encode(&self, out: &mut Compact, sent_at: &mut i64) {
        let head = &mut out.head;
        match &self.link {
            Link::Previous => head.push(1),
            Link::Written {
                seq,
                start_op,
                dependencies,
            } => {
                varint::write(head, 1 + dependencies.len() as u64);
                varint::write(head, *seq);
                varint::write(head, *start_op);
                head.extend(dependencies.iter().flatten());
            }
        }
        match &self.after {
            After::Head => head.push(0),
            After::Element(back, None) => varint::write(head, 2 * back - 1),
            After::Element(back, Some(other)) => {
                varint::write(head, 2 * back);
                head.extend_from_slice(other.as_bytes());
            }
        }
        varint::write(head, self.messages.len() as u64);
        for message in &self.messages {
            let step = varint::zigzag(message.sent_at.wrapping_sub(*sent_at));
            *sent_at = message.sent_at;
            varint::write(head, step << 1 | u64::from(message.reply_to.is_some()));
            head.extend(message.reply_to.iter().flatten());
            out.tail.extend(text::encode(&message.body));
            out.tail.push(text::END);
        }
    }
}

/// An entry with text, time and at most what it answers; the rebuilt bytes say whether it
/// has anything else.
fn message(entry: &Entry) -> Option<NewMessage> {
    let sent_at = entry.number(key::SENT_AT)?;
    let fits = (-TIME_MAX..=TIME_MAX).contains(&sent_at) && entry.section == Section::Messages;
    fits.then_some(NewMessage {
        sent_at,
        reply_to: entry.array(key::REPLY_TO),
        body: entry.text(key::BODY)?.to_owned(),
    })
}
