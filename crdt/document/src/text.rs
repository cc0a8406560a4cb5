//! A coding of text in which Thai takes one byte a letter, as ASCII does; UTF-8 needs three.
//! What zstd then sees is letters, not thirds of letters.
//!
//! Every text has exactly one coding, never longer than its UTF-8. `DOCUMENT.md`, "Text
//! coding", has the table.

/// Behind each of several texts in a row: no character begins so.
pub const END: u8 = 0xfc;

const THAI: u32 = 0x0e00;
const THAI_LAST: u32 = 0x0e5b;
/// U+0080 to U+07FF: fifteen leads, each before seven bits.
const PAIR: u8 = 0xdc;
const PAIR_LAST: u8 = 0xea;
/// Before the two bytes of another character up to U+FFFF.
const BASIC: u8 = 0xfd;
/// Before the two low bytes of U+10000 to U+1FFFF, where emoji are.
const EMOJI: u8 = 0xfe;
/// Before the three bytes of a character beyond.
const BEYOND: u8 = 0xff;

const _: () = assert!((PAIR_LAST - PAIR + 1) as u32 * 0x80 == 0x800 - 0x80);
const _: () = assert!(0x80 + (THAI_LAST - THAI) < PAIR as u32 && PAIR_LAST < END);

/// Why bytes are not the coding of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A byte that begins no character, or a character that has another coding, or none.
    #[error("the text is not in the one coding of its characters; its writer is at fault")]
    Coding,
    /// More bytes of UTF-8 than the caller takes.
    #[error("the text is longer than allowed; its writer is at fault")]
    TooLong,
}

/// The coding of `text`.
#[must_use]
pub fn encode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for character in text.chars() {
        let code = u32::from(character);
        let [_, high, middle, low] = code.to_be_bytes();
        match code {
            0..0x80 => out.push(low),
            0x80..0x800 => {
                let [.., lead, bits] = (code - 0x80).to_be_bytes();
                // Seven bits go into the second byte, so the lead counts half blocks.
                out.extend([PAIR + (lead << 1 | bits >> 7), bits | 0x80]);
            }
            THAI..=THAI_LAST => out.push(low | 0x80),
            0x800..0x1_0000 => out.extend([BASIC, middle, low]),
            0x1_0000..0x2_0000 => out.extend([EMOJI, middle, low]),
            _ => out.extend([BEYOND, high, middle, low]),
        }
    }
    out
}

/// The first of several texts in a row, and takes it and its [`END`] off `bytes`. Within a
/// character the value of [`END`] is a byte as any other, so it cannot be looked for.
///
/// # Errors
/// [`TextError`]; also where no [`END`] comes. Nothing longer than `utf8_bytes_max` is ever held.
pub fn take(bytes: &mut &[u8], utf8_bytes_max: usize) -> Result<String, TextError> {
    let mut text = String::new();
    loop {
        let (lead, behind) = bytes.split_first().ok_or(TextError::Coding)?;
        *bytes = behind;
        if *lead == END {
            return Ok(text);
        }
        push(&mut text, *lead, bytes, utf8_bytes_max)?;
    }
}

/// One character, of which `lead` was taken already.
fn push(
    text: &mut String,
    lead: u8,
    rest: &mut &[u8],
    utf8_bytes_max: usize,
) -> Result<(), TextError> {
    let mut next = || {
        let (byte, behind) = rest.split_first().ok_or(TextError::Coding)?;
        *rest = behind;
        Ok(u32::from(*byte))
    };
    let (code, allowed) = match lead {
        0..0x80 => (u32::from(lead), 0..=0x7f),
        0x80..PAIR => (THAI + u32::from(lead - 0x80), THAI..=THAI_LAST),
        PAIR..=PAIR_LAST => {
            let bits = next()?.checked_sub(0x80).ok_or(TextError::Coding)?;
            (0x80 + (u32::from(lead - PAIR) << 7) + bits, 0x80..=0x7ff)
        }
        BASIC => (next()? << 8 | next()?, 0x800..=0xffff),
        EMOJI => (0x1_0000 | next()? << 8 | next()?, 0x1_0000..=0x1_ffff),
        BEYOND => (next()? << 16 | next()? << 8 | next()?, 0x2_0000..=0x10_ffff),
        _ => return Err(TextError::Coding),
    };
    let has_shorter = lead == BASIC && (THAI..=THAI_LAST).contains(&code);
    let character = char::from_u32(code).filter(|_| allowed.contains(&code) && !has_shorter);
    let character = character.ok_or(TextError::Coding)?;
    if text.len() + character.len_utf8() > utf8_bytes_max {
        return Err(TextError::TooLong);
    }
    text.push(character);
    Ok(())
}
