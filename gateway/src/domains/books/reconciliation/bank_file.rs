//! A bank's file: what moved on an account there, a line each.
//!
//! CSV in UTF-8. The first line names the columns, in any order: `date` (`2026-11-27`), `time` (`23:59` or
//! `23:59:59`, of Bangkok), `amount` (baht with two decimals, `1234.50`), `reference`, `direction` (`in` or
//! `out`). Quotes as in RFC 4180, but no line end within them, so a line of the file is a line of the bank.
//!
//! A file is read whole or not at all: what is half understood would show differences that are none.

use jiff::civil::Date;

use super::fields::split;
use crate::domains::books::day::Day;
use crate::domains::l10n::{AmountError, Satang};

/// Bytes of a file: the most lines, of 160 bytes each.
pub const BANK_FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Lines of a file.
pub const BANK_LINES_MAX: usize = 100_000;

const _: () = assert!(BANK_LINES_MAX * 160 <= BANK_FILE_BYTES_MAX);

/// Bytes of a reference: what ISO 20022 allows for remittance information, in ASCII.
pub const REFERENCE_BYTES_MAX: usize = 140;

/// Problems that are told of one file; the others are counted.
pub const PROBLEMS_MAX: usize = 100;

/// Which way money went, seen from the account's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// Into the account.
    In,
    /// Out of it.
    Out,
}

impl Flow {
    /// `in` or `out`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// A line of the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankLine {
    /// Its number in the file; the header is line 1.
    pub line: u32,
    /// When.
    pub day: Day,
    /// Seconds since midnight.
    pub second: u32,
    /// How much, more than 0.
    pub amount: Satang,
    /// What the bank calls it; may be empty.
    pub reference: String,
    /// Which way.
    pub flow: Flow,
}

/// A file that was understood to its last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankFile {
    /// In the order of the file.
    pub lines: Vec<BankLine>,
    /// BLAKE3 of its bytes.
    pub digest: [u8; 32],
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BankError {
    /// More than [`BANK_FILE_BYTES_MAX`].
    #[error("the file has more than {BANK_FILE_BYTES_MAX} bytes; split it by days")]
    TooLarge,
    /// More than [`BANK_LINES_MAX`].
    #[error("the file has more than {BANK_LINES_MAX} lines; split it by days")]
    TooManyLines,
    /// Nothing in it.
    #[error("the file is empty; its first line names the columns")]
    Empty,
    /// A byte order mark of UTF-16.
    #[error("the file is in UTF-16; save it as CSV in UTF-8")]
    Utf16,
    /// Another encoding, often TIS-620 or Windows-874.
    #[error("the line is not in UTF-8; save the file as CSV in UTF-8")]
    NotUtf8,
    /// A tab, a lone carriage return, a line separator, or a mark that turns text around.
    #[error("character {at} of the line is U+{code:04X}, a control or a mark of direction")]
    Control {
        /// Which, from 1 on.
        at: usize,
        /// Its number in Unicode.
        code: u32,
    },
    /// A quote where none may be, or none where one must be.
    #[error("a quote is not closed or not doubled, or stands beside other text")]
    Quote,
    /// A column is not there.
    #[error("the column `{0}` is missing")]
    MissingColumn(&'static str),
    /// A column that means nothing.
    #[error("`{0}` is no column; there are date, time, amount, reference and direction")]
    UnknownColumn(String),
    /// A column twice.
    #[error("the column `{0}` is there twice")]
    DuplicateColumn(&'static str),
    /// The header again, as in files that were put together.
    #[error("the header is there again; were two files put together?")]
    DuplicateHeader,
    /// Too few fields, or too many.
    #[error("the line has {found} fields, the header has {COLUMNS}", COLUMNS = COLUMNS.len())]
    Fields {
        /// How many.
        found: usize,
    },
    /// No day.
    #[error("the date is no day of the Common Era as 2026-11-27")]
    Date,
    /// No time.
    #[error("the time is none of a day as 23:59 or 23:59:59")]
    Time,
    /// No amount.
    #[error("the amount is none as 1234.50: {0}")]
    Amount(AmountError),
    /// Not two decimals.
    #[error("the amount has not two decimals, as 1234.50 has")]
    Decimals,
    /// Too long.
    #[error("the reference has more than {REFERENCE_BYTES_MAX} bytes")]
    Reference,
    /// Something else than `in` and `out`.
    #[error("the direction is neither `in` nor `out`")]
    Direction,
}

/// A problem and where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct Problem {
    /// From 1.
    pub line: u32,
    /// What.
    pub error: BankError,
}

/// Why a file was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", told(.problems, *.more))]
pub struct Refused {
    /// The first [`PROBLEMS_MAX`], by line.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
}

fn told(problems: &[Problem], more: usize) -> String {
    let mut text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    if more > 0 {
        text.push(format!("and {more} more"));
    }
    text.join("\n")
}

const COLUMNS: [&str; 5] = ["date", "time", "amount", "reference", "direction"];

impl BankFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Refused`], with what is wrong in each line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let whole = |line, error| Refused {
            problems: vec![Problem { line, error }],
            more: 0,
        };
        if bytes.len() > BANK_FILE_BYTES_MAX {
            return Err(whole(1, BankError::TooLarge));
        }
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(whole(1, BankError::Utf16));
        }
        let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let mut rows = (1_u32..).zip(text.split(|byte| *byte == b'\n'));
        let (_, header) = rows
            .next()
            .filter(|(_, header)| !header.is_empty())
            .ok_or_else(|| whole(1, BankError::Empty))?;
        let header = split(header).map_err(|error| whole(1, error))?;
        let order = order_of(&header).map_err(|error| whole(1, error))?;
        let mut lines = Vec::new();
        let mut refused = Refused {
            problems: Vec::new(),
            more: 0,
        };
        for (line, row) in rows {
            if line as usize > BANK_LINES_MAX + 1 {
                return Err(whole(line, BankError::TooManyLines));
            }
            match split(row).and_then(|fields| read(line, &fields, &header, order)) {
                Ok(read) => lines.push(read),
                Err(_) if refused.problems.len() == PROBLEMS_MAX => refused.more += 1,
                Err(error) => refused.problems.push(Problem { line, error }),
            }
        }
        if refused.problems.is_empty() {
            let digest = *blake3::hash(bytes).as_bytes();
            Ok(Self { lines, digest })
        } else {
            Err(refused)
        }
    }
}

/// Where each of [`COLUMNS`] stands.
fn order_of(header: &[String]) -> Result<[usize; 5], BankError> {
    for name in header {
        if !COLUMNS.contains(&name.as_str()) {
            let shown = name.chars().take(40).collect();
            return Err(BankError::UnknownColumn(shown));
        }
    }
    let mut order = [0; 5];
    for (place, column) in order.iter_mut().zip(COLUMNS) {
        let mut found = (0..).zip(header).filter(|(_, name)| *name == column);
        let (first, _) = found.next().ok_or(BankError::MissingColumn(column))?;
        if found.next().is_some() {
            return Err(BankError::DuplicateColumn(column));
        }
        *place = first;
    }
    Ok(order)
}

fn read(
    line: u32,
    fields: &[String],
    header: &[String],
    order: [usize; 5],
) -> Result<BankLine, BankError> {
    if fields == header {
        return Err(BankError::DuplicateHeader);
    }
    let found = fields.len();
    if found != header.len() {
        return Err(BankError::Fields { found });
    }
    let [date, time, amount, reference, direction] =
        order.map(|at| fields.get(at).map_or("", String::as_str));
    if reference.len() > REFERENCE_BYTES_MAX {
        return Err(BankError::Reference);
    }
    Ok(BankLine {
        line,
        day: day(date).ok_or(BankError::Date)?,
        second: second(time).ok_or(BankError::Time)?,
        amount: satang(amount)?,
        reference: reference.to_owned(),
        flow: match direction {
            "in" => Flow::In,
            "out" => Flow::Out,
            _ => return Err(BankError::Direction),
        },
    })
}

fn day(text: &str) -> Option<Day> {
    let [year, month, day] = numbers(text, '-', [4, 2, 2])?;
    let year = i16::try_from(year).ok()?;
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    Day::from_date(date).filter(|day| day.is_of_common_era())
}

fn second(text: &str) -> Option<u32> {
    let [hour, minute, second] = match numbers(text, ':', [2, 2, 2]) {
        Some(all) => all,
        None => {
            let [hour, minute] = numbers(text, ':', [2, 2])?;
            [hour, minute, 0]
        }
    };
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3_600 + minute * 60 + second)
}

/// Numbers of so many digits each, and nothing else.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[u32; N]> {
    let mut parts = text.split(between);
    let mut found = [0; N];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        if !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// Exactly two decimals: in a file of a bank `12.5` and `12` are cut off rather than meant.
fn satang(text: &str) -> Result<Satang, BankError> {
    let amount: Satang = text.parse().map_err(BankError::Amount)?;
    match text.split_once('.') {
        Some((_, decimals)) if decimals.len() == 2 => Ok(amount),
        Some(_) | None => Err(BankError::Decimals),
    }
}
