//! Who is paid: the proxies of PromptPay, and billers.

use std::fmt;
use std::str::FromStr;

use super::error::RecipientError;

/// Characters that a person may type for a number of any kind, separators included.
const TYPED_CHARACTERS_MAX: usize = 60;

const REFERENCE_CHARACTERS_MAX: usize = 20;

/// The digits of what a person typed, without spaces and hyphens.
fn compact(text: &str) -> Option<String> {
    (text.len() <= TYPED_CHARACTERS_MAX)
        .then(|| text.chars().filter(|it| !matches!(it, ' ' | '-')).collect())
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_letters_and_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub(super) fn is_bank_code(text: &str) -> bool {
    is_digits(text, 3)
}

pub(super) fn is_reference(text: &str) -> bool {
    is_letters_and_digits(text)
}

/// A Thai mobile number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mobile(String);

impl Mobile {
    /// As in tag 29.01: `0066` and the nine digits.
    pub(super) fn from_payload(text: &str) -> Result<Self, RecipientError> {
        match text.strip_prefix("0066") {
            Some(nine) if is_digits(nine, 9) => Ok(Self(nine.to_owned())),
            Some(_) | None => Err(RecipientError::Mobile),
        }
    }

    pub(super) fn to_payload(&self) -> String {
        format!("0066{}", self.0)
    }
}

/// `0812345678`.
impl fmt::Display for Mobile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0{}", self.0)
    }
}

/// `0812345678`, `+66812345678` or `0066812345678`, with spaces or hyphens anywhere.
impl FromStr for Mobile {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        let digits = compact(text).ok_or(RecipientError::Mobile)?;
        let nine = match digits.len() {
            10 => digits.strip_prefix('0'),
            12 => digits.strip_prefix("+66"),
            13 => digits.strip_prefix("0066"),
            _ => None,
        };
        // A second zero is a `0066…` that lost digits. All zeros stand in examples.
        nine.filter(|nine| is_digits(nine, 9))
            .filter(|nine| !nine.starts_with('0') || *nine == "000000000")
            .map(|nine| Self(nine.to_owned()))
            .ok_or(RecipientError::Mobile)
    }
}

/// A person's national id or an organisation's tax id: 13 digits, the last a check digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalId(String);

impl PersonalId {
    /// Without a look at the check digit: codes with made-up ids are in use, for demonstrations.
    ///
    /// # Errors
    /// [`RecipientError::PersonalId`] when it has not 13 digits.
    pub fn unchecked(text: &str) -> Result<Self, RecipientError> {
        compact(text)
            .filter(|digits| is_digits(digits, 13))
            .map(Self)
            .ok_or(RecipientError::PersonalId)
    }

    /// Whether the last digit follows from the others.
    #[must_use]
    pub fn is_check_digit_right(&self) -> bool {
        is_check_digit_right(&self.0)
    }
}

/// Modulo 11, weights 13 down to 2: the same for persons and organisations.
fn is_check_digit_right(digits: &str) -> bool {
    let mut values = digits.bytes().map(|byte| u32::from(byte - b'0'));
    let sum: u32 = values
        .clone()
        .zip((2..=13).rev())
        .map(|(digit, weight)| digit * weight)
        .sum();
    values.next_back() == Some((11 - sum % 11) % 10)
}

impl fmt::Display for PersonalId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// With its check digit, so that a slip of the finger pays no stranger.
impl FromStr for PersonalId {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        Self::unchecked(text).and_then(|id| {
            if id.is_check_digit_right() {
                Ok(id)
            } else {
                Err(RecipientError::CheckDigit)
            }
        })
    }
}

/// An e-wallet: 15 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet(String);

impl fmt::Display for Wallet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Wallet {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        compact(text)
            .filter(|digits| is_digits(digits, 15))
            .map(Self)
            .ok_or(RecipientError::Wallet)
    }
}

/// An account at a bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankAccount {
    bank: String,
    number: String,
}

impl BankAccount {
    /// Characters of bank and number together: 43, by the Thai standard.
    const CHARACTERS_MAX: usize = 43;

    /// From a code of three digits, and a number in which spaces and hyphens do not count.
    ///
    /// # Errors
    /// [`RecipientError::BankAccount`] when either is something else.
    pub fn new(bank: &str, number: &str) -> Result<Self, RecipientError> {
        let number = compact(number).ok_or(RecipientError::BankAccount)?;
        Self::from_payload(&format!("{bank}{number}"))
            .ok()
            .filter(|_| is_bank_code(bank))
            .ok_or(RecipientError::BankAccount)
    }

    pub(super) fn from_payload(text: &str) -> Result<Self, RecipientError> {
        text.split_at_checked(3)
            .filter(|(bank, number)| is_bank_code(bank) && is_letters_and_digits(number))
            .filter(|_| text.len() <= Self::CHARACTERS_MAX)
            .map(|(bank, number)| Self {
                bank: bank.to_owned(),
                number: number.to_owned(),
            })
            .ok_or(RecipientError::BankAccount)
    }

    pub(super) fn to_payload(&self) -> String {
        format!("{}{}", self.bank, self.number)
    }

    /// The bank's code.
    #[must_use]
    pub fn bank(&self) -> &str {
        &self.bank
    }

    /// The account at that bank.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }
}

/// An account that is good for one payment: 10 letters or digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTime(String);

impl fmt::Display for OneTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for OneTime {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        if text.len() == 10 && is_letters_and_digits(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(RecipientError::OneTime)
    }
}

/// Who sends bills: a tax id and a suffix of two digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Biller(String);

impl Biller {
    /// Without a look at the check digit of the tax id.
    ///
    /// # Errors
    /// [`RecipientError::Biller`] when it has not 15 digits.
    pub fn unchecked(text: &str) -> Result<Self, RecipientError> {
        compact(text)
            .filter(|digits| is_digits(digits, 15))
            .map(Self)
            .ok_or(RecipientError::Biller)
    }

    /// Whether the 13th digit, the last of the tax id, follows from the others.
    #[must_use]
    pub fn is_check_digit_right(&self) -> bool {
        self.0.get(..13).is_some_and(is_check_digit_right)
    }
}

impl fmt::Display for Biller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Biller {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        Self::unchecked(text).and_then(|biller| {
            if biller.is_check_digit_right() {
                Ok(biller)
            } else {
                Err(RecipientError::CheckDigit)
            }
        })
    }
}

/// What a biller knows a payment by: up to 20 characters of printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference(String);

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Reference {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_printable && (1..=REFERENCE_CHARACTERS_MAX).contains(&text.len()) {
            return Ok(Self(text.to_owned()));
        }
        Err(RecipientError::Reference)
    }
}

/// A bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Who sent it.
    pub biller: Biller,
    /// The first reference, by which the biller finds the customer.
    pub reference1: Option<Reference>,
    /// The second, by which it finds the bill.
    pub reference2: Option<Reference>,
    /// Whether somebody abroad may pay it.
    pub is_cross_border: bool,
}

/// Who is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// Tag 29.01.
    Mobile(Mobile),
    /// Tag 29.02.
    PersonalId(PersonalId),
    /// Tag 29.03.
    Wallet(Wallet),
    /// Tag 29.04.
    BankAccount(BankAccount),
    /// Tag 29.05.
    OneTime(OneTime),
    /// Tag 30.
    Bill(Bill),
}
