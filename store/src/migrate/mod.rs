//! Schema version and migrations.
//!
//! The schema of a folder is a number in table `meta`. Opening runs, in order,
//! every migration above it; each is one synced batch together with the new
//! number, so it happens once or not at all. A folder with a higher number than
//! this release knows is refused, never guessed at. A migration that would not
//! fit in one batch is written as several steps, each with its own number.

use crate::batch::Batch;
use crate::engine::{Durability, Engine};
use crate::error::StoreError;
use crate::identity::META_SCHEMA;
use crate::key::{Decoder, Encoder};
use crate::rows::{Committed, Rows as _};
use crate::table::Table;

/// The schema that this release writes.
pub const SCHEMA: u32 = 1;

/// The migrations of this release, oldest first. Schema 1 is the first, so
/// nothing leads to it yet.
pub const MIGRATIONS: &[Migration] = &[];

/// One step from schema `to - 1` to schema `to`.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The schema after it.
    pub to: u32,
    /// What it does, for the log.
    pub description: &'static str,
    /// Rewrites rows; commits nothing itself.
    pub run: fn(&mut Batch<'_>) -> Result<(), StoreError>,
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
    let found = read(engine)?;
    let Some(mut schema) = found else {
        let mut batch = Batch::over(engine);
        write(&mut batch, target)?;
        let writes = batch.into_writes();
        engine.commit(&writes, Durability::Synced)?;
        return Ok(None);
    };
    if schema > target {
        return Err(StoreError::SchemaTooNew {
            found: schema,
            supported: target,
        });
    }
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
        let mut batch = Batch::over(engine);
        (next.run)(&mut batch)?;
        write(&mut batch, next.to)?;
        let writes = batch.into_writes();
        engine.commit(&writes, Durability::Synced)?;
        schema = next.to;
    }
    Ok(found)
}

/// The schema of what `engine` holds; `None` = nothing yet.
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
