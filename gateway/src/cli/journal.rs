//! `init` and `verify`: the journal in a folder, and the views that follow from it.

use std::collections::BTreeMap;
use std::path::Path;

use khlong_store::error::StoreError;
use khlong_store::journal::{self, Head, JournalId, JournalSeq};
use khlong_store::peek::Peek;
use serde_json::{Value, json};

use super::args::Published;
use super::output::{Output, hexadecimal};
use super::show::Object;
use super::{CliError, database, folder};
use crate::config::example;
use crate::domains::ledger::{Totals, asset, totals};
use crate::kernel::{Epoch, check_views, epochs, state_hash};

/// `write`: where a configuration goes.
pub(super) fn init(
    output: Output,
    path: &Path,
    config: Option<&Path>,
    write: Option<&Path>,
) -> Result<(), CliError> {
    folder::refuse_used(path)?;
    // First: a folder is never made for a configuration that cannot be written.
    if let Some(file) = write {
        let failed = |source| CliError::File {
            path: path.to_owned(),
            source,
        };
        // Wherever the file is moved, it names this folder.
        let folder = std::path::absolute(path).map_err(failed)?;
        folder::write_private(file, &example(&folder))?;
    }
    let made = folder::random()
        .map(JournalId::from_bytes)
        .and_then(|fresh| match database::of(config)? {
            None => folder::make(path, fresh),
            Some(database) => folder::make_copy(path, database, fresh),
        });
    let kernel = made.inspect_err(|_| {
        // This call made it: left behind it would stop the next try.
        if let Some(file) = write {
            let _ = std::fs::remove_file(file);
        }
    })?;
    let head = kernel.head();
    let id = hexadecimal(head.id.as_bytes());
    if output.json {
        let fields = json!({ "kind": "journal", "id": id, "entries": head.seq.0 });
        return output.object(object(fields));
    }
    output.text(&format!("{id}\n"))
}

pub(super) fn verify(
    output: Output,
    path: &Path,
    config: Option<&Path>,
    published: &[Published],
) -> Result<(), CliError> {
    let peek = folder::look(path)?;
    let head = journal::verify(&peek).map_err(|error| CliError::journal(path, error))?;
    let mut database = database::of(config)?;
    let there = match &mut database {
        None => None,
        Some(database) => {
            database::compare(database, path, &head)?;
            let verified = database.verify();
            Some(verified.map_err(|error| CliError::journal(path, error))?)
        }
    };
    check_views(&peek, Some(&head)).map_err(|error| CliError::kernel(path, error))?;
    let of_store = |error| CliError::store(path, error);
    let state = state_hash(&peek).map_err(of_store)?;
    let mut fields = head_fields("verified_journal", &head);
    if let Some(there) = there {
        fields.insert("database_entries".to_owned(), there.seq.0.into());
        let hash = hexadecimal(&there.hash);
        fields.insert("database_head".to_owned(), hash.into());
    }
    fields.insert("state".to_owned(), hexadecimal(&state).into());
    let epochs = epochs(&peek).map_err(of_store)?;
    fields.insert("epochs".to_owned(), told(&epochs));
    let totals = totals(&peek).map_err(of_store)?;
    let assets = assets(&peek, &totals).map_err(of_store)?;
    fields.insert("assets".to_owned(), assets.into());
    print(output, fields)?;
    for (ledger, totals) in totals {
        let imbalance = totals.imbalance();
        if imbalance != 0 {
            return Err(CliError::Unbalanced { ledger, imbalance });
        }
    }
    for noted in published {
        let entry = JournalSeq(noted.entry);
        let found = match &mut database {
            // The copy may end before.
            Some(database) => database.hash_at(entry)?,
            None => journal::get(&peek, entry)
                .map_err(|error| CliError::journal(path, error))?
                .map(|stored| stored.hash),
        };
        still_there(found, &epochs, noted)?;
    }
    Ok(())
}

fn told(epochs: &[Epoch]) -> Value {
    let one = |epoch: &Epoch| json!({ "entry": epoch.seq.0, "number": epoch.number });
    epochs.iter().map(one).collect()
}

/// Whether the journal is one that goes on from what somebody noted.
fn still_there(
    found: Option<[u8; 32]>,
    epochs: &[Epoch],
    noted: &Published,
) -> Result<(), CliError> {
    let Published { entry, hash } = *noted;
    let why = match found {
        Some(found) if *hash.as_bytes() == found => return Ok(()),
        Some(found) => format!("there it is {}", hexadecimal(&found)),
        None => "it ends before".to_owned(),
    };
    // The earliest that could have replaced it.
    let replaced = epochs.iter().rev().find(|epoch| epoch.seq.0 <= entry);
    let why = match replaced {
        Some(epoch) => format!(
            "{why}; it went on at entry {} in epoch {}, from a backup or after a loss",
            epoch.seq.0, epoch.number
        ),
        None => format!("{why}; it is the journal of another gateway, or was changed"),
    };
    Err(CliError::OtherHistory { entry, why })
}

/// Each asset with its imbalance.
fn assets(peek: &Peek, totals: &BTreeMap<u32, Totals>) -> Result<Vec<Value>, StoreError> {
    let mut shown = Vec::new();
    for (ledger, totals) in totals {
        let symbol = asset(peek, *ledger)?
            .map(|asset| asset.symbol)
            .unwrap_or_default();
        let symbol = String::from_utf8_lossy(&symbol);
        // Numbers of 128 bits are texts: most readers of JSON would round them.
        shown.push(json!({
            "ledger": ledger,
            "symbol": symbol.trim_end_matches('\0'),
            "accounts": totals.accounts,
            "imbalance": totals.imbalance().to_string(),
        }));
    }
    Ok(shown)
}

pub(super) fn head_fields(kind: &str, head: &Head) -> Object {
    object(json!({
        "kind": kind,
        "journal": hexadecimal(head.id.as_bytes()),
        "entries": head.seq.0,
        "head": hexadecimal(&head.hash),
    }))
}

pub(super) fn object(fields: Value) -> Object {
    match fields {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Object::new()
        }
    }
}

/// `entries: 12`, and an asset a line.
pub(super) fn print(output: Output, fields: Object) -> Result<(), CliError> {
    if output.json {
        return output.object(fields);
    }
    let mut lines = String::new();
    for name in [
        "journal",
        "entries",
        "head",
        "database_entries",
        "database_head",
        "from_snapshot",
        "snapshot_entry",
        "state",
        "replayed_state",
    ] {
        match fields.get(name) {
            Some(Value::String(text)) => lines.push_str(&format!("{name}: {text}\n")),
            Some(Value::Null) => lines.push_str(&format!("{name}: damaged\n")),
            Some(value) => lines.push_str(&format!("{name}: {value}\n")),
            None => {}
        }
    }
    for epoch in fields
        .get("epochs")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let number = |name: &str| epoch.get(name).map(ToString::to_string).unwrap_or_default();
        lines.push_str(&format!(
            "went on at entry {} in epoch {}\n",
            number("entry"),
            number("number")
        ));
    }
    for asset in fields
        .get("assets")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let text = |name: &str| asset.get(name).map(ToString::to_string).unwrap_or_default();
        let plain = |name: &str| text(name).trim_matches('"').to_owned();
        lines.push_str(&format!(
            "asset {}: {} accounts, imbalance {}\n",
            plain("symbol"),
            plain("accounts"),
            plain("imbalance"),
        ));
    }
    output.text(&lines)
}
