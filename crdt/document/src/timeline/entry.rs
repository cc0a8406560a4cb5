//! Entries: the maps that lie in the lists of a document, and the rule that no
//! change can break (`DOCUMENT.md`, "What a change may do").

use std::borrow::Cow;
use std::sync::Arc;

use automerge::{Change, ChangeHash};
use khlong_crdt::id::AuthorKey;

use super::chunk::{self, ChunkError, ChunkKey, ChunkOp, Scalar};
use super::genesis::DocumentKind;
use super::limits::{
    CHANGE_MEMORY_BYTES, KEY_BYTES_MAX, KEYS_PER_ENTRY_MAX, OPERATION_MEMORY_BYTES,
};
use super::message::key;

/// The actor of a genesis change.
pub(crate) const GENESIS_ACTOR: AuthorKey = AuthorKey::ZERO;

/// The lists of both documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    Messages,
    Edits,
    Reactions,
    Deletes,
    Titles,
    Roster,
    Pins,
}

impl Section {
    /// The genesis operation that made the list.
    pub(crate) const fn counter(self) -> u64 {
        match self {
            Self::Messages | Self::Titles => 2,
            Self::Edits | Self::Roster => 3,
            Self::Reactions | Self::Pins => 4,
            Self::Deletes => 5,
        }
    }
}

/// Identity of an operation; its order is Automerge's: counter, then actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpId {
    pub(crate) counter: u64,
    pub(crate) author: AuthorKey,
}

/// One map in a list.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: OpId,
    pub(crate) section: Section,
    /// The entry it was inserted behind; None is the head of the list.
    pub(crate) after: Option<OpId>,
    fields: Vec<(Cow<'static, str>, Scalar)>,
}

impl Entry {
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.field(key)? {
            Scalar::Text(text) => Some(text),
            Scalar::Bool(_)
            | Scalar::Uint(_)
            | Scalar::Int(_)
            | Scalar::Bytes(_)
            | Scalar::Other => None,
        }
    }

    pub(crate) fn bytes(&self, key: &str) -> Option<&[u8]> {
        match self.field(key)? {
            Scalar::Bytes(bytes) => Some(bytes),
            Scalar::Bool(_)
            | Scalar::Uint(_)
            | Scalar::Int(_)
            | Scalar::Text(_)
            | Scalar::Other => None,
        }
    }

    pub(crate) fn array<const N: usize>(&self, key: &str) -> Option<[u8; N]> {
        self.bytes(key)?.try_into().ok()
    }

    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        match self.field(key)? {
            Scalar::Int(value) => Some(*value),
            Scalar::Uint(value) => i64::try_from(*value).ok(),
            Scalar::Bool(_) | Scalar::Text(_) | Scalar::Bytes(_) | Scalar::Other => None,
        }
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        matches!(self.field(key), Some(Scalar::Bool(true)))
    }

    fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn field(&self, key: &str) -> Option<&Scalar> {
        self.fields
            .iter()
            .find(|(name, _)| **name == *key)
            .map(|(_, value)| value)
    }
}

/// Why a change was refused; the same on every replica, whatever the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefusal {
    /// See [`ChunkError`].
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// Automerge itself does not take it, or its checksum is wrong.
    #[error("the bytes are not a change that Automerge accepts")]
    Automerge,
    /// The actor of the change is not the author of the envelope.
    #[error("the change was made by another author than its envelope")]
    ForeignActor,
    /// It deletes, overwrites, or writes outside entries of its own.
    #[error("the change does what no member may do in a timeline")]
    Rule,
    /// It does not continue the operations of what it depends on.
    #[error("the change's operations do not follow those of its dependencies")]
    Counter,
    /// Its author has spent the budget of this page: bytes, messages or operations.
    #[error("the author's budget in this page is spent")]
    Budget,
    /// Another change of the author has the same place and a lower hash.
    #[error("the author made two changes for one place; the other one counts")]
    Superseded,
    /// Too much is waiting, and this author holds the most of it; it comes back when the
    /// timeline is read again ([`super::Timeline::must_reread`]).
    #[error("too many changes wait for others; read the timeline again")]
    Full,
    /// The page number is beyond what a timeline may have.
    #[error("the page does not exist")]
    NoSuchPage,
}

/// A change that keeps the rule, as far as it can be seen without its page.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) hash: ChangeHash,
    pub(crate) author: AuthorKey,
    pub(crate) seq: u64,
    pub(crate) start_op: u64,
    pub(crate) max_op: u64,
    pub(crate) dependencies: Vec<ChangeHash>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) bytes: Box<[u8]>,
}

impl Checked {
    pub(crate) fn operations(&self) -> usize {
        usize::try_from(self.max_op + 1 - self.start_op).unwrap_or(usize::MAX)
    }

    /// About what it takes in memory, in bytes: unpacked operations are larger than their bytes.
    pub(crate) fn memory(&self) -> usize {
        CHANGE_MEMORY_BYTES + self.bytes.len() + OPERATION_MEMORY_BYTES * self.operations()
    }

    /// Its own entry of this name; entries are in the order of their counters.
    pub(crate) fn entry(&self, id: &OpId) -> Option<&Entry> {
        let place = self.entries.binary_search_by(|entry| entry.id.cmp(id));
        self.entries.get(place.ok()?)
    }

    pub(crate) fn messages(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.section == Section::Messages)
            .count()
    }
}

/// Reads a stranger's change and holds it to the rule.
pub(crate) fn check(
    kind: DocumentKind,
    author: &AuthorKey,
    bytes: &[u8],
) -> Result<Arc<Checked>, ChangeRefusal> {
    ruled(kind, author, bytes, |operations| {
        let change = Change::try_from(bytes).map_err(|_| ChangeRefusal::Automerge)?;
        if change.len() != operations {
            return Err(ChangeRefusal::Automerge);
        }
        Ok(change.hash())
    })
}

/// The same for one of which Automerge need not be asked, which takes longer than all the rest: it
/// was written here as Automerge writes it, or has been checked before. `hash` is that of the bytes.
pub(crate) fn check_known(
    kind: DocumentKind,
    author: &AuthorKey,
    bytes: &[u8],
    hash: [u8; 32],
) -> Result<Arc<Checked>, ChangeRefusal> {
    ruled(kind, author, bytes, |_| Ok(ChangeHash(hash)))
}

fn ruled(
    kind: DocumentKind,
    author: &AuthorKey,
    bytes: &[u8],
    hash: impl FnOnce(usize) -> Result<ChangeHash, ChangeRefusal>,
) -> Result<Arc<Checked>, ChangeRefusal> {
    let chunk = chunk::decode(bytes)?;
    if chunk.actors.first() != Some(&Some(*author)) || *author == GENESIS_ACTOR {
        return Err(ChangeRefusal::ForeignActor);
    }
    if !chunk.plain || chunk.ops.is_empty() || chunk.dependencies.is_empty() || chunk.seq == 0 {
        return Err(ChangeRefusal::Rule);
    }
    let (operations, max_op) = (chunk.ops.len(), chunk.max_op());
    let mut entries: Vec<Entry> = Vec::new();
    for (counter, op) in (chunk.start_op..).zip(chunk.ops) {
        if op.insert {
            // Run lengths pack thousands of empty maps into a few bytes.
            if entries.last().is_some_and(Entry::is_empty) {
                return Err(ChangeRefusal::Rule);
            }
            entries.push(inserted(
                kind,
                OpId {
                    counter,
                    author: *author,
                },
                &op,
                &chunk.actors,
            )?);
        } else {
            set(entries.last_mut().ok_or(ChangeRefusal::Rule)?, op)?;
        }
    }
    if entries.last().is_some_and(Entry::is_empty) {
        return Err(ChangeRefusal::Rule);
    }
    let hash = hash(operations)?;
    if !hash.0.starts_with(&chunk.checksum) {
        return Err(ChangeRefusal::Automerge);
    }
    Ok(Arc::new(Checked {
        hash,
        author: *author,
        seq: chunk.seq,
        start_op: chunk.start_op,
        max_op,
        dependencies: chunk.dependencies.into_iter().map(ChangeHash).collect(),
        entries,
        bytes: bytes.into(),
    }))
}

const MAKE_MAP: u64 = 0;
const PUT: u64 = 1;

/// A new map in one of the lists of the genesis.
fn inserted(
    kind: DocumentKind,
    id: OpId,
    op: &ChunkOp<'_>,
    actors: &[Option<AuthorKey>],
) -> Result<Entry, ChangeRefusal> {
    let actor_at = |place: usize| {
        actors
            .get(place)
            .copied()
            .flatten()
            .ok_or(ChangeRefusal::Rule)
    };
    let (list, list_actor) = op.object.ok_or(ChangeRefusal::Rule)?;
    if op.action != MAKE_MAP || actor_at(list_actor)? != GENESIS_ACTOR || op.value != Scalar::Other
    {
        return Err(ChangeRefusal::Rule);
    }
    let section = kind.section(list).ok_or(ChangeRefusal::Rule)?;
    let after = match op.key {
        ChunkKey::Head => None,
        ChunkKey::Element { counter, actor } => Some(OpId {
            counter,
            author: actor_at(actor)?,
        }),
        ChunkKey::Field(_) => return Err(ChangeRefusal::Rule),
    };
    if after.is_some_and(|after| after.counter >= id.counter) {
        return Err(ChangeRefusal::Rule);
    }
    Ok(Entry {
        id,
        section,
        after,
        fields: Vec::new(),
    })
}

/// A field of the entry that was made just before.
fn set(entry: &mut Entry, op: ChunkOp<'_>) -> Result<(), ChangeRefusal> {
    let ChunkKey::Field(name) = op.key else {
        return Err(ChangeRefusal::Rule);
    };
    // The writer is always actor 0 of its own change.
    let own = op.object == Some((entry.id.counter, 0));
    let known = entry.fields.iter().any(|(known, _)| **known == *name);
    if op.action != PUT
        || !own
        || known
        || name.is_empty()
        || name.len() > KEY_BYTES_MAX
        || entry.fields.len() == KEYS_PER_ENTRY_MAX
    {
        return Err(ChangeRefusal::Rule);
    }
    entry.fields.push((key::known(name), op.value));
    Ok(())
}
