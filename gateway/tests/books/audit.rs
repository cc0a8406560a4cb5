//! The journal as tables.

use std::fs::File;
use std::io::{self, Write};

use khlong_gateway::domains::books::BooksCommand;
use khlong_gateway::domains::books::audit::{AuditError, export_journal};
use khlong_store::engine::Durability;
use khlong_store::journal::{self, Chain, Head, JournalId, JournalSeq};
use khlong_store::key::Encoder;
use khlong_store::rows::Rows as _;
use khlong_store::table::Table;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

use crate::fixture::{JOURNAL, command, pay};
use crate::office::{Office, TODAY};

/// The rows of a Parquet file as texts, the names of its columns first.
fn read(file: File) -> Vec<Vec<String>> {
    let reader = SerializedFileReader::new(file).unwrap();
    let columns = reader
        .metadata()
        .file_metadata()
        .schema()
        .get_fields()
        .to_vec();
    let mut rows = vec![columns.iter().map(|it| it.name().to_owned()).collect()];
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let text = |field: &Field| {
            if let Field::Str(text) = field {
                text.clone()
            } else {
                field.to_string()
            }
        };
        rows.push(
            row.get_column_iter()
                .map(|(_, field)| text(field))
                .collect(),
        );
    }
    rows
}

/// The same of a CSV.
fn read_csv(csv: Vec<u8>) -> Vec<Vec<String>> {
    String::from_utf8(csv)
        .unwrap()
        .split_terminator("\r\n")
        .map(|line| match line.split_once('"') {
            // One row has a field in quotes: with a comma, and quotes that are doubled.
            Some((before, rest)) => {
                let (quoted, after) = rest.rsplit_once("\",").unwrap();
                let mut fields: Vec<_> = before
                    .trim_end_matches(',')
                    .split(',')
                    .map(str::to_owned)
                    .collect();
                fields.push(quoted.replace("\"\"", "\""));
                fields.extend(after.split(',').map(str::to_owned));
                fields
            }
            None => line.split(',').map(str::to_owned).collect(),
        })
        .collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()
}

/// Where the chain of the journal with that id comes to by what a table says alone: each row's hash is computed
/// again from its `header`, `command` and `outcome`.
fn chained(table: &[Vec<String>], id: JournalId) -> Head {
    let (names, rows) = table.split_first().unwrap();
    let column = |name: &str| names.iter().position(|it| it == name).unwrap();
    let [seq, hash, header, command, outcome] =
        ["seq", "hash", "header", "command", "outcome"].map(column);
    let (chain, mut reached) = (Chain::of(id), Head::start(id));
    for row in rows {
        let [header, command, outcome] = [header, command, outcome].map(|it| bytes(&row[it]));
        reached = chain.extend(reached, &header, &command, &outcome);
        assert_eq!(row[seq], reached.seq.0.to_string());
        assert_eq!(bytes(&row[hash]), reached.hash, "entry {}", row[seq]);
    }
    reached
}

/// What an auditor does who has one of the tables, the id of the journal and a head that was published.
#[test]
fn the_chain_follows_from_either_table_and_ends_in_the_head() {
    let mut office = Office::new();
    office.pay(&[pay(1, 1, 3, 100), pay(2, 1, 3, 7)]);
    office.ask(&BooksCommand::CloseDay(TODAY));
    let unknown = command("nobody takes it", office.bank.now, 77, vec![0xff]);
    crate::fixture::decide(&mut office.bank.kernel, &unknown);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.parquet");
    let mut csv = Vec::new();
    export_journal(office.store(), &mut csv, File::create(&path).unwrap()).unwrap();
    let head = office.bank.kernel.head();
    assert_eq!(chained(&read_csv(csv), JOURNAL), head);
    assert_eq!(chained(&read(File::open(&path).unwrap()), JOURNAL), head);
}

#[test]
fn csv_and_parquet_have_the_same_rows_and_they_are_the_journal() {
    let mut office = Office::new();
    office.pay(&[pay(1, 1, 3, 100)]);
    office.ask(&BooksCommand::CloseDay(TODAY));
    // A key of bytes that a table must not take for its own, and a rejection.
    let odd = command("a,\"b\"\r\n\u{e01}", office.bank.now, 77, vec![0xff]);
    crate::fixture::decide(&mut office.bank.kernel, &odd);
    // More than one row group: 9 MB of hexadecimal an entry.
    let mut id = 10;
    for _ in 0..10 {
        let many: Vec<_> = (0..8_000)
            .map(|_| {
                id += 1;
                pay(id, 1, 3, 1)
            })
            .collect();
        office.pay(&many);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.parquet");
    let mut csv = Vec::new();
    let head = export_journal(office.store(), &mut csv, File::create(&path).unwrap()).unwrap();
    assert_eq!(head, office.bank.kernel.head());
    let rows = read(File::open(&path).unwrap());
    assert_eq!(read_csv(csv), rows);
    let head_row = u64::try_from(rows.len() - 1).unwrap();
    assert_eq!(head_row, head.seq.0);
    let stored = journal::get(office.store(), JournalSeq(5))
        .unwrap()
        .unwrap();
    let hash = blake3::Hash::from_bytes(stored.hash).to_hex();
    assert_eq!(rows[5][4], hash.as_str());
    assert_eq!(
        (rows[5][3].as_str(), rows[5][8].as_str()),
        ("77", "unknowndomain")
    );
    assert_eq!(rows[5][7], r#"a,\"b\"\r\n\xe0\xb8\x81"#);
    assert_eq!(rows[5][10], "4dff");
}

/// A caller's name that a program for tables would take for a formula.
#[test]
fn no_name_begins_as_a_formula_does() {
    let mut office = Office::new();
    for key in ["=1+1", "+1", "-1", "@a", "a=1", "\\x3d1"] {
        let odd = command(key, office.bank.now, 77, vec![0xff]);
        crate::fixture::decide(&mut office.bank.kernel, &odd);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.parquet");
    let mut csv = Vec::new();
    export_journal(office.store(), &mut csv, File::create(&path).unwrap()).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let of = |column: usize| -> Vec<_> {
        csv.lines()
            .skip(3)
            .map(|line| line.split(',').nth(column).unwrap().to_owned())
            .collect()
    };
    let expected = ["\\x3d1+1", "\\x2b1", "\\x2d1", "\\x40a", "a=1", "\\\\x3d1"];
    assert_eq!(of(7), expected);
    let rows = read(File::open(&path).unwrap());
    let parquet: Vec<_> = rows[3..].iter().map(|row| row[7].clone()).collect();
    assert_eq!(parquet, expected);
}

/// A disk without room.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn a_full_disk_is_told_as_one_of_either_table() {
    let office = Office::new();
    let csv = export_journal(office.store(), &mut Full, Vec::new());
    let parquet = export_journal(office.store(), &mut Vec::new(), Full);
    for told in [csv, parquet] {
        assert!(
            matches!(&told, Err(AuditError::Write(why)) if why.kind() == io::ErrorKind::StorageFull),
            "{told:?}"
        );
    }
}

#[test]
fn a_journal_with_a_changed_entry_makes_no_table() {
    let mut office = Office::new();
    office.pay(&[pay(1, 1, 3, 100)]);
    let mut store = office.bank.kernel.into_store();
    let key = Encoder::new().u64(2).finish();
    let mut row = store.get(Table::Journal, &key).unwrap().unwrap();
    *row.last_mut().unwrap() ^= 1;
    let mut batch = store.batch();
    batch.put(Table::Journal, key, row).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    let told = export_journal(&store, &mut Vec::new(), Vec::new());
    assert!(
        matches!(told, Err(AuditError::Broken { seq: 2 })),
        "{told:?}"
    );
}
