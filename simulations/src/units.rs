//! Quantities with their unit in the value: `"18h"`, `"35kbit/s"`, `"100kB"`.
//!
//! A bare number is refused: in a scenario nobody should have to guess whether
//! a delay of 30 is milliseconds or minutes. Lengths and speeds are plain
//! numbers whose key names the unit (`range_m`, `speed_m_s`).

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not the quantity that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not {what}: write a number with one of the units {units}, such as `{example}`"
)]
pub struct UnitError {
    text: String,
    what: &'static str,
    units: String,
    example: &'static str,
}

/// A length of time, in microseconds: `"250ms"`, `"30s"`, `"18h"`, `"7d"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

/// A data rate, in bits a second: `"35kbit/s"`, `"9Mbit/s"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u64);

/// A size, in bytes: `"512B"`, `"100kB"`, `"2MiB"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Largest unit first, so that writing finds the shortest exact form.
const SPANS: &[(&str, u64)] = &[
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];
const RATES: &[(&str, u64)] = &[
    ("Gbit/s", 1_000_000_000),
    ("Mbit/s", 1_000_000),
    ("kbit/s", 1_000),
    ("bit/s", 1),
];
const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

fn names(units: &[(&str, u64)]) -> String {
    let names: Vec<&str> = units.iter().rev().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// A number with at most six decimals, times a unit, without a float on the way.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')?;
    let (number, unit) = text.split_at_checked(split)?;
    let factor = units.iter().find(|(name, _)| *name == unit.trim())?.1;
    let number = number.replace('_', "");
    let (whole, decimals) = number.split_once('.').unwrap_or((&number, ""));
    if decimals.len() > 6 || (number.contains('.') && decimals.is_empty()) {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(decimals.len()).ok()?);
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let part = match decimals {
        "" => 0,
        decimals => decimals.parse::<u64>().ok()?.checked_mul(factor)?,
    };
    if part % scale != 0 {
        return None;
    }
    whole.checked_add(part / scale)
}

fn write(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let exact = units
        .iter()
        .find(|(_, factor)| value != 0 && value.is_multiple_of(*factor));
    match exact.or(units.last()) {
        Some((unit, factor)) => write!(f, "{}{unit}", value / factor),
        None => write!(f, "{value}"),
    }
}

macro_rules! quantity {
    ($name:ident, $units:ident, $what:literal, $example:literal) => {
        impl FromStr for $name {
            type Err = UnitError;

            fn from_str(text: &str) -> Result<Self, UnitError> {
                parse(text.trim(), $units)
                    .map(Self)
                    .ok_or_else(|| UnitError {
                        text: text.to_owned(),
                        what: $what,
                        units: names($units),
                        example: $example,
                    })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(self.0, $units, f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                String::deserialize(source)?
                    .parse()
                    .map_err(D::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
                target.collect_str(self)
            }
        }
    };
}

quantity!(Span, SPANS, "a length of time", "250ms");
quantity!(Rate, RATES, "a data rate", "35kbit/s");
quantity!(Size, SIZES, "a size", "100kB");

impl Span {
    /// In seconds, for geometry and statistics.
    #[must_use]
    #[expect(clippy::float_arithmetic, reason = "for geometry and statistics")]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}
