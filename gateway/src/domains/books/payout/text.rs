//! Texts of a payment file: the lengths of ISO 20022, and the characters that banks here take.
//!
//! The schema takes all of Unicode. Banks take the letters of SWIFT's set X; those of Thailand take Thai
//! besides. What else is in a name is refused here, where its owner can still be asked.

use super::PayoutError;

/// `Max140Text`: a name, or what a payment is for.
const TEXT_CHARACTERS_MAX: usize = 140;

/// `Max34Text` of an account.
const ACCOUNT_CHARACTERS_MAX: usize = 34;

/// A name, or what a payment is for: 1 to 140 characters, the first a letter or digit, so that no program
/// for tables takes it for a formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text140(String);

impl Text140 {
    /// Checks it.
    ///
    /// # Errors
    /// [`PayoutError::Text`].
    pub fn new(text: &str) -> Result<Self, PayoutError> {
        let count = text.chars().count();
        let wrong = |why| {
            Err(PayoutError::Text {
                text: text.chars().take(TEXT_CHARACTERS_MAX).collect(),
                why,
            })
        };
        if count == 0 || count > TEXT_CHARACTERS_MAX {
            return wrong("it has 1 to 140 characters");
        }
        if !text.chars().all(is_allowed) {
            return wrong(
                "it has letters of English and Thai, digits, spaces and / - ? : ( ) . , ' + only",
            );
        }
        if !text.starts_with(|it: char| it.is_ascii_alphanumeric() || is_thai(it))
            || text.ends_with(' ')
        {
            return wrong("it begins with a letter or digit, and does not end with a space");
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// SWIFT's set X without line ends, and Thai.
fn is_allowed(it: char) -> bool {
    it.is_ascii_alphanumeric() || " /-?:().,'+".contains(it) || is_thai(it)
}

/// The letters, marks and digits of Thai; U+0E3B to U+0E3E are not assigned.
fn is_thai(it: char) -> bool {
    matches!(it, '\u{e01}'..='\u{e3a}' | '\u{e3f}'..='\u{e5b}')
}

/// A number of an account at a bank: 1 to 34 letters and digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountNumber(String);

impl AccountNumber {
    /// Checks it.
    ///
    /// # Errors
    /// [`PayoutError::Text`].
    pub fn new(text: &str) -> Result<Self, PayoutError> {
        let is_right = (1..=ACCOUNT_CHARACTERS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_right {
            return Ok(Self(text.to_owned()));
        }
        Err(PayoutError::Text {
            text: text.chars().take(TEXT_CHARACTERS_MAX).collect(),
            why: "an account number has 1 to 34 letters and digits, without spaces and hyphens",
        })
    }

    /// The number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agent {
    /// By its BIC (ISO 9362), of 8 or 11 characters.
    Bic(String),
    /// By its number at the Bank of Thailand, of 3 digits (clearing system `THCBC`).
    Code(String),
}

impl Agent {
    /// A BIC or a number.
    ///
    /// # Errors
    /// [`PayoutError::Text`].
    pub fn new(text: &str) -> Result<Self, PayoutError> {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Code(text.to_owned()));
        }
        // `BICFIDec2014Identifier`: four letters or digits, two letters of a country, two or five more.
        let is_bic = matches!(text.len(), 8 | 11)
            && text.bytes().enumerate().all(|(at, byte)| {
                byte.is_ascii_uppercase() || (byte.is_ascii_digit() && !(4..6).contains(&at))
            });
        if is_bic {
            return Ok(Self::Bic(text.to_owned()));
        }
        Err(PayoutError::Text {
            text: text.chars().take(TEXT_CHARACTERS_MAX).collect(),
            why: "a bank is a BIC of 8 or 11 characters, or a bank code of 3 digits",
        })
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Bic(text) | Self::Code(text) => text,
        }
    }
}
