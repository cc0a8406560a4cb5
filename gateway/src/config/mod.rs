//! The gateway's configuration.
//!
//! Defaults < file (TOML) < `KHLONG_SECTION__KEY` < flags. A key that nobody knows is an error
//! with a suggestion, units are in the names, and every secret can come from a file of its own
//! (`…_file`). Paths in the file are relative to the file's folder.

mod check;
mod environment;
mod error;
mod example;
mod journal;
mod section;
mod targets;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

pub use self::environment::Environment;
pub use self::error::ConfigError;
pub use self::example::example;
pub use self::section::{
    Idempotency, JournalSection, KeySection, Limits, Listen, Log, LogFormat, OutboxSection,
    SecretText, StoreSection, TargetSection,
};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it is reached.
    pub listen: Listen,
    /// Its folder.
    pub store: StoreSection,
    /// Where its journal lies.
    pub journal: JournalSection,
    /// How much at once.
    pub limits: Limits,
    /// How long a retry is known for one.
    pub idempotency: Idempotency,
    /// What it says about itself.
    pub log: Log,
    /// Where goes what is told to the outside.
    pub outbox: OutboxSection,
    /// Who may ask for what, by name.
    pub keys: BTreeMap<String, KeySection>,
}

/// What the command line says; it wins over everything else.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Flags {
    /// Over `listen`.
    pub listen: ListenFlags,
}

/// Flags over section `listen`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ListenFlags {
    /// Over `listen.http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
}

impl Config {
    /// Reads the file at `path`, lays environment and flags over it, resolves paths, and checks
    /// what belongs together.
    ///
    /// # Errors
    /// [`ConfigError`]; every one says which key.
    pub fn load(path: &Path, environment: Environment, flags: &Flags) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        Self::parse(&text, folder, environment, flags)
    }

    /// The same from text; `folder` is what relative paths start from.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(
        text: &str,
        folder: &Path,
        environment: Environment,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let mut config: Self = Figment::new()
            .merge(Toml::string(text))
            .merge(environment)
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| ConfigError::from_figment(&error))?;
        config.store.folder = folder.join(&config.store.folder);
        for file in [
            &mut config.journal.password_file,
            &mut config.journal.ca_file,
        ] {
            *file = file.as_ref().map(|file| folder.join(file));
        }
        for key in config.keys.values_mut() {
            key.secret_file = key.secret_file.as_ref().map(|file| folder.join(file));
        }
        for target in &mut config.outbox.target {
            for file in [&mut target.secret_file, &mut target.ca_file] {
                *file = file.as_ref().map(|file| folder.join(file));
            }
        }
        config.check()?;
        Ok(config)
    }
}
