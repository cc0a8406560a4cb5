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
mod layers;
pub mod schema;
mod section;
mod targets;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::limits::KEYS_MAX;

pub use self::environment::Environment;
pub use self::error::ConfigError;
pub use self::example::example;
pub use self::layers::{Layers, Origin};
pub use self::section::{
    Idempotency, JournalSection, KeySection, Limits, Listen, Log, LogFormat, OutboxSection,
    SecretText, StoreSection, TargetSection,
};

/// Everything that can be configured. Secrets are not serialised.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "gateway.toml of khlong-gateway")]
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
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9_-]{1,64}$" }, "maxProperties" = KEYS_MAX))]
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
    /// Over `listen.admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<SocketAddr>,
}

impl Config {
    /// Reads the file at `path`, lays environment and flags over it, resolves paths, and checks
    /// what belongs together.
    ///
    /// # Errors
    /// [`ConfigError`]; every one says which key.
    pub fn load(path: &Path, environment: Environment, flags: &Flags) -> Result<Self, ConfigError> {
        Layers::read(path, environment, flags)?.config()
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
        Layers::of(text, folder, environment, flags).config()
    }
}
