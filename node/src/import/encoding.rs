//! In which encoding an export is: UTF-8, UTF-16 with its mark, or the Thai one of old Windows.
//!
//! A LINE export is written by one program, so it is in one encoding or broken.
//! An IRC log holds what many programs sent; there one line in an old encoding
//! spoils no other ([`Strays::Shown`]).
//!
//! Windows-874 (TIS-620 and a few signs) is told from other old encodings by
//! Thai spelling: above and below vowels and tone marks stand on a letter. In
//! French or German text the same bytes stand on ASCII letters.

use std::borrow::Cow;

use super::{IMPORT_FILE_BYTES_MAX, ImportError, Place};

const BOM_UTF8: &[u8] = b"\xEF\xBB\xBF";
const BOM_UTF16_LE: &[u8] = b"\xFF\xFE";
const BOM_UTF16_BE: &[u8] = b"\xFE\xFF";

/// How the bytes of an export were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is. Lines of an IRC log may hold strays.
    Utf8,
    /// Told by its byte order mark.
    Utf16,
    /// Not UTF-8, and spelled like Thai in Windows-874 or TIS-620.
    Windows874,
}

impl Encoding {
    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 => "UTF-16",
            Self::Windows874 => "Windows-874 (TIS-620, Thai)",
        }
    }
}

/// What becomes of bytes that are in no encoding that is known here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strays {
    /// The export is refused.
    Refused,
    /// They are shown as U+FFFD, line by line, and counted.
    Shown,
}

/// The export as UTF-8, but for the strays of a log, and what it was.
pub(super) fn decode<'a>(
    file: &str,
    bytes: &'a [u8],
    strays: Strays,
) -> Result<(Cow<'a, [u8]>, Encoding), ImportError> {
    if bytes.len() > IMPORT_FILE_BYTES_MAX {
        return Err(ImportError::FileTooLarge { file: file.into() });
    }
    if let Some(units) = bytes.strip_prefix(BOM_UTF16_LE) {
        return utf16(file, units, u16::from_le_bytes);
    }
    if let Some(units) = bytes.strip_prefix(BOM_UTF16_BE) {
        return utf16(file, units, u16::from_be_bytes);
    }
    let bytes = bytes.strip_prefix(BOM_UTF8).unwrap_or(bytes);
    let Err(error) = std::str::from_utf8(bytes) else {
        return Ok((Cow::Borrowed(bytes), Encoding::Utf8));
    };
    if let Some(text) = windows_874(bytes) {
        return Ok((Cow::Owned(text.into_bytes()), Encoding::Windows874));
    }
    match strays {
        Strays::Shown => Ok((Cow::Borrowed(bytes), Encoding::Utf8)),
        Strays::Refused => Err(ImportError::Undecodable {
            file: file.into(),
            place: Place::of(bytes, error.valid_up_to()),
        }),
    }
}

fn utf16<'a>(
    file: &str,
    bytes: &[u8],
    unit: fn([u8; 2]) -> u16,
) -> Result<(Cow<'a, [u8]>, Encoding), ImportError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    for decoded in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match decoded {
            Ok(c) => text.push(c),
            Err(_) => return Err(broken(file, &text)),
        }
    }
    if !rest.is_empty() {
        return Err(broken(file, &text));
    }
    Ok((Cow::Owned(text.into_bytes()), Encoding::Utf16))
}

/// What was read before is known by characters; in UTF-16 their bytes are counted so.
fn broken(file: &str, before: &str) -> ImportError {
    let in_line = before.rsplit('\n').next().unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count();
    ImportError::Undecodable {
        file: file.into(),
        place: Place {
            line: u32::try_from(line).unwrap_or(u32::MAX).saturating_add(1),
            byte: 2 * in_line.chars().map(char::len_utf16).sum::<usize>() + 1,
        },
    }
}

/// The text, if every byte is a sign of Windows-874 and spelled as Thai is.
fn windows_874(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    let (mut letters, mut before) = (false, ' ');
    for byte in bytes {
        let c = sign(*byte)?;
        if stands_on_a_letter(c) && !is_thai(before) {
            return None;
        }
        letters |= ('ก'..='ฮ').contains(&c);
        text.push(c);
        before = c;
    }
    letters.then_some(text)
}

/// The sign of a byte: WHATWG Encoding, index windows-874, where unassigned bytes are an error.
fn sign(byte: u8) -> Option<char> {
    let offset = match byte {
        0x00..=0x7F | 0xA0 => return Some(char::from(byte)),
        0x80 => return Some('€'),
        0x85 => return Some('…'),
        0x91 => return Some('‘'),
        0x92 => return Some('’'),
        0x93 => return Some('“'),
        0x94 => return Some('”'),
        0x95 => return Some('•'),
        0x96 => return Some('–'),
        0x97 => return Some('—'),
        0xA1..=0xDA | 0xDF..=0xFB => byte - 0xA0,
        0x81..=0x84 | 0x86..=0x90 | 0x98..=0x9F | 0xDB..=0xDE | 0xFC..=0xFF => return None,
    };
    char::from_u32(0x0E00 + u32::from(offset))
}

/// Vowels above and below, tone marks and the like: U+0E31, U+0E34–0E3A, U+0E47–0E4E.
fn stands_on_a_letter(c: char) -> bool {
    matches!(c, '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}')
}

fn is_thai(c: char) -> bool {
    ('\u{e01}'..='\u{e5b}').contains(&c)
}
