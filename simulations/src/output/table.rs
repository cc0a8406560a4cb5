//! A table, written as CSV and as Parquet with the same columns and rows.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::Field;
use parquet::schema::parser::parse_message_type;

use crate::error::SimError;

/// Rows that wait in memory: some 10 MB.
const ROW_GROUP_ROWS: usize = 100_000;

/// What a column holds. A number is u64, a text UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Always there.
    Number,
    /// May be absent: an empty field of CSV, null in Parquet.
    OptionalNumber,
    /// Always there.
    Text,
    /// May be absent.
    OptionalText,
}

/// Name and kind.
pub type Column = (&'static str, Kind);

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// A number.
    Number(u64),
    /// A text.
    Text(&'a str),
    /// Nothing.
    Absent,
}

impl From<Option<u64>> for Cell<'_> {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::Absent, Self::Number)
    }
}

/// Values of one column that wait.
enum Waiting {
    Numbers(Vec<i64>),
    Texts(Vec<ByteArray>),
}

/// A table that is being written.
pub struct Table {
    path: PathBuf,
    columns: &'static [Column],
    csv: csv::Writer<File>,
    parquet: SerializedFileWriter<File>,
    waiting: Vec<(Waiting, Vec<i16>)>,
    rows: usize,
}

impl Table {
    /// Creates `NAME.csv` and `NAME.parquet` in a folder.
    ///
    /// # Errors
    /// [`SimError::Write`].
    pub fn create(folder: &Path, name: &str, columns: &'static [Column]) -> Result<Self, SimError> {
        let path = folder.join(name);
        let create = |path: PathBuf| {
            File::create_new(&path).map_err(|source| SimError::Write { path, source })
        };
        let csv_file = create(path.with_extension("csv"))?;
        let parquet_file = create(path.with_extension("parquet"))?;
        let mut csv = csv::Writer::from_writer(csv_file);
        csv.write_record(columns.iter().map(|(name, _)| name))
            .map_err(|error| csv_failed(&path, error))?;
        let schema = parse_message_type(&schema(name, columns))
            .map_err(|error| parquet_failed(&path, error))?;
        let properties = Arc::new(WriterProperties::builder().build());
        let parquet = SerializedFileWriter::new(parquet_file, Arc::new(schema), properties)
            .map_err(|error| parquet_failed(&path, error))?;
        Ok(Self {
            path,
            columns,
            csv,
            parquet,
            waiting: empty(columns),
            rows: 0,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`SimError::Write`].
    ///
    /// # Panics
    /// If the cells are not of the columns' kinds.
    pub fn push(&mut self, cells: &[Cell<'_>]) -> Result<(), SimError> {
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        for ((waiting, levels), ((name, kind), cell)) in
            self.waiting.iter_mut().zip(self.columns.iter().zip(cells))
        {
            match (waiting, cell) {
                (Waiting::Numbers(numbers), Cell::Number(number)) => {
                    numbers.push(number.cast_signed());
                    levels.push(1);
                }
                (Waiting::Texts(texts), Cell::Text(text)) => {
                    texts.push(ByteArray::from(*text));
                    levels.push(1);
                }
                (_, Cell::Absent) if kind.is_optional() => levels.push(0),
                (Waiting::Numbers(_) | Waiting::Texts(_), _) => {
                    panic!("column `{name}` holds no {cell:?}")
                }
            }
        }
        let fields = cells.iter().map(|cell| match cell {
            Cell::Number(number) => number.to_string(),
            Cell::Text(text) => (*text).to_owned(),
            Cell::Absent => String::new(),
        });
        self.csv
            .write_record(fields)
            .map_err(|error| csv_failed(&self.path, error))?;
        self.rows += 1;
        if self.rows.is_multiple_of(ROW_GROUP_ROWS) {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what waits, and the footer.
    ///
    /// # Errors
    /// [`SimError::Write`].
    pub fn finish(mut self) -> Result<(), SimError> {
        self.flush()?;
        self.csv.flush().map_err(|source| SimError::Write {
            path: self.path.with_extension("csv"),
            source,
        })?;
        self.parquet
            .close()
            .map(|_| ())
            .map_err(|error| parquet_failed(&self.path, error))
    }

    fn flush(&mut self) -> Result<(), SimError> {
        let waiting = std::mem::replace(&mut self.waiting, empty(self.columns));
        if waiting.iter().all(|(_, levels)| levels.is_empty()) {
            return Ok(());
        }
        write_group(&mut self.parquet, self.columns, &waiting)
            .map_err(|error| parquet_failed(&self.path, error))
    }
}

impl Kind {
    const fn is_optional(self) -> bool {
        matches!(self, Self::OptionalNumber | Self::OptionalText)
    }

    const fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::OptionalNumber)
    }
}

fn schema(name: &str, columns: &[Column]) -> String {
    let fields: Vec<String> = columns
        .iter()
        .map(|(name, kind)| {
            let repetition = if kind.is_optional() {
                "optional"
            } else {
                "required"
            };
            let (physical, logical) = if kind.is_number() {
                ("int64", "UINT_64")
            } else {
                ("binary", "UTF8")
            };
            format!("{repetition} {physical} {name} ({logical});")
        })
        .collect();
    format!("message {name} {{ {} }}", fields.join(" "))
}

fn empty(columns: &[Column]) -> Vec<(Waiting, Vec<i16>)> {
    columns
        .iter()
        .map(|(_, kind)| {
            let waiting = if kind.is_number() {
                Waiting::Numbers(Vec::new())
            } else {
                Waiting::Texts(Vec::new())
            };
            (waiting, Vec::new())
        })
        .collect()
}

fn write_group(
    parquet: &mut SerializedFileWriter<File>,
    columns: &[Column],
    waiting: &[(Waiting, Vec<i16>)],
) -> Result<(), ParquetError> {
    let mut group = parquet.next_row_group()?;
    for ((values, levels), (_, kind)) in waiting.iter().zip(columns) {
        let Some(mut column) = group.next_column()? else {
            break;
        };
        let levels = kind.is_optional().then_some(levels.as_slice());
        match values {
            Waiting::Numbers(numbers) => {
                column
                    .typed::<Int64Type>()
                    .write_batch(numbers, levels, None)?;
            }
            Waiting::Texts(texts) => {
                column
                    .typed::<ByteArrayType>()
                    .write_batch(texts, levels, None)?;
            }
        }
        column.close()?;
    }
    group.close()?;
    Ok(())
}

/// Reads a Parquet file of ours back as the fields that its CSV twin has, header first.
///
/// # Errors
/// [`SimError::Read`], [`SimError::Table`].
pub fn read_parquet(path: &Path) -> Result<Vec<Vec<String>>, SimError> {
    let file = File::open(path).map_err(|source| SimError::Read {
        path: path.to_owned(),
        source,
    })?;
    let damaged = |error: ParquetError| SimError::Table {
        path: path.to_owned(),
        problem: error.to_string(),
    };
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let header = reader
        .metadata()
        .file_metadata()
        .schema()
        .get_fields()
        .iter()
        .map(|field| field.name().to_owned())
        .collect();
    let mut rows = vec![header];
    for row in reader.get_row_iter(None).map_err(damaged)? {
        let row = row.map_err(damaged)?;
        rows.push(
            row.get_column_iter()
                .map(|(_, field)| text(field))
                .collect(),
        );
    }
    Ok(rows)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "our tables have three kinds of field; whatever else there is shows itself"
)]
fn text(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        other => other.to_string(),
    }
}

fn csv_failed(path: &Path, error: csv::Error) -> SimError {
    SimError::Write {
        path: path.with_extension("csv"),
        source: std::io::Error::other(error),
    }
}

fn parquet_failed(path: &Path, error: ParquetError) -> SimError {
    SimError::Write {
        path: path.with_extension("parquet"),
        source: std::io::Error::other(error),
    }
}
