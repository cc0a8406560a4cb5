//! `export`: the journal as lines of JSON, one entry in memory at a time.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use khlong_store::journal::{self, Chain, Head, JournalError, JournalSeq, Stored};
use serde::Serialize;

use super::output::{SCHEMA_VERSION, hexadecimal};
use super::{CliError, database, folder};

/// One entry. From `header`, `command` and `outcome` anybody can compute `hash` again.
#[derive(Serialize)]
struct Entry<'e> {
    schema_version: u32,
    kind: &'e str,
    journal: &'e str,
    seq: u64,
    hash: String,
    header: String,
    command: String,
    outcome: String,
}

enum Stop {
    Journal(JournalError),
    Output(io::Error),
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// Every entry whose hash is right, in order; the first that is not ends it.
pub(super) fn entries(path: &Path, config: Option<&Path>) -> Result<(), CliError> {
    let peek = folder::look(path)?;
    let head = journal::head(&peek)
        .map_err(|error| CliError::store(path, error))?
        .ok_or_else(|| CliError::journal(path, JournalError::Missing))?;
    if let Some(mut database) = database::of(config)? {
        database::compare(&mut database, path, &head)?;
    }
    let journal = hexadecimal(head.id.as_bytes());
    let chain = Chain::of(head.id);
    let mut reached = Head::start(head.id);
    let mut out = BufWriter::new(io::stdout().lock());
    let written = journal::read(&peek, JournalSeq(1), &mut |stored| {
        reached = follow(&chain, reached, &stored)?;
        write_line(&mut out, &journal, &stored).map_err(Stop::Output)?;
        Ok::<_, Stop>(ControlFlow::Continue(()))
    });
    let flushed = out.flush().map_err(Stop::Output);
    match written.and(flushed) {
        Ok(()) if reached == head => Ok(()),
        Ok(()) => Err(CliError::journal(
            path,
            broken(head.seq, "the head has another hash"),
        )),
        Err(Stop::Journal(error)) => Err(CliError::journal(path, error)),
        // That its reader has gone away is no failure.
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Stop::Output(error)) => Err(CliError::Output(error)),
    }
}

fn follow(chain: &Chain, reached: Head, stored: &Stored) -> Result<Head, JournalError> {
    let entry = &stored.entry;
    let next = chain.extend(reached, &entry.header, &entry.command, &entry.outcome);
    if next.hash == stored.hash {
        Ok(next)
    } else {
        Err(broken(
            stored.seq,
            "its hash does not follow from the entries up to it",
        ))
    }
}

fn broken(seq: JournalSeq, reason: &'static str) -> JournalError {
    JournalError::Broken { seq: seq.0, reason }
}

fn write_line(out: &mut impl Write, journal: &str, stored: &Stored) -> io::Result<()> {
    let line = Entry {
        schema_version: SCHEMA_VERSION,
        kind: "journal_entry",
        journal,
        seq: stored.seq.0,
        hash: hexadecimal(&stored.hash),
        header: hexadecimal(&stored.entry.header),
        command: hexadecimal(&stored.entry.command),
        outcome: hexadecimal(&stored.entry.outcome),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}
