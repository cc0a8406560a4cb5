//! How long something lasts: days with their unit.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of days, `"90d"`: what is read is 1 to [`Days::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(pub u32);

impl Days {
    /// The most that can be said: a hundred years.
    pub const MAX: u32 = 36_500;
    /// A regular expression (ECMA 262) of what is taken, but for the bound; without anchors.
    pub const PATTERN: &str = r"0*[1-9][0-9]{0,4}\s*d";

    /// Of text such as `90d`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let days = text.strip_suffix('d')?.trim_end();
        // `parse` would take a sign.
        if !days.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let days = days.parse().ok()?;
        (1..=Self::MAX).contains(&days).then_some(Self(days))
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d", self.0)
    }
}

impl JsonSchema for Days {
    fn schema_name() -> Cow<'static, str> {
        "Days".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^{}$", Self::PATTERN) })
    }
}

impl Serialize for Days {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Days;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("days with their unit, such as \"90d\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Days, E> {
                Days::parse(text).ok_or_else(|| {
                    E::custom(format!(
                        "1 to {} days with their unit are needed, such as \"90d\"",
                        Days::MAX
                    ))
                })
            }
        }
        deserializer.deserialize_any(Text)
    }
}
