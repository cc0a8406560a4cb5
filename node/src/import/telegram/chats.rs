//! The way to the messages: an export is a chat, or holds lists of chats.

use std::fmt;

use serde::Deserialize as _;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::ignoring::{Scalar, nothing_of_lists, nothing_of_objects, nothing_of_scalars};
use super::message::Message;
use super::{OpenChat, Reading, TelegramLimit};

/// Ends the reading; what it was is told by [`Reading::beyond`].
fn ends<E: serde::de::Error>(reading: &mut Reading<'_>, limit: TelegramLimit) -> E {
    reading.beyond = Some(limit);
    E::custom(limit)
}

/// A chat, or the export of an account, which stands where a lone chat stands.
pub(super) struct ChatSeed<'s, 'a> {
    reading: &'s mut Reading<'a>,
    is_root: bool,
}

impl<'s, 'a> ChatSeed<'s, 'a> {
    pub(super) fn root(reading: &'s mut Reading<'a>) -> Self {
        Self {
            reading,
            is_root: true,
        }
    }
}

impl<'de> DeserializeSeed<'de> for ChatSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ChatSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chat")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { reading, is_root } = self;
        let mut chat = OpenChat::new(reading.file);
        while let Some(key) = object.next_key::<String>()? {
            match key.as_str() {
                "id" => chat.id = object.next_value::<Scalar>()?.0,
                "name" => {
                    chat.name = object.next_value::<Scalar>()?.0;
                    chat.has_name = true;
                }
                "type" => chat.kind = object.next_value::<Scalar>()?.0,
                "messages" => {
                    chat.has_messages = true;
                    chat.is_kept = reading.may_want(&chat, is_root);
                    let (reading, chat) = (&mut *reading, &mut chat);
                    object.next_value_seed(MessagesSeed { reading, chat })?;
                }
                "chats" | "left_chats" if is_root => {
                    reading.is_account = true;
                    object.next_value_seed(ListsSeed(reading))?;
                }
                _ => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        let closed = reading.close(chat, is_root);
        closed.map_err(|limit| ends(reading, limit))
    }

    nothing_of_scalars!();
    nothing_of_lists!();
}

/// `{ "about": …, "list": [ <chat>, … ] }`.
struct ListsSeed<'s, 'a>(&'s mut Reading<'a>);

impl<'de> DeserializeSeed<'de> for ListsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ListsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list of chats")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<String>()? {
            if key == "list" {
                object.next_value_seed(ListSeed(self.0))?;
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    nothing_of_scalars!();
    nothing_of_lists!();
}

struct ListSeed<'s, 'a>(&'s mut Reading<'a>);

impl<'de> DeserializeSeed<'de> for ListSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ListSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of chats")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            let seed = ChatSeed {
                reading: &mut *self.0,
                is_root: false,
            };
            if list.next_element_seed(seed)?.is_none() {
                return Ok(());
            }
        }
    }

    nothing_of_scalars!();
    nothing_of_objects!();
}

struct MessagesSeed<'s, 'a> {
    reading: &'s mut Reading<'a>,
    chat: &'s mut OpenChat,
}

impl<'de> DeserializeSeed<'de> for MessagesSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MessagesSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { reading, chat } = self;
        while let Some(entry) = list.next_element_seed(EntrySeed(reading))? {
            let line = entry.line.unwrap_or(reading.place.get().line);
            let taken = reading.entry(chat, line, entry.message);
            taken.map_err(|limit| ends::<A::Error>(reading, limit))?;
        }
        Ok(())
    }

    nothing_of_scalars!();
    nothing_of_objects!();
}

/// One entry of `messages`, and the line where it begins.
#[derive(Default)]
struct Entry {
    line: Option<u32>,
    message: Option<Message>,
}

struct EntrySeed<'s, 'a>(&'s Reading<'a>);

impl<'de> DeserializeSeed<'de> for EntrySeed<'_, '_> {
    type Value = Entry;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Entry, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed<'_, '_> {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Entry, A::Error> {
        let line = Some(self.0.place.get().line);
        let message = Message::deserialize(MapAccessDeserializer::new(object))?;
        Ok(Entry {
            line,
            message: Some(message),
        })
    }

    nothing_of_scalars!();
    nothing_of_lists!();
}
