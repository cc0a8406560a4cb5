//! Text forms: a typed prefix and base32 with a checksum.
//!
//! A person reads ids aloud, copies them by hand and pastes them into the wrong
//! field. The prefix says what it is; the checksum, keyed by the prefix, finds a
//! mistyped letter; one spelling only (lowercase, no padding, no spare bits) keeps
//! text comparable as text.

use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};

use crate::context;

/// Bytes of checksum behind a payload of `length` bytes: 4 behind a 16-byte id
/// (20 bytes, 32 letters), else 3 (a 32-byte id: 35 bytes, 56 letters).
#[must_use]
pub const fn checksum_length(length: usize) -> usize {
    if length == ID_SHORT_BYTES { 4 } else { 3 }
}

const ID_SHORT_BYTES: usize = 16;
/// 20 bytes always are a 16-byte id with its checksum, so no type has 17 bytes.
const AMBIGUOUS_BYTES: usize = ID_SHORT_BYTES + 1;

/// The longest payload that [`decode`] accepts. Default 1,024 bytes: the largest
/// user card or sealed invite is below 300.
pub const TEXT_PAYLOAD_BYTES_MAX: usize = 1024;

/// RFC 4648 base32 in lowercase without padding; spare bits must be zero.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification
        .encoding()
        .expect("the alphabet is a constant of 32 different letters")
});

/// Why a text form was refused. The given text is not repeated: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Another kind of id, or no id at all.
    #[error("expected text that starts with `{expected}`; check what was copied")]
    Prefix {
        /// The prefix of the wanted type.
        expected: &'static str,
    },
    /// A letter outside `a–z2–7`, an impossible length, or spare bits set.
    #[error("the text after `{prefix}` is not lowercase base32; copy it again, whole")]
    Base32 {
        /// The prefix of the wanted type.
        prefix: &'static str,
    },
    /// The wrong number of letters.
    #[error("the text after `{prefix}` has the wrong length; copy it again, whole")]
    Length {
        /// The prefix of the wanted type.
        prefix: &'static str,
    },
    /// A mistyped letter.
    #[error("the checksum after `{prefix}` does not fit: a letter is wrong; copy it again")]
    Checksum {
        /// The prefix of the wanted type.
        prefix: &'static str,
    },
    /// The bytes behind the text are not what the type asks for.
    #[error("the bytes behind `{prefix}` are not valid; ask for a new one")]
    Payload {
        /// The prefix of the wanted type.
        prefix: &'static str,
    },
}

/// `prefix` ‖ base32(`payload` ‖ checksum).
///
/// # Panics
/// On a payload of 17 bytes: no type has that length, see [`checksum_length`].
#[must_use]
pub fn encode(prefix: &'static str, payload: &[u8]) -> String {
    assert_ne!(payload.len(), AMBIGUOUS_BYTES, "no type has 17 bytes");
    let mut text = String::from(prefix);
    BASE32.encode_append(&with_checksum(prefix, payload), &mut text);
    text
}

/// The payload of a text form made by [`encode`] with the same prefix.
///
/// # Errors
/// [`TextError`] when the prefix, an alphabet letter, the length or the checksum
/// does not fit.
pub fn decode(prefix: &'static str, text: &str) -> Result<Vec<u8>, TextError> {
    let body = text
        .strip_prefix(prefix)
        .ok_or(TextError::Prefix { expected: prefix })?;
    if body.len() > (TEXT_PAYLOAD_BYTES_MAX + 7) * 8 / 5 {
        return Err(TextError::Length { prefix });
    }
    let bytes = BASE32
        .decode(body.as_bytes())
        .map_err(|_| TextError::Base32 { prefix })?;
    let checksum = if bytes.len() == ID_SHORT_BYTES + 4 {
        4
    } else {
        3
    };
    let payload = bytes
        .len()
        .checked_sub(checksum)
        .and_then(|length| bytes.get(..length))
        .ok_or(TextError::Length { prefix })?;
    if with_checksum(prefix, payload) != bytes {
        return Err(TextError::Checksum { prefix });
    }
    Ok(payload.to_vec())
}

/// The lowest and the highest payload of `N` bytes whose text may start with `start`; `None`
/// if there is none. Letters of the checksum are not looked at: compare what is found.
#[must_use]
pub fn payloads_from<const N: usize>(
    prefix: &'static str,
    start: &str,
) -> Option<([u8; N], [u8; N])> {
    let letters = start.strip_prefix(prefix)?;
    let (mut lowest, mut highest) = ([0; N], [u8::MAX; N]);
    for (place, letter) in letters.bytes().enumerate() {
        let value = match letter {
            b'a'..=b'z' => letter - b'a',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        for bit in 0..LETTER_BITS {
            let at = place * LETTER_BITS + bit;
            let (Some(low), Some(high)) = (lowest.get_mut(at / 8), highest.get_mut(at / 8)) else {
                break;
            };
            let mask = 0x80 >> (at % 8);
            if value >> (LETTER_BITS - 1 - bit) & 1 == 1 {
                *low |= mask;
            } else {
                *high &= !mask;
            }
        }
    }
    Some((lowest, highest))
}

/// What a letter of base32 says.
const LETTER_BITS: usize = 5;

/// [`decode`] for a payload of exactly `N` bytes.
///
/// # Errors
/// As [`decode`]; also [`TextError::Length`] for another number of bytes.
pub fn decode_array<const N: usize>(
    prefix: &'static str,
    text: &str,
) -> Result<[u8; N], TextError> {
    // The length is checked first, so that a lost letter is named as such.
    let letters = ((N + checksum_length(N)) * 8).div_ceil(5);
    if let Some(body) = text.strip_prefix(prefix)
        && body.len() != letters
    {
        return Err(TextError::Length { prefix });
    }
    decode(prefix, text)?
        .try_into()
        .map_err(|_| TextError::Length { prefix })
}

fn with_checksum(prefix: &str, payload: &[u8]) -> Vec<u8> {
    let mut hasher = context::hasher(context::TEXT_CHECKSUM);
    hasher.update(prefix.as_bytes());
    hasher.update(payload);
    let hash = hasher.finalize();
    payload
        .iter()
        .chain(hash.as_bytes().iter().take(checksum_length(payload.len())))
        .copied()
        .collect()
}
