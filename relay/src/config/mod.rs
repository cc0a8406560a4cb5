//! The relay's configuration.
//!
//! Its layers are those of [`khlong_settings`]; here is which keys there are, what they mean together,
//! and what the parts of the relay get out of them.

mod check;
mod derive;
mod keep;
mod secrets;
mod section;

use std::net::SocketAddr;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use khlong_settings::{
    ByteSize, ConfigError, Count, Environment, Layers, Log, LogFormat, SecretText, StoreSection,
};

pub use self::keep::Keep;
pub(crate) use self::section::QUIC_DEFAULT;
pub use self::section::{Identity, Limits, Listen, Opening, PolicySection, RetentionSection};

/// Everything that can be configured. `khlong-relay init` writes it with comments. Secrets
/// are not serialised.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "relay.toml of khlong-relay")]
pub struct Config {
    /// Where clients and operators reach the relay.
    pub listen: Listen,
    /// Its identity.
    pub relay: Identity,
    /// Its folder.
    pub store: StoreSection,
    /// Who may do what.
    pub policy: PolicySection,
    /// How long bodies are kept.
    pub retention: RetentionSection,
    /// How much at once.
    pub limits: Limits,
    /// What it says about itself.
    pub log: Log,
}

/// What the command line says; it wins over everything else.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Flags {
    /// Over `listen`.
    pub listen: ListenFlags,
    /// Over `log`.
    pub log: LogFlags,
}

/// Flags over section `listen`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ListenFlags {
    /// Over `listen.quic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quic: Option<SocketAddr>,
    /// Over `listen.admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<SocketAddr>,
}

/// Flags over section `log`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LogFlags {
    /// Over `log.level`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Over `log.format`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<LogFormat>,
}

impl Config {
    /// Reads the file at `path`, lays environment and flags over it, resolves
    /// paths and files of secrets, and checks what belongs together.
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

    /// What the layers say together, with paths and files of secrets resolved and checked.
    ///
    /// # Errors
    /// [`ConfigError`]; every one says which key.
    pub fn of(layers: &Layers) -> Result<Self, ConfigError> {
        let mut config: Self = layers.extract()?;
        config.store.resolve(layers.folder());
        config.relay.host = check::host_in_address(&config.relay.host)?;
        config.read_secrets(layers.folder())?;
        config.check()?;
        Ok(config)
    }

    /// The port that clients are told.
    #[must_use]
    pub fn public_port(&self) -> u16 {
        let port = self.relay.port.and_then(|port| u16::try_from(port.0).ok());
        port.unwrap_or(self.listen.quic.port())
    }
}
