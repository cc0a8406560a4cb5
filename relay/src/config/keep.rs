//! How long something is kept: days with their unit, or for good.

use std::borrow::Cow;
use std::fmt;

use khlong_settings::Days;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hub::KeepFor;

const EVER: &str = "keep";

/// A number of days, `"90d"`, or `"keep"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep(pub KeepFor);

impl Keep {
    fn parse(text: &str) -> Option<Self> {
        if text == EVER {
            return Some(Self(KeepFor::Ever));
        }
        Some(Self(KeepFor::Days(Days::parse(text)?.0)))
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            KeepFor::Days(days) => write!(f, "{days}d"),
            KeepFor::Ever => f.write_str(EVER),
        }
    }
}

impl JsonSchema for Keep {
    fn schema_name() -> Cow<'static, str> {
        "Keep".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^({EVER}|{})$", Days::PATTERN) })
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Keep;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("days with their unit, such as \"90d\", or \"keep\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Keep, E> {
                Keep::parse(text).ok_or_else(|| {
                    E::custom(format!(
                        "1 to {} days with their unit are needed, such as \"90d\", or \"keep\"",
                        Days::MAX
                    ))
                })
            }
        }
        deserializer.deserialize_any(Text)
    }
}
