//! The small code on a bank's transfer slip ("mini-QR"): which bank, which transaction.
//!
//! It proves nothing by itself, as anybody can print one: ask the bank about the reference.

use std::collections::BTreeMap;

use super::error::{Path, PayloadError};
use super::recipient::{is_bank_code, is_reference};
use super::tlv::{Ending, Fields, checked, fields, value_offset};
use super::write::Writer;

const ENDING: Ending = Ending {
    tag: 91,
    may_be_short: true,
};

const API: &str = "000001";
const COUNTRY: &str = "TH";

/// What a slip's code says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
    /// The sending bank's code: three digits.
    pub bank: String,
    /// Its reference of the transaction: letters and digits.
    pub reference: String,
    /// Tags that have no meaning here, as they are.
    pub other: BTreeMap<u8, String>,
}

impl Slip {
    /// Of a transaction.
    #[must_use]
    pub fn new(bank: impl Into<String>, reference: impl Into<String>) -> Self {
        Self {
            bank: bank.into(),
            reference: reference.into(),
            other: BTreeMap::new(),
        }
    }

    /// The text of its code.
    ///
    /// # Errors
    /// [`PayloadError`] when a part of it is not what a slip may have.
    pub fn encode(&self) -> Result<String, PayloadError> {
        let mut inner = Writer::within(0);
        inner.field(0, API)?;
        inner.field(1, &self.bank)?;
        inner.field(2, &self.reference)?;
        let mut writer = Writer::root();
        writer.field(0, &inner.text())?;
        writer.field(51, COUNTRY)?;
        writer.others(&self.other)?;
        let text = writer.finish(ENDING);
        // The decoder is the one place that knows what is allowed.
        let back = Self::decode(&text)?;
        writer_must_agree(&back, self)?;
        Ok(text)
    }

    /// Reads the text of a code. Leading zeros of the checksum may be missing, as some banks drop them.
    ///
    /// # Errors
    /// [`PayloadError`] names the tag and where it is.
    pub fn decode(text: &str) -> Result<Self, PayloadError> {
        let mut outer = checked(text, ENDING)?;
        let root = outer.remove(&0).ok_or(PayloadError::Missing {
            path: Path::root(0),
            what: "the slip's own data",
        })?;
        let mut inner = fields(root.value, value_offset(&root), Some(0))?;
        let api = take(&mut inner, 0, "the kind of slip")?;
        require(
            api.1 == API,
            0,
            api.0,
            "this kind of slip is not known; only bank transfers (000001) are",
        )?;
        let bank = take(&mut inner, 1, "the sending bank")?;
        require(
            is_bank_code(bank.1),
            1,
            bank.0,
            "a bank's code has three digits",
        )?;
        let reference = take(&mut inner, 2, "the reference")?;
        require(
            is_reference(reference.1),
            2,
            reference.0,
            "a reference of a slip has letters and digits only",
        )?;
        if let Some((tag, unknown)) = inner.first_key_value() {
            return Err(PayloadError::Value {
                path: Path::within(0, *tag),
                offset: unknown.offset,
                problem: "a slip has only 00, 01 and 02 here; ask the bank for another one",
            });
        }
        country(&mut outer)?;
        Ok(Self {
            bank: bank.1.to_owned(),
            reference: reference.1.to_owned(),
            other: kept(outer),
        })
    }
}

fn country(outer: &mut Fields<'_>) -> Result<(), PayloadError> {
    let path = Path::root(51);
    let field = outer.remove(&51).ok_or(PayloadError::Missing {
        path,
        what: "the country",
    })?;
    if field.value == COUNTRY {
        return Ok(());
    }
    Err(PayloadError::Value {
        path,
        offset: field.offset,
        problem: "only slips of Thai banks (TH) can be read",
    })
}

fn take<'a>(
    inner: &mut Fields<'a>,
    tag: u8,
    what: &'static str,
) -> Result<(usize, &'a str), PayloadError> {
    let path = Path::within(0, tag);
    let field = inner
        .remove(&tag)
        .ok_or(PayloadError::Missing { path, what })?;
    Ok((field.offset, field.value))
}

fn require(
    is_right: bool,
    tag: u8,
    offset: usize,
    problem: &'static str,
) -> Result<(), PayloadError> {
    let path = Path::within(0, tag);
    if is_right {
        return Ok(());
    }
    Err(PayloadError::Value {
        path,
        offset,
        problem,
    })
}

fn writer_must_agree(back: &Slip, given: &Slip) -> Result<(), PayloadError> {
    match given.other.keys().find(|tag| !back.other.contains_key(tag)) {
        Some(&tag) => Err(PayloadError::NotOther { tag }),
        None => Ok(()),
    }
}

/// What was not understood, as it is.
pub(super) fn kept(fields: Fields<'_>) -> BTreeMap<u8, String> {
    fields
        .into_iter()
        .map(|(tag, field)| (tag, field.value.to_owned()))
        .collect()
}
