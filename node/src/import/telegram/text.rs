//! `text`: a string, or strings and entities that make one together.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::super::IMPORT_BODY_BYTES_MAX;
use super::ignoring::{Scalar, nothing_of_lists, nothing_of_numbers, nothing_of_objects};

/// The whole text. Beyond the limit of a body it is cut, but is still beyond it.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) String);

impl Text {
    fn push(&mut self, text: &str) {
        if self.0.len() <= IMPORT_BODY_BYTES_MAX {
            self.0.push_str(text);
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or its parts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Text, A::Error> {
        let mut text = Text::default();
        while let Some(part) = parts.next_element::<Part>()? {
            text.push(&part.0);
        }
        Ok(text)
    }

    nothing_of_numbers!();
    nothing_of_objects!();
}

/// A string or an entity, as text.
#[derive(Default)]
struct Part(String);

/// What lays something over a stretch of text: bold, a link, a name.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entity {
    #[serde(rename = "type")]
    kind: Scalar,
    text: Scalar,
    href: Scalar,
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Part, E> {
        Ok(Part(text.to_owned()))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, object: A) -> Result<Part, A::Error> {
        let entity = Entity::deserialize(serde::de::value::MapAccessDeserializer::new(object))?;
        Ok(Part(entity.shown()))
    }

    nothing_of_numbers!();
    nothing_of_lists!();
}

impl Entity {
    /// An address that the text hides is part of what was said.
    fn shown(self) -> String {
        let text = self.text.0.unwrap_or_default();
        match self.href.0 {
            Some(href) if self.kind.0.as_deref() == Some("text_link") && href != text => {
                format!("{text} ({href})")
            }
            Some(_) | None => text,
        }
    }
}
