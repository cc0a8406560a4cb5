//! The relay's configuration.
//!
//! Defaults < file (TOML) < `KHLONG_SECTION__KEY` < flags. A key that nobody
//! knows is an error with a suggestion, a size is written with its unit, and
//! every secret can come from a file of its own (`…_file`). Paths in the file
//! are relative to the file's folder.

mod check;
mod derive;
mod environment;
mod error;
mod keep;
mod layers;
pub mod schema;
mod secret;
mod section;
mod size;

use std::net::SocketAddr;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::environment::Environment;
pub use self::error::ConfigError;
pub use self::keep::Keep;
pub use self::layers::{Layers, Origin};
pub use self::secret::SecretText;
pub(crate) use self::section::QUIC_DEFAULT;
pub use self::section::{
    Identity, Limits, Listen, Log, LogFormat, Opening, PolicySection, RetentionSection,
    StoreSection,
};
pub use self::size::{ByteSize, Count};

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

    /// The port that clients are told.
    #[must_use]
    pub fn public_port(&self) -> u16 {
        let port = self.relay.port.and_then(|port| u16::try_from(port.0).ok());
        port.unwrap_or(self.listen.quic.port())
    }
}
