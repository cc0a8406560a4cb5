//! How amounts and days look to people in Thailand and elsewhere.
//!
//! Money is whole satang in an integer, so nothing here can round, and a day is the calendar day of
//! Bangkok, whatever the machine's own zone says.

mod satang;

pub use self::satang::{AMOUNT_CHARACTERS_MAX, AmountError, Satang};
