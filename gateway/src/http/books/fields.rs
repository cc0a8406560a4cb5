//! Days, moments and hashes as JSON has them.

use std::borrow::Cow;
use std::fmt;

use data_encoding::HEXLOWER;
use khlong_crdt::time::UnixMillis;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domains::books::Day;
use crate::http::ledger::number::{of_file, parse_moment};

/// A calendar day of Bangkok: `2026-11-27`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DayText(pub(super) Day);

impl fmt::Display for DayText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for DayText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DayText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A moment, RFC 3339, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) UnixMillis);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        parse_moment(&text).map(Self).ok_or_else(|| {
            D::Error::custom("write a moment since 1970 as 2026-11-27T09:00:00+07:00")
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The id of a batch as it stands in its file: 32 hexadecimal digits.
pub(super) fn batch_text(id: u128) -> String {
    format!("{id:032x}")
}

/// Reads what [`batch_text`] wrote.
pub(super) fn parse_batch(text: &str) -> Option<u128> {
    of_file(text)
}
