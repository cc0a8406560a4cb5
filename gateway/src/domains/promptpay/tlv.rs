//! Tag, length, value: two digits, two digits, and so many bytes.
//!
//! EMVCo counts characters, which for its ASCII fields are bytes. Thai names are counted in bytes of
//! UTF-8 here, as by the writers whose codes we met.

use std::collections::BTreeMap;

use super::checksum::{checksum, value};
use super::error::{Path, PayloadError};

/// Bytes that a code holds at most (EMVCo, "Data Capacity").
pub const PAYLOAD_BYTES_MAX: usize = 512;

/// Bytes of a value at most: two digits.
pub(super) const VALUE_BYTES_MAX: usize = 99;

const HEADER_BYTES: usize = 4;

/// The smallest field has one byte of value.
const FIELDS_MAX: usize = PAYLOAD_BYTES_MAX / (HEADER_BYTES + 1);

const _: () = assert!(FIELDS_MAX > 100, "every tag that there is fits");

/// One field where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) value: &'a str,
    /// Where its tag begins, from the beginning of the whole payload.
    pub(super) offset: usize,
}

/// Fields by tag. What was used is taken out; what is left is kept as it is.
pub(super) type Fields<'a> = BTreeMap<u8, Field<'a>>;

/// Where a field's value begins.
pub(super) fn value_offset(field: &Field<'_>) -> usize {
    field.offset + HEADER_BYTES
}

/// All fields of `text`, which begins at `base` of the payload, in the template `outer`.
pub(super) fn fields<'a>(
    text: &'a str,
    base: usize,
    outer: Option<u8>,
) -> Result<Fields<'a>, PayloadError> {
    let mut found = Fields::new();
    let mut at = 0;
    while at < text.len() {
        let offset = base + at;
        let header = PayloadError::Header { offset };
        let tag = two_digits(text, at).ok_or_else(|| header.clone())?;
        let length = usize::from(two_digits(text, at + 2).ok_or(header)?);
        let path = Path { outer, tag };
        let start = at + HEADER_BYTES;
        let wrong_length = PayloadError::Length {
            path,
            offset,
            length,
        };
        // Also none where it ends within a letter.
        let value = text
            .get(start..start + length)
            .filter(|value| !value.is_empty())
            .ok_or(wrong_length)?;
        if found.insert(tag, Field { value, offset }).is_some() {
            return Err(PayloadError::Twice { path, offset });
        }
        at = start + length;
    }
    Ok(found)
}

fn two_digits(text: &str, at: usize) -> Option<u8> {
    match text.as_bytes().get(at..at + 2)? {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    }
}

/// Which characters may stand in a payload: printable ASCII, and Thai letters and signs.
///
/// Two Thai letters differ in their last two bytes alone, so that one letter in place of another is
/// a burst of 16 bits at most, which a checksum of 16 bits always notices. Of letters of all scripts
/// it would notice all but one in 65,536.
fn is_allowed(character: char) -> bool {
    matches!(character, ' '..='~' | '\u{E01}'..='\u{E3A}' | '\u{E3F}'..='\u{E5B}')
}

/// How the checksum of a payload is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) tag: u8,
    /// Whether one without its leading zeros is accepted, as some banks print it on slips.
    pub(super) may_be_short: bool,
}

/// The fields of a whole payload whose checksum is right, without the checksum.
pub(super) fn checked(text: &str, ending: Ending) -> Result<Fields<'_>, PayloadError> {
    let length = text.len();
    if length > PAYLOAD_BYTES_MAX {
        return Err(PayloadError::TooLong { length });
    }
    let foreign = text.char_indices().find(|(_, it)| !is_allowed(*it));
    if let Some((offset, character)) = foreign {
        return Err(PayloadError::Character { offset, character });
    }
    let tag = ending.tag;
    let at = beginning_of_checksum(text, ending).ok_or(PayloadError::NoChecksum { tag })?;
    let (before, last) = text
        .split_at_checked(at)
        .ok_or(PayloadError::NoChecksum { tag })?;
    let mut found = fields(before, 0, None)?;
    let digits = last.get(HEADER_BYTES..).unwrap_or_default();
    let covered = text.as_bytes().get(..at + HEADER_BYTES).unwrap_or_default();
    let right = checksum(covered);
    let is_written =
        format!("{right:04X}") == digits || (ending.may_be_short && format!("{right:X}") == digits);
    if value(digits).is_none() || !is_written {
        return Err(PayloadError::Checksum { tag, offset: at });
    }
    if let Some(second) = found.remove(&tag) {
        return Err(PayloadError::Twice {
            path: Path::root(tag),
            offset: second.offset,
        });
    }
    Ok(found)
}

/// Walks to the last field: the checksum is what stands there, not what looks like one.
fn beginning_of_checksum(text: &str, ending: Ending) -> Option<usize> {
    let digits_min = if ending.may_be_short { 1 } else { 4 };
    (digits_min..=4).find_map(|digits| {
        let at = text.len().checked_sub(HEADER_BYTES + digits)?;
        let header = format!("{:02}04", ending.tag);
        (text.get(at..at + HEADER_BYTES)? == header).then_some(at)
    })
}
