//! Money, numbers and days as people read and write them.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod baht_text;
mod day;
mod formats;
mod satang;
