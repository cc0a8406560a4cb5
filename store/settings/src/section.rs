//! Sections that all programs have.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use khlong_store::engine::rocks::RocksOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByteSize, ConfigError};

/// The least of a cache or a buffer.
const MEMORY_MIN: ByteSize = ByteSize::mebibytes(1);

/// Section `store`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// The folder of the data. Default `data`.
    pub folder: PathBuf,
    /// Below this much free space, writes are refused and reads go on. Default `256MiB`.
    pub reserve: ByteSize,
    /// Memory for cached blocks. Default `64MiB`.
    pub block_cache: ByteSize,
    /// Memory for one table's newest rows. Default `16MiB`.
    pub write_buffer: ByteSize,
}

impl StoreSection {
    /// Its folder is relative to this one.
    pub fn resolve(&mut self, folder: &Path) {
        self.folder = folder.join(&self.folder);
    }

    /// Whether a store can be opened with these sizes.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check(&self) -> Result<(), ConfigError> {
        for (key, size) in [
            ("store.block_cache", self.block_cache),
            ("store.write_buffer", self.write_buffer),
        ] {
            if usize::try_from(size.0).is_err() || size < MEMORY_MIN {
                let wanted = format!("at least {MEMORY_MIN} is needed");
                return Err(ConfigError::value(key, wanted));
            }
        }
        Ok(())
    }

    /// Sizes of the store.
    #[must_use]
    pub fn rocks_options(&self) -> RocksOptions {
        let bytes = |size: ByteSize| usize::try_from(size.0).unwrap_or(usize::MAX);
        RocksOptions {
            write_buffer_bytes: bytes(self.write_buffer),
            block_cache_bytes: bytes(self.block_cache),
            reserve_bytes: self.reserve.0,
        }
    }
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("data"),
            reserve: ByteSize::mebibytes(256),
            block_cache: ByteSize::mebibytes(64),
            write_buffer: ByteSize::mebibytes(16),
        }
    }
}

/// Section `log`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or a filter such as `info,khlong_store=debug`. A level
    /// alone is one of Khlong's own parts. Default `info`.
    pub level: String,
    /// `text` for people, `json` for programs: one object a line. Default `text`.
    pub format: LogFormat,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, ValueEnum, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}
