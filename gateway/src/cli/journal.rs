//! `init`, `verify` and `replay`: the journal in a folder, and the views that follow from it.

use std::collections::BTreeMap;
use std::path::Path;

use khlong_store::error::StoreError;
use khlong_store::journal::{self, Head, JournalId};
use khlong_store::peek::Peek;
use serde_json::{Value, json};

use super::folder::{self, Unfinished};
use super::output::{Output, hexadecimal};
use super::show::Object;
use super::{CliError, database};
use crate::domains::ledger::{Totals, asset, totals};
use crate::kernel::{check_views, replay as replay_journal, state_hash};

pub(super) fn init(output: Output, path: &Path, config: Option<&Path>) -> Result<(), CliError> {
    folder::refuse_used(path)?;
    let fresh = JournalId::from_bytes(folder::random()?);
    let kernel = match database::of(config)? {
        None => folder::make(path, fresh)?,
        Some(database) => folder::make_copy(path, database, fresh)?,
    };
    let head = kernel.head();
    let id = hexadecimal(head.id.as_bytes());
    if output.json {
        let fields = json!({ "kind": "journal", "id": id, "entries": head.seq.0 });
        return output.object(object(fields));
    }
    output.text(&format!("{id}\n"))
}

pub(super) fn verify(output: Output, path: &Path, config: Option<&Path>) -> Result<(), CliError> {
    let peek = folder::look(path)?;
    let head = journal::verify(&peek).map_err(|error| CliError::journal(path, error))?;
    let there = match database::of(config)? {
        None => None,
        Some(mut database) => {
            database::compare(&mut database, path, &head)?;
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
    Ok(())
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

pub(super) fn replay(
    output: Output,
    path: &Path,
    into: &Path,
    config: Option<&Path>,
) -> Result<(), CliError> {
    let peek = folder::look(path)?;
    let head = journal::verify(&peek).map_err(|error| CliError::journal(path, error))?;
    if let Some(mut database) = database::of(config)? {
        database::compare(&mut database, path, &head)?;
    }
    let unfinished = Unfinished::begin(into, path)?;
    let mut kernel = folder::make_from(&peek, unfinished.path(), head.id)?;
    let replayed = replay_journal(&peek, &mut kernel)
        .map_err(|error| CliError::kernel(path, error))
        .and_then(|_| state_hash(kernel.store()).map_err(|error| CliError::store(into, error)));
    // Closed before it is moved, or removed.
    drop(kernel);
    let replayed = replayed?;
    unfinished.finish()?;
    // Views that cannot be read, or are not at the head, are what a replay mends.
    let found = check_views(&peek, Some(&head))
        .ok()
        .and_then(|_| state_hash(&peek).ok());
    let mut fields = head_fields("replayed_journal", &head);
    let found_text = found.map(|hash| hexadecimal(&hash));
    fields.insert("state".to_owned(), found_text.into());
    fields.insert("replayed_state".to_owned(), hexadecimal(&replayed).into());
    print(output, fields)?;
    if found == Some(replayed) {
        return Ok(());
    }
    Err(CliError::ViewsDiffer {
        folder: path.to_owned(),
        into: into.to_owned(),
    })
}

fn head_fields(kind: &str, head: &Head) -> Object {
    object(json!({
        "kind": kind,
        "journal": hexadecimal(head.id.as_bytes()),
        "entries": head.seq.0,
        "head": hexadecimal(&head.hash),
    }))
}

fn object(fields: Value) -> Object {
    match fields {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Object::new()
        }
    }
}

/// `entries: 12`, and an asset a line.
fn print(output: Output, fields: Object) -> Result<(), CliError> {
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
