//! What a person wants to say, and the entries it becomes.

use automerge::ScalarValue;
use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::{MediaRootId, MessageId};
use khlong_crdt::time::UnixMillis;

use super::entry::Section;
use super::limits::{
    ATTACHMENTS_MAX, EMOJI_BYTES_MAX, MESSAGE_BODY_BYTES_MAX, NICKNAME_BYTES_MAX, ORIGIN_BYTES_MAX,
    RELAY_BYTES_MAX, TITLE_BYTES_MAX,
};
use super::message::{Origin, key};
use super::state;

/// Something to write; several drafts go into one envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draft {
    /// A message; a reply if `reply_to` is set.
    Message {
        /// The text, at most [`MESSAGE_BODY_BYTES_MAX`] bytes.
        body: String,
        /// The message it answers.
        reply_to: Option<MessageId>,
        /// Media, at most [`ATTACHMENTS_MAX`].
        attachments: Vec<MediaRootId>,
        /// Where an imported message came from.
        origin: Option<Origin>,
        /// Makes the id of an imported message, so that importing twice, or on
        /// two devices, adds nothing.
        import_key: Option<[u8; 16]>,
        /// By the writer's clock.
        sent_at: UnixMillis,
    },
    /// Replaces the text of a message of one's own.
    Edit {
        /// The message.
        target: MessageId,
        /// The new text.
        body: String,
    },
    /// Deletes a message of one's own.
    Delete {
        /// The message.
        target: MessageId,
    },
    /// Adds a reaction.
    React {
        /// The message.
        target: MessageId,
        /// At most [`EMOJI_BYTES_MAX`] bytes.
        emoji: String,
    },
    /// Takes a reaction back.
    Unreact {
        /// The message.
        target: MessageId,
        /// As it was given.
        emoji: String,
    },
    /// Names the timeline, at most [`TITLE_BYTES_MAX`] bytes.
    Title(String),
    /// Names oneself, at most [`NICKNAME_BYTES_MAX`] bytes.
    Nickname(String),
    /// Says that one leaves.
    Leave,
    /// Adds a relay to those of the timeline, or takes it away; only admins may.
    Relay {
        /// The relay, and where it is.
        relay: RelayAddress,
        /// Whether the timeline moves away from it.
        is_removed: bool,
    },
    /// Pins or unpins a message.
    Pin {
        /// The message.
        target: MessageId,
        /// False takes the pin away.
        pinned: bool,
    },
}

/// A draft that no document takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// A text is longer than its field.
    #[error("the text is {bytes} bytes long; at most {max} fit: shorten or split it")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// What fits.
        max: usize,
    },
    /// A text that must say something is empty.
    #[error("the text is empty")]
    Empty,
    /// More media than a message shows.
    #[error("a message holds at most {ATTACHMENTS_MAX} attachments; send the rest in another one")]
    Attachments,
}

/// Where the entry of a draft goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The newest page.
    Newest,
    /// The page that holds this message.
    PageOf(MessageId),
    /// The state document.
    State,
}

/// An entry before it has an id.
#[derive(Clone, Debug)]
pub(crate) struct NewEntry {
    pub(crate) section: Section,
    pub(crate) fields: Vec<(&'static str, ScalarValue)>,
}

impl NewEntry {
    /// One that makes it, one for each key.
    pub(crate) fn operations(&self) -> usize {
        1 + self.fields.len()
    }

    /// About what it adds to a change, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.fields
            .iter()
            .map(|(_, value)| match value {
                ScalarValue::Str(text) => text.len(),
                ScalarValue::Bytes(bytes) => bytes.len(),
                ScalarValue::Int(_)
                | ScalarValue::Uint(_)
                | ScalarValue::F64(_)
                | ScalarValue::Counter(_)
                | ScalarValue::Timestamp(_)
                | ScalarValue::Boolean(_)
                | ScalarValue::Unknown { .. }
                | ScalarValue::Null => 8,
            })
            .sum::<usize>()
            + 32
    }
}

impl Draft {
    /// Bytes of text that count against [`super::limits::DRAFT_BYTES_MAX`].
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Message {
                body,
                origin,
                attachments,
                ..
            } => {
                body.len()
                    + attachments.len() * 32
                    + origin
                        .as_ref()
                        .map_or(0, |origin| origin.network.len() + origin.sender.len())
            }
            Self::Edit { body, .. } => body.len(),
            Self::React { emoji, .. } | Self::Unreact { emoji, .. } => emoji.len(),
            Self::Title(text) | Self::Nickname(text) => text.len(),
            Self::Delete { .. } | Self::Leave | Self::Pin { .. } | Self::Relay { .. } => 0,
        }
    }

    /// Whether a document takes it, before anything is written; what depends on
    /// the timeline shows only then.
    ///
    /// # Errors
    /// [`DraftError`].
    pub fn check(&self) -> Result<(), DraftError> {
        self.entry(UnixMillis(0)).map(|_| ())
    }

    /// The entry and where it goes. Edits take the writer's clock.
    pub(crate) fn entry(&self, now: UnixMillis) -> Result<(Place, NewEntry), DraftError> {
        let to = |target: &MessageId| (key::TARGET, bytes(target.as_bytes()));
        let about = |target: &MessageId, section, fields| {
            (Place::PageOf(*target), NewEntry { section, fields })
        };
        Ok(match self {
            Self::Message {
                body,
                reply_to,
                attachments,
                origin,
                import_key,
                sent_at,
            } => {
                let mut fields = vec![
                    (key::BODY, text(body, MESSAGE_BODY_BYTES_MAX)?),
                    (key::SENT_AT, ScalarValue::Int(sent_at.0)),
                ];
                if attachments.len() > ATTACHMENTS_MAX {
                    return Err(DraftError::Attachments);
                }
                fields.extend(reply_to.map(|id| (key::REPLY_TO, bytes(id.as_bytes()))));
                if !attachments.is_empty() {
                    fields.push((
                        key::ATTACHMENTS,
                        bytes(
                            &attachments
                                .iter()
                                .flat_map(|root| *root.as_bytes())
                                .collect::<Vec<_>>(),
                        ),
                    ));
                }
                if let Some(origin) = origin {
                    fields.push((
                        key::ORIGIN_NETWORK,
                        text(&origin.network, ORIGIN_BYTES_MAX)?,
                    ));
                    fields.push((key::ORIGIN_SENDER, text(&origin.sender, ORIGIN_BYTES_MAX)?));
                }
                fields.extend(import_key.map(|import_key| (key::IMPORT_KEY, bytes(&import_key))));
                (
                    Place::Newest,
                    NewEntry {
                        section: Section::Messages,
                        fields,
                    },
                )
            }
            Self::Edit { target, body } => about(
                target,
                Section::Edits,
                vec![
                    to(target),
                    (key::BODY, text(body, MESSAGE_BODY_BYTES_MAX)?),
                    (key::SENT_AT, ScalarValue::Int(now.0)),
                ],
            ),
            Self::Delete { target } => about(target, Section::Deletes, vec![to(target)]),
            Self::React { target, emoji } => about(
                target,
                Section::Reactions,
                vec![to(target), (key::EMOJI, filled(emoji, EMOJI_BYTES_MAX)?)],
            ),
            Self::Unreact { target, emoji } => about(
                target,
                Section::Reactions,
                vec![
                    to(target),
                    (key::EMOJI, filled(emoji, EMOJI_BYTES_MAX)?),
                    (key::UNDONE, ScalarValue::Boolean(true)),
                ],
            ),
            Self::Title(title) => state_entry(
                Section::Titles,
                (state::key::TITLE, text(title, TITLE_BYTES_MAX)?),
            ),
            Self::Nickname(nickname) => state_entry(
                Section::Roster,
                (state::key::NICKNAME, filled(nickname, NICKNAME_BYTES_MAX)?),
            ),
            Self::Leave => state_entry(
                Section::Roster,
                (state::key::LEFT, ScalarValue::Boolean(true)),
            ),
            Self::Relay { relay, is_removed } => relay_entry(relay, *is_removed)?,
            Self::Pin { target, pinned } => {
                let (place, mut entry) = state_entry(Section::Pins, to(target));
                if !pinned {
                    entry
                        .fields
                        .push((state::key::UNDONE, ScalarValue::Boolean(true)));
                }
                (place, entry)
            }
        })
    }
}

fn state_entry(section: Section, field: (&'static str, ScalarValue)) -> (Place, NewEntry) {
    (
        Place::State,
        NewEntry {
            section,
            fields: vec![field],
        },
    )
}

fn relay_entry(relay: &RelayAddress, is_removed: bool) -> Result<(Place, NewEntry), DraftError> {
    let address = text(&relay.to_string(), RELAY_BYTES_MAX)?;
    let (place, mut entry) = state_entry(Section::Titles, (state::key::RELAY, address));
    if is_removed {
        let taken_away = (state::key::UNDONE, ScalarValue::Boolean(true));
        entry.fields.push(taken_away);
    }
    Ok((place, entry))
}

fn bytes(value: &[u8]) -> ScalarValue {
    ScalarValue::Bytes(value.to_vec())
}

fn filled(value: &str, max: usize) -> Result<ScalarValue, DraftError> {
    if value.is_empty() {
        Err(DraftError::Empty)
    } else {
        text(value, max)
    }
}

fn text(value: &str, max: usize) -> Result<ScalarValue, DraftError> {
    if value.len() > max {
        return Err(DraftError::TooLong {
            bytes: value.len(),
            max,
        });
    }
    Ok(ScalarValue::Str(value.into()))
}
