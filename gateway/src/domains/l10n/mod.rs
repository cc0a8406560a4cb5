//! How amounts and days look to people in Thailand and elsewhere.
//!
//! Money is whole satang in an integer, so nothing here can round, and a day is the calendar day of
//! Bangkok, whatever the machine's own zone says.

mod baht_text;
mod day;
mod formats;
mod satang;

pub use self::day::business_day;
pub use self::formats::{Digits, FormatError, Formats, Language};
pub use self::satang::{AMOUNT_CHARACTERS_MAX, AmountError, Satang};
