//! Looks for plaintext in a relay's folder: in the decoded values of every
//! table, since RocksDB compresses what is on the disk.

use std::collections::BTreeSet;
use std::path::Path;

use khlong_crdt::id::LogId;
use khlong_store::engine::Durability;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::error::StoreError;
use khlong_store::identity::Role;
use khlong_store::store::{OpenOptions, Store};
use khlong_store::table::Table;
use memchr::memmem::Finder;

use crate::processes::Failure;

/// Shorter texts could be in a ciphertext by chance: 6 bytes are 1 in 2^48 a place.
const NEEDLE_BYTES_MIN: usize = 6;

/// The key of the row by which the search proves that it can find.
const CANARY_KEY: [u8; 32] = [0xff; 32];

/// What a search saw.
pub(crate) struct Searched {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) tables: usize,
    /// The texts that were found, with the table.
    pub(crate) found: Vec<(&'static str, String)>,
}

/// Texts that are worth looking for.
pub(crate) fn needles<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<String> {
    let lines = texts.flat_map(str::lines).map(str::trim);
    let distinct: BTreeSet<&str> = lines
        .filter(|line| line.len() >= NEEDLE_BYTES_MIN)
        .collect();
    distinct.into_iter().map(str::to_owned).collect()
}

/// Searches every value and key of every table of the relay in `folder`, which no relay may have open.
pub(crate) fn search(folder: &Path, needles: &[String]) -> Result<Searched, Failure> {
    let store = Store::open(folder, &options())?;
    let finders: Vec<(&String, Finder<'_>)> = needles
        .iter()
        .map(|text| (text, Finder::new(text.as_bytes())))
        .collect();
    let mut seen = Searched {
        rows: 0,
        bytes: 0,
        tables: 0,
        found: Vec::new(),
    };
    let mut tables = BTreeSet::new();
    store.for_each_row(&mut |table, key, value| {
        tables.insert(table);
        seen.rows += 1;
        seen.bytes += (key.len() + value.len()) as u64;
        for (text, finder) in &finders {
            if finder.find(value).is_some() || finder.find(key).is_some() {
                seen.found.push((table.name(), (*text).clone()));
            }
        }
        Ok::<(), StoreError>(())
    })?;
    seen.tables = tables.len();
    Ok(seen)
}

/// Makes a copy of the relay's folder with one message in clear in it.
pub(crate) fn plant(folder: &Path, copy: &Path, text: &str) -> Result<(), Failure> {
    Store::open(folder, &options())?.checkpoint(copy)?;
    let mut store = Store::open(copy, &options())?;
    let mut batch = store.batch();
    let value = format!("envelope {text} envelope").into_bytes();
    batch.put(Table::Envelope, CANARY_KEY.to_vec(), value)?;
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced)?;
    Ok(())
}

fn options() -> OpenOptions {
    OpenOptions {
        role: Role::Relay,
        fresh_log_id: LogId::from_bytes([0; 16]),
        accept_loss: false,
        sizes: RocksOptions::default(),
    }
}
