//! The journal for auditors: a row an entry, as CSV and as Parquet with the same columns and rows.
//!
//! Each hash is computed again on the way, so a table that was written is the journal that is there.
//! `header`, `command` and `outcome` are the bytes that the hash is over, in hexadecimal; the other columns
//! are read from them.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use khlong_store::journal::{self, Chain, Head, JournalError, JournalSeq, Stored};
use khlong_store::key::Decoder;
use khlong_store::rows::Rows;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::kernel::{Outcome, Rejection};

/// Text that waits in memory before it is a row group; one more row may be there.
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Numbers first, then texts: name, and what Parquet calls it.
const NUMBERS: [&str; 4] = ["seq", "admitted_at_ms", "logic", "domain"];
const TEXTS: [&str; 8] = [
    "hash", "caller", "scope", "key", "result", "header", "command", "outcome",
];

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The journal failed; its own words say what to do.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An entry has another hash.
    #[error("entry {seq} of the journal is not the one that was appended; restore a backup")]
    Broken {
        /// Which.
        seq: u64,
    },
    /// A newer release wrote it.
    #[error("entry {seq} has a layout that this version does not know; use a newer one")]
    UnknownEntry {
        /// Which.
        seq: u64,
    },
    /// A table cannot be written.
    #[error("cannot write the table")]
    Write(#[source] io::Error),
}

/// Writes the whole journal, and returns its head.
///
/// # Errors
/// [`AuditError`]. What was written until then is no table.
pub fn export_journal<P: Write + Send>(
    rows: &dyn Rows,
    csv: &mut dyn Write,
    parquet: P,
) -> Result<Head, AuditError> {
    let head = journal::head(rows)
        .map_err(JournalError::from)?
        .ok_or(JournalError::Missing)?;
    let chain = Chain::of(head.id);
    let mut reached = Head::start(head.id);
    let mut table = Table::new(csv, parquet)?;
    journal::read(rows, JournalSeq(1), &mut |stored| {
        let (seq, entry) = (stored.seq.0, &stored.entry);
        reached = chain.extend(reached, &entry.header, &entry.command, &entry.outcome);
        if reached.hash != stored.hash {
            return Err(AuditError::Broken { seq });
        }
        let row = Row::of(&stored).ok_or(AuditError::UnknownEntry { seq })?;
        table.push(row)?;
        Ok(ControlFlow::Continue(()))
    })?;
    if reached != head {
        return Err(AuditError::Broken { seq: head.seq.0 });
    }
    table.finish()?;
    Ok(head)
}

/// An entry, in the order of the columns.
struct Row {
    numbers: [i64; NUMBERS.len()],
    texts: [String; TEXTS.len()],
}

impl Row {
    /// `None` if this release does not know its layout.
    fn of(stored: &Stored) -> Option<Self> {
        let entry = &stored.entry;
        let mut fields = Decoder::new(&entry.header);
        if fields.u8()? != 1 {
            return None;
        }
        let logic = u16::from_be_bytes(fields.fixed()?);
        let admitted_at = fields.i64()?;
        let mut name = || {
            let length = fields.u8()?;
            fields.bytes(length.into()).map(escaped)
        };
        let (caller, scope, key) = (name()?, name()?, name()?);
        fields.end()?;
        let result = match Outcome::decode(&entry.outcome)? {
            Outcome::Done(_) => "done".to_owned(),
            Outcome::Rejected(rejection) => name_of(rejection).to_owned(),
        };
        Some(Self {
            numbers: [
                stored.seq.0.cast_signed(),
                admitted_at,
                logic.into(),
                (*entry.command.first()?).into(),
            ],
            texts: [
                hex(&stored.hash),
                caller,
                scope,
                key,
                result,
                hex(&entry.header),
                hex(&entry.command),
                hex(&entry.outcome),
            ],
        })
    }
}

/// Both tables, while they are written.
struct Table<'t, P: Write + Send> {
    csv: &'t mut dyn Write,
    parquet: SerializedFileWriter<P>,
    waiting: Vec<Row>,
    waiting_bytes: usize,
}

impl<'t, P: Write + Send> Table<'t, P> {
    fn new(csv: &'t mut dyn Write, parquet: P) -> Result<Self, AuditError> {
        let names: Vec<&str> = NUMBERS.into_iter().chain(TEXTS).collect();
        write!(csv, "{}\r\n", names.join(",")).map_err(AuditError::Write)?;
        let numbers = NUMBERS.map(|name| format!("required int64 {name};"));
        let texts = TEXTS.map(|name| format!("required binary {name} (UTF8);"));
        let schema = format!(
            "message journal {{ {} {} }}",
            numbers.join(" "),
            texts.join(" ")
        );
        let schema = parse_message_type(&schema).map_err(failed)?;
        let properties = Arc::new(WriterProperties::builder().build());
        let parquet =
            SerializedFileWriter::new(parquet, Arc::new(schema), properties).map_err(failed)?;
        Ok(Self {
            csv,
            parquet,
            waiting: Vec::new(),
            waiting_bytes: 0,
        })
    }

    fn push(&mut self, row: Row) -> Result<(), AuditError> {
        let mut fields: Vec<String> = row.numbers.iter().map(ToString::to_string).collect();
        fields.extend(row.texts.iter().map(|text| quoted(text)));
        write!(self.csv, "{}\r\n", fields.join(",")).map_err(AuditError::Write)?;
        self.waiting_bytes += row.texts.iter().map(String::len).sum::<usize>();
        self.waiting.push(row);
        if self.waiting_bytes >= GROUP_BYTES_MAX {
            self.flush().map_err(failed)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), AuditError> {
        self.flush().map_err(failed)?;
        self.csv.flush().map_err(AuditError::Write)?;
        self.parquet.close().map(|_| ()).map_err(failed)
    }

    /// Writes a row group.
    fn flush(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.parquet.next_row_group()?;
        for column in 0..NUMBERS.len() {
            let values: Vec<i64> = rows
                .iter()
                .filter_map(|row| row.numbers.get(column).copied())
                .collect();
            if let Some(mut writer) = group.next_column()? {
                writer
                    .typed::<Int64Type>()
                    .write_batch(&values, None, None)?;
                writer.close()?;
            }
        }
        for column in 0..TEXTS.len() {
            let values: Vec<ByteArray> = rows
                .iter()
                .filter_map(|row| row.texts.get(column))
                .map(|text| ByteArray::from(text.as_str()))
                .collect();
            if let Some(mut writer) = group.next_column()? {
                writer
                    .typed::<ByteArrayType>()
                    .write_batch(&values, None, None)?;
                writer.close()?;
            }
        }
        group.close().map(|_| ())
    }
}

/// Names are bytes of a caller: what is not printable ASCII is escaped, and at the start also what a program
/// for tables takes for a formula.
fn escaped(name: &[u8]) -> String {
    match name.split_first() {
        Some((first, rest)) if b"=+-@".contains(first) => {
            format!("\\x{first:02x}{}", rest.escape_ascii())
        }
        Some(_) | None => name.escape_ascii().to_string(),
    }
}

/// As it stands in the tables, for ever.
const fn name_of(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::Malformed => "malformed",
        Rejection::UnknownDomain => "unknowndomain",
        Rejection::Invariant => "invariant",
        Rejection::Panicked => "panicked",
        Rejection::TooLarge => "toolarge",
        Rejection::ForeignTable => "foreigntable",
    }
}

/// RFC 4180. An escaped name holds no line end.
fn quoted(text: &str) -> String {
    if text.contains([',', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            let digit = DIGITS.get(usize::from(digit)).copied().unwrap_or(b'?');
            text.push(char::from(digit));
        }
    }
    text
}

/// The system's own answer, if there is one beneath.
fn failed(error: ParquetError) -> AuditError {
    if let ParquetError::External(source) = error {
        return AuditError::Write(match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(other) => io::Error::other(other),
        });
    }
    AuditError::Write(io::Error::other(error))
}
