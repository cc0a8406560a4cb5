//! Numbers that may come from the environment.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ConfigError;

/// A whole number; in the environment it is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

impl Count {
    /// Whether it is from 1 to `most`.
    ///
    /// # Errors
    /// [`ConfigError::Value`] of `key`.
    pub fn check(self, key: &str, most: u64) -> Result<(), ConfigError> {
        if self.0 == 0 || self.0 > most {
            let wanted = format!("a number from 1 to {most} is needed");
            return Err(ConfigError::value(key, wanted));
        }
        Ok(())
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Count;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
                Ok(Count(number))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
                u64::try_from(number)
                    .map(Count)
                    .map_err(|_| E::custom("the number is negative"))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Count, E> {
                text.parse()
                    .map(Count)
                    .map_err(|_| E::custom("a whole number is needed"))
            }
        }
        deserializer.deserialize_any(Number)
    }
}
