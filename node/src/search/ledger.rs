//! Which pages an index holds, as it is written into every commit.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use khlong_crdt::id::{EpochId, TimelineId};
use serde::{Deserialize, Serialize};
use tantivy::TantivyError;

use super::entry::{Mark, PageName};
use super::plan::Known;

/// Version of the fields and of how texts are taken apart. An index of another one is built anew.
const VERSION: u32 = 1;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pages: BTreeMap<PageName, Known>,
    names: BTreeMap<u64, PageName>,
    next: u64,
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    next: u64,
    pages: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    number: u64,
    timeline: String,
    n: u32,
    lineage: String,
    mark: String,
}

impl Ledger {
    pub(super) fn pages(&self) -> &BTreeMap<PageName, Known> {
        &self.pages
    }

    pub(super) fn page(&self, number: u64) -> Option<PageName> {
        self.names.get(&number).copied()
    }

    /// The number of the page, a new one if it was not known.
    pub(super) fn note(&mut self, page: PageName, mark: Mark) -> u64 {
        let known = self.pages.get(&page).map(|known| known.number);
        let number = known.unwrap_or(self.next);
        self.next = self.next.max(number + 1);
        self.pages.insert(page, Known { number, mark });
        self.names.insert(number, page);
        number
    }

    pub(super) fn forget(&mut self, page: &PageName) -> Option<Known> {
        let known = self.pages.remove(page)?;
        self.names.remove(&known.number);
        Some(known)
    }

    pub(super) fn written(&self) -> tantivy::Result<String> {
        let row = |(page, known): (&PageName, &Known)| Row {
            number: known.number,
            timeline: HEXLOWER.encode(page.timeline.as_bytes()),
            n: page.n,
            lineage: HEXLOWER.encode(page.lineage.as_bytes()),
            mark: HEXLOWER.encode(&known.mark),
        };
        let written = Written {
            version: VERSION,
            next: self.next,
            pages: self.pages.iter().map(row).collect(),
        };
        serde_json::to_string(&written).map_err(|error| other(&error.to_string()))
    }

    pub(super) fn read(text: &str) -> tantivy::Result<Self> {
        let written: Written =
            serde_json::from_str(text).map_err(|error| other(&error.to_string()))?;
        if written.version != VERSION {
            return Err(other("it was made by another version of khlong"));
        }
        let mut ledger = Self {
            next: written.next,
            ..Self::default()
        };
        for row in written.pages {
            let page = PageName {
                timeline: TimelineId::from_bytes(bytes(&row.timeline)?),
                n: row.n,
                lineage: EpochId::from_bytes(bytes(&row.lineage)?),
            };
            let mark = bytes(&row.mark)?;
            let number = row.number;
            ledger.pages.insert(page, Known { number, mark });
            ledger.names.insert(number, page);
        }
        Ok(ledger)
    }
}

fn bytes<const N: usize>(text: &str) -> tantivy::Result<[u8; N]> {
    let decoded = HEXLOWER.decode(text.as_bytes()).ok();
    let exact = decoded.and_then(|bytes| bytes.try_into().ok());
    exact.ok_or_else(|| other("its list of pages is damaged"))
}

fn other(reason: &str) -> TantivyError {
    TantivyError::SystemError(reason.to_owned())
}
