//! The gateway's configuration.
//!
//! Its layers are those of [`khlong_settings`]; here is which keys there are, what they mean together,
//! and what the parts of the gateway get out of them.

mod check;
mod derive;
mod example;
mod journal;
mod section;
mod targets;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::limits::KEYS_MAX;

pub use khlong_settings::{
    ByteSize, ConfigError, Count, Days, Environment, Layers, Log, SecretText, StoreSection,
};

pub use self::example::example;
pub use self::section::{
    Idempotency, JournalSection, KeySection, Limits, Listen, OutboxSection, TargetSection,
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
        Self::of(&Layers::read(path, environment, flags)?)
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
        Self::of(&Layers::of(text, folder, environment, flags))
    }

    /// What the layers say together, with paths resolved and checked. Files of secrets are read by
    /// [`Self::options`].
    ///
    /// # Errors
    /// [`ConfigError`]; every one says which key.
    pub fn of(layers: &Layers) -> Result<Self, ConfigError> {
        let mut config: Self = layers.extract()?;
        config.resolve(layers.folder());
        config.check()?;
        Ok(config)
    }

    /// Relative paths start from `folder`.
    fn resolve(&mut self, folder: &Path) {
        self.store.resolve(folder);
        let journal = &mut self.journal;
        let mut files = vec![&mut journal.password_file, &mut journal.ca_file];
        files.extend(self.keys.values_mut().map(|key| &mut key.secret_file));
        for target in &mut self.outbox.target {
            files.extend([&mut target.secret_file, &mut target.ca_file]);
        }
        for file in files {
            *file = file.as_ref().map(|file| folder.join(file));
        }
    }
}
