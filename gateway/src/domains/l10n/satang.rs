//! Money in Thai baht, exact.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

/// Characters of a written amount: the room of EMVCo's tag 54.
pub const AMOUNT_CHARACTERS_MAX: usize = 13;

const SATANG_PER_BAHT: i64 = 100;

/// What the room of an amount allows with its two decimals.
const WRITTEN_MAX: Satang = Satang(999_999_999_999);

/// An amount of Thai baht in its hundredths. Integers only: a float cannot say 0.1.
///
/// In JSON it is its number of satang; texts for people come from `Display` (`3649.22`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Satang(pub i64);

impl Satang {
    /// The largest amount that a payment can name: 9,999,999,999.99 baht.
    pub const MAX: Self = WRITTEN_MAX;

    /// Whole baht, and the satang beyond them: 0 to 99. The sign is dropped.
    #[must_use]
    pub fn parts(self) -> (u64, u64) {
        let all = self.0.unsigned_abs();
        let unit = SATANG_PER_BAHT.unsigned_abs();
        (all / unit, all % unit)
    }
}

/// Always with two decimals, a point, and no separators: `-0.05`, `1234.00`.
impl fmt::Display for Satang {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (baht, satang) = self.parts();
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(formatter, "{sign}{baht}.{satang:02}")
    }
}

impl Serialize for Satang {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

/// Why a text is no amount.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AmountError {
    /// Longer than tag 54 may be.
    #[error("an amount has at most {AMOUNT_CHARACTERS_MAX} characters, this has {length}")]
    TooLong {
        /// Its bytes.
        length: usize,
    },
    /// Nothing before the point, or nothing at all: a digit may have been lost.
    #[error("an amount begins with whole baht; write `0.50`, not `.50`")]
    NoBaht,
    /// Something else than digits and a point.
    #[error("an amount has only digits 0 to 9 and one point, without sign, space or separators")]
    Character {
        /// Where, in bytes from its beginning.
        offset: usize,
    },
    /// In much of the world `30.000` is thirty thousand.
    #[error("an amount has at most two decimals; write `30.00`, or `30000` if that was meant")]
    Decimals,
    /// More than [`Satang::MAX`].
    #[error("an amount is at most {} baht", Satang::MAX)]
    TooLarge,
    /// A payment of nothing.
    #[error("an amount is more than 0; leave it out to let the payer say it")]
    Zero,
}

/// As EMVCo writes amounts: digits, and perhaps a point with up to two decimals behind it.
///
/// `30`, `30.`, `30.0` and `30.00` are one amount, and so is `030`: the specification allows each, and
/// none can mean anything else. Refused is what could: three decimals, a missing whole part, a
/// separator, a sign. What this writes is always the form with two decimals.
impl FromStr for Satang {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        if text.len() > AMOUNT_CHARACTERS_MAX {
            return Err(AmountError::TooLong { length: text.len() });
        }
        let (baht, decimals) = text.split_once('.').unwrap_or((text, ""));
        let is_wrong = |byte: u8| !byte.is_ascii_digit();
        if let Some(offset) = baht.bytes().position(is_wrong) {
            return Err(AmountError::Character { offset });
        }
        if let Some(within) = decimals.bytes().position(is_wrong) {
            let offset = baht.len() + 1 + within;
            return Err(AmountError::Character { offset });
        }
        if baht.is_empty() {
            return Err(AmountError::NoBaht);
        }
        let hundredths: i64 = match *decimals.as_bytes() {
            [] => 0,
            [tenths] => i64::from(tenths - b'0') * 10,
            [tenths, last] => i64::from(tenths - b'0') * 10 + i64::from(last - b'0'),
            _ => return Err(AmountError::Decimals),
        };
        let whole: i64 = baht.parse().map_err(|_| AmountError::TooLarge)?;
        let all = whole
            .checked_mul(SATANG_PER_BAHT)
            .and_then(|all| all.checked_add(hundredths))
            .map(Self)
            .filter(|all| *all <= Self::MAX)
            .ok_or(AmountError::TooLarge)?;
        if all == Self(0) {
            return Err(AmountError::Zero);
        }
        Ok(all)
    }
}
