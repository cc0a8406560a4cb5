//! Why a payload or a slip is refused. Messages name the tag and where it begins, never its value:
//! a value may be somebody's telephone number.

use std::fmt;

use thiserror::Error;

use super::PAYLOAD_BYTES_MAX;
use crate::domains::l10n::AmountError;

/// A tag, or a tag within the template of another: `54`, `29.01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The template around it.
    pub outer: Option<u8>,
    /// Its own two digits.
    pub tag: u8,
}

impl Path {
    /// Of a tag that stands in no template.
    #[must_use]
    pub fn root(tag: u8) -> Self {
        Self { outer: None, tag }
    }

    /// Of a tag within the template `outer`.
    #[must_use]
    pub fn within(outer: u8, tag: u8) -> Self {
        Self {
            outer: Some(outer),
            tag,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = self.outer {
            write!(formatter, "{outer:02}.")?;
        }
        write!(formatter, "{:02}", self.tag)
    }
}

/// Why a text is no payload, or a payload cannot be written. Offsets count bytes from 0.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PayloadError {
    /// More than a code may hold.
    #[error(
        "the payload has {length} bytes, at most {PAYLOAD_BYTES_MAX} are allowed; shorten names and references"
    )]
    TooLong {
        /// Its bytes.
        length: usize,
    },
    /// Neither printable ASCII nor Thai.
    #[error("offset {offset}: the character U+{:04X} is neither printable ASCII nor Thai; scan the code again, or write the name in Latin or Thai letters", u32::from(*.character))]
    Character {
        /// Where it begins.
        offset: usize,
        /// Which.
        character: char,
    },
    /// No tag where one must begin.
    #[error(
        "offset {offset}: here must be a tag and a length of two digits each; scan the code again, and whole"
    )]
    Header {
        /// Where.
        offset: usize,
    },
    /// The length leads beyond the end, or into the middle of a letter.
    #[error(
        "tag {path} at offset {offset}: its length {length} does not fit what follows; scan the code again, and whole"
    )]
    Length {
        /// Which tag.
        path: Path,
        /// Where the tag begins.
        offset: usize,
        /// As written, in bytes.
        length: usize,
    },
    /// A value of no bytes, or of more than two digits can say.
    #[error(
        "tag {path}: its value has {length} bytes; 1 to 99 are possible, three of them for each Thai letter; shorten it or leave it out"
    )]
    ValueLength {
        /// Which tag.
        path: Path,
        /// Bytes of its value.
        length: usize,
    },
    /// A tag that stands there already.
    #[error("tag {path} at offset {offset} is there twice; ask for a new code")]
    Twice {
        /// Which tag.
        path: Path,
        /// Where the second one begins.
        offset: usize,
    },
    /// It does not end as it must.
    #[error(
        "the payload does not end with tag {tag} and its checksum; scan the code again, and whole"
    )]
    NoChecksum {
        /// 63, or 91 of a slip.
        tag: u8,
    },
    /// Something was changed on the way.
    #[error(
        "tag {tag} at offset {offset}: the checksum is wrong, so some character is; scan the code again, do not correct it by hand"
    )]
    Checksum {
        /// 63, or 91 of a slip.
        tag: u8,
        /// Where the tag begins.
        offset: usize,
    },
    /// A tag without which nobody can be paid.
    #[error("tag {path} ({what}) is missing; this is no Thai QR, ask for a new code")]
    Missing {
        /// Which tag.
        path: Path,
        /// Its name.
        what: &'static str,
    },
    /// Its value is none that the tag may have.
    #[error("tag {path} at offset {offset}: {problem}")]
    Value {
        /// Which tag.
        path: Path,
        /// Where the tag begins.
        offset: usize,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// The amount.
    #[error("tag 54 at offset {offset} is no amount")]
    Amount {
        /// Where the tag begins.
        offset: usize,
        /// Why.
        #[source]
        source: AmountError,
    },
    /// A tag with a meaning of its own was given among the others.
    #[error("tag {tag:02} has a place of its own; say it there and not among the other tags")]
    NotOther {
        /// Which.
        tag: u8,
    },
}

/// Why a text names no recipient. The text is not repeated: it may be somebody's number.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecipientError {
    /// A telephone number.
    #[error(
        "a mobile number is written as 0812345678, 081-234-5678 or +66812345678 (no 0 behind +66)"
    )]
    Mobile,
    /// A national or tax id.
    #[error("a national or tax id has 13 digits")]
    PersonalId,
    /// Its last digit does not follow from the others.
    #[error(
        "the last digit of this national or tax id does not fit the others: one was mistyped; compare it with the card"
    )]
    CheckDigit,
    /// An electronic wallet.
    #[error("an e-wallet id has 15 digits")]
    Wallet,
    /// A bank account.
    #[error(
        "a bank account is the bank's code of three digits and a number of 1 to 40 letters or digits"
    )]
    BankAccount,
    /// A one-time account.
    #[error("a one-time account has 10 letters or digits")]
    OneTime,
    /// Who is paid by a bill.
    #[error("a biller id has 15 digits: the 13 of the tax id and a suffix of two, often 00")]
    Biller,
    /// A reference.
    #[error("a reference has 1 to 20 characters of printable ASCII")]
    Reference,
}
