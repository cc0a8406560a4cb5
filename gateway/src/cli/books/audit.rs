//! `audit`: whether journal and closes hold, and both as tables.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use clap::Args;
use khlong_store::journal::{self, Head};
use khlong_store::rows::Rows;
use serde_json::{Map, Value, json};

use super::{BooksError, Reads, hex, look};
use crate::cli::CliError;
use crate::cli::output::Output;
use crate::domains::books::audit::{AuditError, export_journal};
use crate::domains::books::{Close, verify_closes};
use crate::kernel::check_views;

/// Flags of `audit`.
#[derive(Args, Debug)]
pub struct Audit {
    /// The folder of the gateway.
    pub folder: PathBuf,
    /// Write journal.csv and journal.parquet into this folder; made if it is not there.
    #[arg(long, value_name = "FOLDER")]
    pub into: Option<PathBuf>,
    /// What it reads.
    #[command(flatten)]
    pub reads: Reads,
}

/// Checks every hash of the journal and every close against the ledger, and tells the heads.
pub(in crate::cli) fn audit(output: Output, asked: &Audit) -> Result<(), CliError> {
    let rows = look(&asked.folder, asked.reads.config.as_deref())?;
    let rows = rows.as_ref();
    let head = match &asked.into {
        Some(folder) => write(rows, folder)?,
        None => {
            journal::verify(rows).map_err(|error| BooksError::Audit(AuditError::Journal(error)))?
        }
    };
    check_views(rows, Some(&head)).map_err(BooksError::Views)?;
    let close = verify_closes(rows).map_err(BooksError::Closes)?;
    if output.json {
        return output.object(fields(&head, close.as_ref()));
    }
    let mut text = format!("journal: {} entries, {}\n", head.seq.0, hex(head.hash));
    match close {
        Some(close) => {
            text.push_str(&format!("closed: to {}, {}\n", close.day, hex(close.hash)));
        }
        None => text.push_str("closed: no day\n"),
    }
    output.text(&text)
}

fn fields(head: &Head, close: Option<&Close>) -> Map<String, Value> {
    let close = close.map(|close| {
        json!({
            "day": close.day.to_string(),
            "last": close.last.0,
            "records": close.records,
            "hash": hex(close.hash),
        })
    });
    Map::from_iter([
        ("kind".to_owned(), json!("audit")),
        (
            "journal".to_owned(),
            json!({ "seq": head.seq.0, "hash": hex(head.hash) }),
        ),
        ("close".to_owned(), json!(close)),
    ])
}

/// Each table is written beside its place, and moved there when both are on the disk.
fn write(rows: &dyn Rows, folder: &Path) -> Result<Head, CliError> {
    let failed = |source| CliError::File {
        path: folder.to_owned(),
        source,
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let names = ["journal.csv", "journal.parquet"];
    for path in names.map(|name| folder.join(name)) {
        if fs::symlink_metadata(&path).is_ok() {
            return Err(CliError::Exists { path });
        }
    }
    let parts = names.map(|name| folder.join(format!("{name}.part")));
    let [csv, parquet] = &parts;
    let csv_file = create(csv)?;
    let parquet_file = create(parquet).inspect_err(|_| remove(csv))?;
    let written = export_journal(rows, &mut BufWriter::new(&csv_file), &parquet_file)
        .map_err(|error| CliError::from(BooksError::Audit(error)))
        .and_then(|head| {
            csv_file.sync_all().map_err(failed)?;
            parquet_file.sync_all().map_err(failed)?;
            for (part, name) in parts.iter().zip(names) {
                fs::rename(part, folder.join(name)).map_err(failed)?;
            }
            #[cfg(unix)]
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(failed)?;
            Ok(head)
        });
    written.inspect_err(|_| parts.iter().for_each(|part| remove(part)))
}

/// For the eyes of its owner: accounts and amounts are in it.
fn create(path: &Path) -> Result<File, CliError> {
    let path = path.to_owned();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(CliError::Exists { path })
        }
        Err(source) => Err(CliError::File { path, source }),
    }
}

/// What this call made: left behind it would stop the next try.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}
