//! Writing of fields, tags ascending.

use std::collections::BTreeMap;

use super::checksum::checksum;
use super::error::{Path, PayloadError};
use super::tlv::{Ending, VALUE_BYTES_MAX};

/// Gathers fields in any order and gives them out in that of their tags.
#[derive(Debug)]
pub(super) struct Writer {
    outer: Option<u8>,
    fields: BTreeMap<u8, String>,
}

impl Writer {
    pub(super) fn root() -> Self {
        Self {
            outer: None,
            fields: BTreeMap::new(),
        }
    }

    pub(super) fn within(outer: u8) -> Self {
        Self {
            outer: Some(outer),
            fields: BTreeMap::new(),
        }
    }

    /// One field. A tag that is there already was also given among the others.
    pub(super) fn field(&mut self, tag: u8, value: &str) -> Result<(), PayloadError> {
        let path = Path {
            outer: self.outer,
            tag,
        };
        let length = value.len();
        if !(1..=VALUE_BYTES_MAX).contains(&length) {
            return Err(PayloadError::ValueLength { path, length });
        }
        let is_second = self.fields.insert(tag, value.to_owned()).is_some();
        if is_second || tag > 99 {
            return Err(PayloadError::NotOther { tag });
        }
        Ok(())
    }

    pub(super) fn optional(&mut self, tag: u8, value: Option<&str>) -> Result<(), PayloadError> {
        value.map_or(Ok(()), |value| self.field(tag, value))
    }

    pub(super) fn others(&mut self, others: &BTreeMap<u8, String>) -> Result<(), PayloadError> {
        others
            .iter()
            .try_for_each(|(tag, value)| self.field(*tag, value))
    }

    pub(super) fn text(&self) -> String {
        let write = |(tag, value): (&u8, &String)| format!("{tag:02}{:02}{value}", value.len());
        self.fields.iter().map(write).collect()
    }

    /// The whole payload. The checksum is last whatever its tag, as it covers all that is before it.
    pub(super) fn finish(&self, ending: Ending) -> String {
        let covered = format!("{}{:02}04", self.text(), ending.tag);
        let right = checksum(covered.as_bytes());
        format!("{covered}{right:04X}")
    }
}
