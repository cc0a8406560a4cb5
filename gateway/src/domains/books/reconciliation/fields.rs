//! The fields of one line of CSV (RFC 4180, without line ends in quotes).
//!
//! Stricter than most readers: a quote that is not closed swallows, in a lenient one, every line behind it.

use super::bank_file::BankError;

/// Fields of a line: more than any layout has, so that a line of commas makes no million of them.
const FIELDS_MAX: usize = 32;

/// Takes a line apart; it may end with one carriage return.
pub(super) fn split(line: &[u8]) -> Result<Vec<String>, BankError> {
    let text = str::from_utf8(line).map_err(|_| BankError::NotUtf8)?;
    let text = text.strip_suffix('\r').unwrap_or(text);
    if let Some((at, found)) = text.chars().enumerate().find(|(_, it)| is_forbidden(*it)) {
        return Err(BankError::Control {
            at: at + 1,
            code: found.into(),
        });
    }
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, behind) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_field(quoted)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (field, behind) = rest.split_at(end);
            if field.contains('"') {
                return Err(BankError::Quote);
            }
            (field.to_owned(), behind)
        };
        fields.push(field);
        if behind.is_empty() {
            return Ok(fields);
        }
        let found = fields.len() + 1;
        if found > FIELDS_MAX {
            return Err(BankError::Fields { found });
        }
        rest = behind.strip_prefix(',').ok_or(BankError::Quote)?;
    }
}

/// A field behind its opening quote, and what follows the closing one.
fn quoted_field(text: &str) -> Result<(String, &str), BankError> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"').ok_or(BankError::Quote)?;
        field.push_str(part);
        match behind.strip_prefix('"') {
            Some(behind) => {
                field.push('"');
                rest = behind;
            }
            None => return Ok((field, behind)),
        }
    }
}

/// A text with what nobody sees written out (`Cf` of Unicode 16), so that two that differ look different.
pub(super) fn shown(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for it in text.chars() {
        if is_unseen(it) {
            seen.extend(it.escape_unicode());
        } else {
            seen.push(it);
        }
    }
    seen
}

/// What ends a line of the report, or turns it around: control characters, separators of lines and paragraphs, and
/// marks of direction (`Cc`, `Zl`, `Zp` and `Bidi_Control` of Unicode). Other format characters are words' own: Thai is
/// broken at U+200B, and emoji are joined at U+200D.
fn is_forbidden(it: char) -> bool {
    it.is_control()
        || matches!(
            it,
            '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Format characters.
fn is_unseen(it: char) -> bool {
    matches!(
        it,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}
