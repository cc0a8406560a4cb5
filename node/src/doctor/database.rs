//! The database, read without opening it: its version, whether it is whole, which relays it knows.

use std::path::Path;
use std::time::Duration;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::class::{Class, Cursor};
use khlong_store::error::StoreError;
use khlong_store::folder::DATABASE_FOLDER;
use khlong_store::identity::Role;
use khlong_store::migrate::SCHEMA;
use khlong_store::peek::Peek;
use khlong_store::tables::cursors;
use khlong_store::tables::named::{self, Named};

use super::{Finding, State};
use crate::error::{ExitCode, NodeError};
use crate::folder::STORE_FOLDER;
use crate::peer::book::{BOOK_ROW, Book};

const CHECK: &str = "database";

/// A process that writes meanwhile may remove a file that is about to be read.
const ATTEMPTS: usize = 3;
/// Until it has gone on.
const PAUSE: Duration = Duration::from_millis(50);

/// What was found.
pub(super) struct Database {
    pub(super) finding: Finding,
    /// Absent where they cannot be read.
    pub(super) relays: Option<Vec<Known>>,
}

/// A relay of this node, and how far it has been read.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) address: RelayAddress,
    pub(super) cursors: Vec<(Class, Cursor)>,
}

pub(super) fn check(home: &Path) -> Database {
    let store = home.join(STORE_FOLDER);
    // What is closed to this user is a matter of the owner.
    if std::fs::read_dir(store.join(DATABASE_FOLDER)).is_err() {
        return Database {
            finding: Finding::skipped(CHECK, "no database can be seen"),
            relays: None,
        };
    }
    let mut found = look(&store);
    for _ in 1..ATTEMPTS {
        if found.finding.state == State::Problem {
            std::thread::sleep(PAUSE);
            found = look(&store);
        }
    }
    found
}

fn look(store: &Path) -> Database {
    let peek = match Peek::open(store) {
        Ok(peek) => peek,
        Err(error) => {
            return Database {
                finding: unopened(error),
                relays: None,
            };
        }
    };
    match relays(&peek) {
        Ok(relays) => Database {
            finding: whole(&peek),
            relays,
        },
        Err(error) => Database {
            finding: damaged(&error.full_message()),
            relays: None,
        },
    }
}

fn whole(peek: &Peek) -> Finding {
    let found = peek.found();
    let newer = "install the newer version that wrote it";
    match found.schema {
        Some(schema) if schema > SCHEMA => {
            let says = format!("it has schema {schema}, and this version knows up to {SCHEMA}");
            return Finding::problem(CHECK, ExitCode::Incompatible, says, newer);
        }
        Some(schema) if schema < SCHEMA => {
            let says = format!("it has schema {schema}, of an older version");
            let remedy = format!(
                "copy the folder, then run any command, such as `khlong status`: it migrates to schema {SCHEMA}, which the older version does not open"
            );
            return Finding::problem(CHECK, ExitCode::Incompatible, says, remedy);
        }
        Some(_) => {}
        None => return Finding::skipped(CHECK, "nothing has been written to it"),
    }
    if found.role.as_deref() != Some(Role::Node.name()) {
        let remedy = "name a node's folder by --home or KHLONG_HOME";
        return Finding::problem(CHECK, ExitCode::Config, "it is no node's", remedy);
    }
    match found.loss() {
        Some(error) => damaged(&error.to_string()),
        None => Finding::ok(
            CHECK,
            format!("schema {SCHEMA}, commit {}", found.committed.seq),
        ),
    }
}

/// As the node reads them when it is opened. `None`: the rows are of another version.
fn relays(peek: &Peek) -> Result<Option<Vec<Known>>, NodeError> {
    if peek.found().schema != Some(SCHEMA) {
        return Ok(None);
    }
    let row = named::get(peek, Named::NodeState, BOOK_ROW.as_bytes()).map_err(NodeError::Store)?;
    let Some(row) = row else { return Ok(None) };
    let mut known = Vec::new();
    for address in Book::decode(&row)?.relay_addresses() {
        let mut read = Vec::new();
        for class in Class::ALL {
            let cursor = cursors::get(peek, &address.key, class).map_err(NodeError::Store)?;
            read.extend(cursor.map(|cursor| (class, cursor)));
        }
        known.push(Known {
            address,
            cursors: read,
        });
    }
    Ok(Some(known))
}

fn unopened(error: StoreError) -> Finding {
    let error = NodeError::Store(error);
    let (code, says) = (error.exit_code(), error.full_message());
    if code == ExitCode::Incompatible {
        return Finding::problem(CHECK, code, says, "install the newer version that wrote it");
    }
    if code == ExitCode::Integrity {
        return damaged(&says);
    }
    let remedy = "check the disk; if it is well, make the node anew from a backup: `khlong restore FOLDER` with another --home";
    Finding::problem(CHECK, ExitCode::Failure, says, remedy)
}

fn damaged(says: &str) -> Finding {
    let remedy = "make the node anew from a backup: `khlong restore FOLDER` with another --home";
    Finding::problem(CHECK, ExitCode::Integrity, says, remedy)
}
