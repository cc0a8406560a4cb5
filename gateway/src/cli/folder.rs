//! The folder of a gateway, as commands beside the gateway see it: one that is only read, and
//! one that is made new.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use khlong_crdt::id::LogId;
use khlong_store::engine::Patience;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::error::StoreError;
use khlong_store::folder::{Folder, LOCK_FILE, has_database, holder, refuse_foreign_place};
use khlong_store::identity::Role;
use khlong_store::journal::{self, Head, Journal, JournalId, LocalJournal};
use khlong_store::migrate::SCHEMA;
use khlong_store::peek::Peek;
use khlong_store::side_file::SIDE_FILE;
use khlong_store::store::{OpenOptions, Store};

use super::CliError;
use crate::app::patience::BulkPatience;
use crate::app::postgres::{PostgresJournal, is_copy, mark_copy};
use crate::domains;
use crate::kernel::{Kernel, Logic, adopt};

/// Looks into the folder of a gateway that does not run; nothing in it changes. A gateway that
/// starts meanwhile is not held up: what is read stays one moment of the past.
pub(super) fn look(path: &Path) -> Result<Peek, CliError> {
    let of_store = |error| CliError::store(path, error);
    if !has_database(path).map_err(of_store)? {
        return Err(no_gateway(path));
    }
    if let Some(pid) = holder(path).map_err(of_store)? {
        return Err(CliError::InUse {
            path: path.to_owned(),
            pid,
        });
    }
    let peek = Peek::open(path).map_err(of_store)?;
    let found = peek.found();
    let (Some(role), Some(schema)) = (&found.role, found.schema) else {
        return Err(no_gateway(path));
    };
    if role != Role::Gateway.name() {
        return Err(of_store(StoreError::WrongRole {
            found: role.clone(),
            wanted: Role::Gateway.name(),
        }));
    }
    if schema > SCHEMA {
        return Err(of_store(StoreError::SchemaTooNew {
            found: schema,
            supported: SCHEMA,
        }));
    }
    match found.loss() {
        Some(loss) => Err(lost(path, &peek, loss)),
        None => Ok(peek),
    }
}

/// Which entry is the first that may be gone, where what is left tells.
fn lost(path: &Path, rows: &Peek, loss: StoreError) -> CliError {
    let is_shorter = matches!(loss, StoreError::BehindSideFile { .. });
    match journal::head(rows).ok().flatten() {
        Some(head) if is_shorter => CliError::Lost {
            path: path.to_owned(),
            entry: head.seq.next().0,
            source: loss,
        },
        Some(_) | None => CliError::store(path, loss),
    }
}

pub(super) fn no_gateway(path: &Path) -> CliError {
    CliError::NoGateway {
        path: path.to_owned(),
    }
}

/// That nothing is at `path` but, perhaps, an empty folder.
pub(super) fn refuse_used(path: &Path) -> Result<(), CliError> {
    let unreadable = |source| CliError::Unreadable {
        path: path.to_owned(),
        source,
    };
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unreadable(error)),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(Err(error)) => Err(unreadable(error)),
            Some(Ok(_)) => Err(not_empty(path)),
        },
    }
}

/// A file that was not there, for its owner alone.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let failed = |source| CliError::File {
        path: path.to_owned(),
        source,
    };
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(CliError::Exists {
                path: path.to_owned(),
            });
        }
        opened => opened.map_err(failed)?,
    };
    file.write_all(text.as_bytes()).map_err(|source| {
        let _ = fs::remove_file(path);
        failed(source)
    })
}

/// Makes a gateway's folder at `path`, where nothing is, with an empty journal.
pub(super) fn make(path: &Path, id: JournalId) -> Result<Kernel, CliError> {
    fill(path, |store| {
        open_with(path, store, Box::new(LocalJournal), id)
    })
}

/// The same with a copy of the journal in a database, which is begun if there is none.
pub(super) fn make_copy(
    path: &Path,
    mut database: PostgresJournal,
    id: JournalId,
) -> Result<Kernel, CliError> {
    // First: a database that cannot be reached, or refuses, leaves no half of a folder.
    let head = database.begin(id);
    let id = head.map_err(|error| CliError::journal(path, error))?.id;
    fill(path, |mut store| {
        mark_copy(&mut store).map_err(|error| CliError::store(path, error))?;
        open_with(path, store, Box::new(database), id)
    })
}

/// Fills the folder `path`. If that fails, what this call put there goes again, and nothing else: half
/// of a folder would stop the next try. It is filled in its place, which may be a disk that is mounted
/// there, or all that its owner may write to.
fn fill(
    path: &Path,
    fill: impl FnOnce(Store) -> Result<Kernel, CliError>,
) -> Result<Kernel, CliError> {
    let of_store = |error| CliError::store(path, error);
    let was_there = path.is_dir();
    refuse_foreign_place(path).map_err(of_store)?;
    // Nobody else opens it before all is there, or gone again.
    let folder = Folder::lock(path).map_err(of_store)?;
    let made = claim(&folder)
        .and_then(|()| options())
        .and_then(|options| {
            let opened = Store::open_locked(folder.clone(), &options, patience());
            opened.map_err(of_store)
        })
        .and_then(|store| {
            if store.opening().is_new {
                fill(store)
            } else {
                // Somebody has copied one there, without a lock.
                Err(not_empty(path))
            }
        });
    // What this call did not make stays.
    let is_own = |error: &CliError| !matches!(error, CliError::NotEmpty { .. });
    if made.as_ref().is_err_and(is_own) {
        take_back(&folder, was_there);
    }
    made
}

/// Makes the database's own folder, if nobody has made one since the place was looked at.
fn claim(folder: &Folder) -> Result<(), CliError> {
    let path = folder.path();
    if path.join(SIDE_FILE).exists() {
        return Err(not_empty(path));
    }
    fs::create_dir(folder.database()).map_err(|source| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            return not_empty(path);
        }
        CliError::File {
            path: path.to_owned(),
            source,
        }
    })
}

/// Best effort: the next try says what is in the way.
fn take_back(folder: &Folder, was_there: bool) {
    let path = folder.path();
    let _ = fs::remove_dir_all(folder.database());
    let _ = fs::remove_file(path.join(SIDE_FILE));
    // Last, while it is held: whoever waits for it finds that it is gone.
    let _ = fs::remove_file(path.join(LOCK_FILE));
    if !was_there {
        // Not if somebody has put something there.
        let _ = fs::remove_dir(path);
    }
}

fn not_empty(path: &Path) -> CliError {
    CliError::NotEmpty {
        path: path.to_owned(),
    }
}

/// A gateway's folder for the journal `id`, which is copied out of `source`; of a copy of a
/// database's it says so too.
pub(super) fn make_from(source: &Peek, path: &Path, id: JournalId) -> Result<Kernel, CliError> {
    let of_store = |error| CliError::store(path, error);
    let mut store = store(path)?;
    if is_copy(source).map_err(of_store)? {
        mark_copy(&mut store).map_err(of_store)?;
    }
    open_with(path, store, Box::new(LocalJournal), id)
}

/// The same up to a snapshot of its views: what is behind that is yet to be replayed.
pub(super) fn make_behind(
    source: &Peek,
    snapshot: &Peek,
    path: &Path,
    at: &Head,
) -> Result<Kernel, CliError> {
    let mut store = store(path)?;
    adopt(source, snapshot, at, &mut store).map_err(|error| CliError::kernel(path, error))?;
    let of_store = |error| CliError::store(path, error);
    if is_copy(source).map_err(of_store)? {
        mark_copy(&mut store).map_err(of_store)?;
    }
    open_with(path, store, Box::new(LocalJournal), at.id)
}

fn open_with(
    path: &Path,
    store: Store,
    journal: Box<dyn Journal>,
    id: JournalId,
) -> Result<Kernel, CliError> {
    Kernel::open_with(journal, store, domains::all(), Logic::CURRENT, id)
        .map_err(|error| CliError::kernel(path, error))
}

fn store(path: &Path) -> Result<Store, CliError> {
    Store::open_patiently(path, &options()?, patience())
        .map_err(|error| CliError::store(path, error))
}

fn options() -> Result<OpenOptions, CliError> {
    Ok(OpenOptions {
        role: Role::Gateway,
        fresh_log_id: LogId::from_bytes(random()?),
        accept_loss: false,
        sizes: RocksOptions::default(),
    })
}

/// Nobody waits for an answer: a long journal is written as fast as the disk takes it.
fn patience() -> Box<dyn Patience> {
    Box::new(BulkPatience::default())
}

/// From the operating system.
pub(super) fn random() -> Result<[u8; 16], CliError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(CliError::Entropy)?;
    Ok(bytes)
}

/// A folder that is made beside its place and moved there when it is whole: half of a journal
/// would look like all of a shorter one.
pub(super) struct Unfinished {
    path: PathBuf,
    target: PathBuf,
    is_finished: bool,
}

impl Unfinished {
    /// That of `target` is `TARGET.unfinished`, which is yet to be made; nothing may be made in
    /// the folder `source`. Dropped without [`Self::finish`], it is removed.
    pub(super) fn begin(target: &Path, source: &Path) -> Result<Self, CliError> {
        refuse_used(target)?;
        let failed = |source| CliError::File {
            path: target.to_owned(),
            source,
        };
        let target = std::path::absolute(target).map_err(failed)?;
        let mut name: OsString = target
            .file_name()
            .ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?
            .to_owned();
        name.push(".unfinished");
        let path = target.with_file_name(name);
        refuse_used(&path)?;
        let unfinished = Self {
            path,
            target,
            is_finished: false,
        };
        unfinished.refuse_inside(source)?;
        Ok(unfinished)
    }

    /// Nothing may be made in the folder `source` either.
    pub(super) fn refuse_inside(&self, source: &Path) -> Result<(), CliError> {
        let path = &self.target;
        let source = fs::canonicalize(source).map_err(|source| CliError::File {
            path: path.clone(),
            source,
        })?;
        // The first folder above it that is there says where it would lie.
        let above = path.ancestors().find_map(|it| fs::canonicalize(it).ok());
        if above.is_some_and(|above| above.starts_with(&source)) {
            return Err(CliError::Inside { path: path.clone() });
        }
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves it to its place. Nothing may have it open.
    pub(super) fn finish(mut self) -> Result<(), CliError> {
        fs::rename(&self.path, &self.target)
            .and_then(|()| {
                self.is_finished = true;
                self.target.parent().map_or(Ok(()), sync)
            })
            .map_err(|source| CliError::File {
                path: self.target.clone(),
                source,
            })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            // Best effort: the next try says what is in the way.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
