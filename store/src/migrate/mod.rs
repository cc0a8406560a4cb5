//! Schema version and migrations.
//!
//! The schema of a folder is a number in table `meta`. Opening runs, in order,
//! every migration above it. A migration works in pieces, each one synced batch
//! that also holds the new number and, unless it is the last piece, the key where
//! to go on: however it is interrupted, each row is rewritten once. A folder with
//! a higher number than this release knows is refused, never guessed at; that
//! begins with the first piece, since a release before could not read what it wrote.

mod receipts;

use crate::batch::Batch;
use crate::engine::{Durability, Engine};
use crate::error::StoreError;
use crate::identity::{META_MIGRATING, META_SCHEMA};
use crate::key::{Decoder, Encoder};
use crate::rows::{Committed, Rows as _};
use crate::table::Table;

/// The schema that this release writes.
pub const SCHEMA: u32 = 2;

/// The migrations of this release, oldest first. Schema 1 was the first, so
/// nothing leads to it.
pub const MIGRATIONS: &[Migration] = &[Migration {
    to: 2,
    description: "stored receipts get their place for each envelope",
    run: receipts::place,
}];

/// One step from schema `to - 1` to schema `to`.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The schema after it.
    pub to: u32,
    /// What it does, for the log.
    pub description: &'static str,
    /// Rewrites rows from a key on (empty: from the first), as many as surely fit
    /// in the batch; commits nothing itself.
    pub run: fn(&mut Batch<'_>, &[u8]) -> Result<Progress, StoreError>,
}

/// How far a piece of a migration came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left.
    Done,
    /// The next piece begins at this key.
    From(Vec<u8>),
}

/// Brings `engine` to schema `target` by `migrations`. A folder without a schema
/// is new and gets `target` at once. Returns the schema found before.
///
/// # Errors
/// [`StoreError::SchemaTooNew`], [`StoreError::MigrationMissing`], or what a
/// migration met.
pub fn migrate(
    engine: &mut dyn Engine,
    migrations: &[Migration],
    target: u32,
) -> Result<Option<u32>, StoreError> {
    let found = check(engine, target)?;
    let Some(latest) = found else {
        let mut batch = Batch::over(engine);
        write(&mut batch, target)?;
        let writes = batch.into_writes();
        engine.commit(&writes, Durability::Synced)?;
        return Ok(None);
    };
    let mut unfinished = Committed(engine).get(Table::Meta, META_MIGRATING)?;
    let mut schema = latest.saturating_sub(u32::from(unfinished.is_some()));
    while schema < target {
        let next = migrations
            .iter()
            .find(|migration| migration.to == schema + 1)
            .ok_or(StoreError::MigrationMissing {
                from: schema,
                to: target,
            })?;
        tracing::info!(
            to = next.to,
            description = next.description,
            "migrating the folder"
        );
        run(engine, next, unfinished.take().unwrap_or_default())?;
        schema = next.to;
    }
    Ok(found)
}

/// Whether what `engine` holds can be brought to schema `target`; writes nothing. Returns
/// the schema found, as [`read`].
///
/// # Errors
/// [`StoreError::SchemaTooNew`], or those of [`read`].
pub fn check(engine: &dyn Engine, target: u32) -> Result<Option<u32>, StoreError> {
    let found = read(engine)?;
    match found {
        Some(found) if found > target => Err(StoreError::SchemaTooNew {
            found,
            supported: target,
        }),
        Some(_) | None => Ok(found),
    }
}

fn run(
    engine: &mut dyn Engine,
    migration: &Migration,
    mut from: Vec<u8>,
) -> Result<(), StoreError> {
    loop {
        let mut batch = Batch::over(engine);
        let progress = (migration.run)(&mut batch, &from)?;
        match &progress {
            Progress::Done => batch.delete(Table::Meta, META_MIGRATING.to_vec())?,
            Progress::From(next) => {
                assert!(*next > from, "a migration moves on");
                batch.put(Table::Meta, META_MIGRATING.to_vec(), next.clone())?;
            }
        }
        write(&mut batch, migration.to)?;
        let writes = batch.into_writes();
        engine.commit(&writes, Durability::Synced)?;
        match progress {
            Progress::Done => return Ok(()),
            Progress::From(next) => from = next,
        }
    }
}

/// The schema of what `engine` holds, or, while a migration is unfinished, of
/// what it becomes; `None` = nothing yet.
///
/// # Errors
/// From the engine, or [`StoreError::Corrupt`].
pub fn read(engine: &dyn Engine) -> Result<Option<u32>, StoreError> {
    let Some(bytes) = Committed(engine).get(Table::Meta, META_SCHEMA)? else {
        return Ok(None);
    };
    let mut fields = Decoder::new(&bytes);
    let schema = fields.u32().filter(|_| fields.end().is_some());
    schema
        .map(Some)
        .ok_or_else(|| StoreError::corrupt(Table::Meta, META_SCHEMA, "not a schema version"))
}

fn write(batch: &mut Batch<'_>, schema: u32) -> Result<(), StoreError> {
    batch.put(
        Table::Meta,
        META_SCHEMA.to_vec(),
        Encoder::new().u32(schema).finish(),
    )
}
