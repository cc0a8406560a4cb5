//! A journal in a text file, an entry on each line: header, command and outcome, in hexadecimal.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use khlong_store::engine::Durability;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{self, Entry, Head, JournalError, JournalSeq};
use khlong_store::rows::Rows;
use khlong_store::store::Store;

use crate::fixture::{JOURNAL, store};

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap())
        .collect()
}

/// The same commands make the same journal: `rows` hold what `golden` holds. Another one is
/// written beside, under the file's name.
pub(crate) fn assert_makes(rows: &dyn Rows, golden: &str, name: &str) {
    let mut made = String::new();
    journal::read::<JournalError>(rows, JournalSeq(1), &mut |stored| {
        let entry = stored.entry;
        let (header, command) = (hex(&entry.header), hex(&entry.command));
        writeln!(made, "{header} {command} {}", hex(&entry.outcome)).unwrap();
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    if made != golden {
        let beside = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&beside, &made).unwrap();
        panic!("another journal, written to {beside}");
    }
}

/// The entries of `file`, appended to an empty store as they stand, and the head that they give.
pub(crate) fn appended(file: &str) -> (Store, Head) {
    let mut store = store(&MemoryDisk::new());
    let mut batch = store.batch();
    let mut head = journal::create(&mut batch, JOURNAL).unwrap();
    for line in file.lines() {
        let fields: Vec<_> = line.split(' ').map(unhex).collect();
        let entry = Entry {
            header: fields[0].clone(),
            command: fields[1].clone(),
            outcome: fields[2].clone(),
        };
        head = journal::append(&mut batch, head.seq, &[entry]).unwrap();
    }
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    (store, head)
}
