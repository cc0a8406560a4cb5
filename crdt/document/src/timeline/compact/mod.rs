//! The compact form of a change's plaintext, codec 1 (`DOCUMENT.md` §8): what follows from
//! the rest is left out, and every reader rebuilds the changes byte for byte.
//!
//! Nothing outside of the envelope is asked for but its author and its epoch. So whoever can
//! open it has its changes, whatever else has come, and nothing ever waits for another
//! change before it can be read.
//!
//! | part | what |
//! |---|---|
//! | this file | what a plaintext says, and the check over what was rebuilt |
//! | [`read`] | from bytes to what they say |
//! | [`write`] | from raw changes to bytes; what cannot be rebuilt stays raw |
//! | [`chunk_writer`] | one Automerge change |

mod chunk_writer;
mod read;
pub(crate) mod write;

use khlong_crdt::id::{AuthorKey, EnvelopeId};
use khlong_crdt::time::UnixMillis;

use self::chunk_writer::{Place, Written};
use super::entry::OpId;
use super::plaintext::{PlaintextError, ReadChanges};
use crate::context;

/// Version and codec.
pub(crate) const START: [u8; 2] = [1, 1];
/// Bytes of the check over the changes.
const CHECK_BYTES: usize = 8;
/// Bytes of an auth-op's id that name it.
const NAME_BYTES: usize = 16;

/// The first bytes of an auth-op's id.
pub(crate) type AuthName = [u8; NAME_BYTES];

pub(crate) fn name_of(id: &EnvelopeId) -> AuthName {
    let mut name = AuthName::default();
    for (to, from) in name.iter_mut().zip(id.as_bytes()) {
        *to = *from;
    }
    name
}

/// What a plaintext says, its changes rebuilt.
#[derive(Clone, Debug)]
pub(crate) struct CompactPlaintext {
    /// What the writer's clock said; for display, never for order.
    pub(crate) clock: UnixMillis,
    /// Heads of the membership log that the writer knew, but its own and the genesis.
    pub(crate) auth_names: Vec<AuthName>,
    pub(crate) sections: Vec<ReadChanges>,
}

/// A change that does nothing but add messages, each behind the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NewMessages {
    link: Link,
    after: After,
    messages: Vec<NewMessage>,
}

/// Where a change stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    /// Behind the one before it in its section, and on that one alone.
    Previous,
    Written {
        seq: u64,
        start_op: u64,
        /// Strictly ascending.
        dependencies: Vec<[u8; 32]>,
    },
}

/// The element behind which the first message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Head,
    /// So many operations before the first of this change, by the author or somebody else.
    Element(u64, Option<AuthorKey>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NewMessage {
    sent_at: i64,
    reply_to: Option<[u8; 16]>,
    body: String,
}

impl NewMessage {
    /// One that makes the map, one for each key.
    const fn operations(&self) -> u64 {
        3 + self.reply_to.is_some() as u64
    }
}

/// What has to be known of a change that the next one rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Before {
    hash: [u8; 32],
    seq: u64,
    next_op: u64,
}

impl NewMessages {
    /// The change by `author`, byte for byte; `before` is the one before it in its section, if
    /// that is of this form too.
    fn rebuild(
        &self,
        author: &AuthorKey,
        before: Option<Before>,
    ) -> Result<(Written, Before), PlaintextError> {
        let own;
        let (seq, start_op, dependencies) = match (&self.link, before) {
            (Link::Previous, None) => return Err(PlaintextError::Malformed),
            (Link::Previous, Some(before)) => {
                own = [before.hash];
                let seq = before.seq.checked_add(1).ok_or(PlaintextError::Limit)?;
                (seq, before.next_op, own.as_slice())
            }
            (
                Link::Written {
                    seq,
                    start_op,
                    dependencies,
                },
                _,
            ) => (*seq, *start_op, dependencies.as_slice()),
        };
        let after = match self.after {
            After::Head => None,
            After::Element(back, other) => Some(OpId {
                counter: start_op
                    .checked_sub(back)
                    .ok_or(PlaintextError::Malformed)?,
                author: other.unwrap_or(*author),
            }),
        };
        let place = Place {
            author,
            seq,
            start_op,
            dependencies,
            after,
        };
        let written = chunk_writer::write(&place, &self.messages);
        let operations = self.messages.iter().map(NewMessage::operations);
        let before = Before {
            hash: written.hash,
            seq,
            next_op: start_op + operations.sum::<u64>(),
        };
        Ok((written, before))
    }
}

/// Says whether a reader has rebuilt what the writer sealed: a hash over the hashes of all
/// changes, in order.
struct Check(blake3::Hasher);

impl Check {
    fn new() -> Self {
        Self(blake3::Hasher::new_derive_key(context::CHANGES_CHECK))
    }

    fn add(&mut self, hash: &[u8; 32]) {
        self.0.update(hash);
    }

    fn bytes(&self) -> [u8; CHECK_BYTES] {
        let mut bytes = [0; CHECK_BYTES];
        self.0.finalize_xof().fill(&mut bytes);
        bytes
    }
}
