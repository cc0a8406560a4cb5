//! The relay's configuration.
//!
//! Defaults < file (TOML) < `KHLONG_SECTION__KEY` < flags. A key that nobody
//! knows is an error with a suggestion, a size is written with its unit, and
//! every secret can come from a file of its own (`…_file`). Paths in the file
//! are relative to the file's folder.

mod derive;
mod environment;
mod error;
mod keep;
mod secret;
mod size;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use khlong_crdt::address::{PORT_DEFAULT, RelayAddress};
use khlong_crdt::id::RelayKey;
use serde::{Deserialize, Serialize};

pub use self::environment::Environment;
pub use self::error::ConfigError;
pub use self::keep::Keep;
pub use self::secret::SecretText;
pub use self::size::{ByteSize, Count};

/// Longest token that a client can send; see `khlong_sync::limits`.
const TOKEN_BYTES_MAX: usize = khlong_sync::limits::TOKEN_BYTES_MAX;

/// Where clients reach a relay unless it is told otherwise: on Linux over IPv4 too.
pub(crate) const QUIC_DEFAULT: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), PORT_DEFAULT);

/// Everything that can be configured. `khlong-relay init` writes it with comments.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
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

/// Section `listen`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// UDP address for clients. Default `[::]:4747`, which on Linux takes IPv4 too.
    pub quic: SocketAddr,
    /// HTTP address for `/metrics` and health checks; keep it private. Default `127.0.0.1:9464`.
    pub admin: SocketAddr,
}

/// Section `relay`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// Host name or IP address by which clients reach the relay. Default `localhost`.
    pub host: String,
    /// UDP port by which clients reach it, where that is not the port of `listen.quic`.
    pub port: Option<Count>,
    /// The relay's secret key, `key_…`.
    pub key: Option<SecretText>,
    /// A file that holds it. Default `relay.key`.
    pub key_file: Option<PathBuf>,
}

/// Section `store`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// The folder of envelopes. Default `data`.
    pub folder: PathBuf,
    /// Below this much free space, writes are refused and reads go on. Default `256MiB`.
    pub reserve: ByteSize,
    /// Memory for cached blocks. Default `64MiB`.
    pub block_cache: ByteSize,
    /// Memory for one table's newest rows. Default `16MiB`.
    pub write_buffer: ByteSize,
}

/// Section `policy`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySection {
    /// Who may open timelines. Default `open`.
    pub opening: Opening,
    /// With `opening = "token"`: what a client must show, at most 64 bytes.
    pub token: Option<SecretText>,
    /// A file that holds it.
    pub token_file: Option<PathBuf>,
    /// What one timeline may store. Default `1GiB`.
    pub timeline_quota: ByteSize,
    /// With `opening = "open"`: what all timelines together may store. Default `64GiB`.
    pub open_quota: ByteSize,
    /// Timelines that one connection may open. Default 1024.
    pub openings_per_connection: Count,
    /// Timelines that may be opened in a day from one IPv4 address or IPv6 /64. Default 4096.
    pub openings_per_network_a_day: Count,
    /// Envelopes that one connection may append in a minute; a minute's worth may come at once. Default 60000.
    pub envelopes_per_minute: Count,
}

/// Who may open timelines here.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Opening {
    /// Everybody.
    Open,
    /// Whoever shows the token.
    Token,
}

/// Section `retention`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSection {
    /// How long an envelope is kept that asks to be kept. Default `keep`.
    pub default: Keep,
    /// How long any envelope is kept at most. Default `keep`.
    pub maximum: Keep,
}

/// Section `limits`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once. Default 10000.
    pub connections: Count,
    /// Connections at once from one IP address. Default 256.
    pub connections_per_address: Count,
}

/// Section `log`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or a filter such as `info,khlong_relay=debug`. Default `info`.
    pub level: String,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            quic: QUIC_DEFAULT,
            admin: SocketAddr::from(([127, 0, 0, 1], 9464)),
        }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: None,
            key: None,
            key_file: None,
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

impl Default for PolicySection {
    fn default() -> Self {
        Self {
            opening: Opening::Open,
            token: None,
            token_file: None,
            timeline_quota: ByteSize::mebibytes(1024),
            open_quota: ByteSize::mebibytes(64 * 1024),
            openings_per_connection: Count(1_024),
            openings_per_network_a_day: Count(4_096),
            envelopes_per_minute: Count(60_000),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: Count(10_000),
            connections_per_address: Count(256),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
        }
    }
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
}

impl Config {
    /// Reads the file at `path`, lays environment and flags over it, resolves
    /// paths and files of secrets, and checks what belongs together.
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
        config.relay.host = host_in_address(&config.relay.host)?;
        config.read_secrets(folder)?;
        config.check()?;
        Ok(config)
    }

    /// The port that clients are told.
    #[must_use]
    pub fn public_port(&self) -> u16 {
        let port = self.relay.port.and_then(|port| u16::try_from(port.0).ok());
        port.unwrap_or(self.listen.quic.port())
    }

    fn read_secrets(&mut self, folder: &Path) -> Result<(), ConfigError> {
        let relay = &mut self.relay;
        if relay.key.is_none() && relay.key_file.is_none() {
            relay.key_file = Some(PathBuf::from("relay.key"));
        }
        if let (None, Some(file)) = (&relay.key, &relay.key_file) {
            check_private(&folder.join(file))?;
        }
        one_of(
            &mut relay.key,
            relay.key_file.as_deref(),
            "relay.key",
            folder,
        )?;
        let policy = &mut self.policy;
        one_of(
            &mut policy.token,
            policy.token_file.as_deref(),
            "policy.token",
            folder,
        )
    }

    fn check(&self) -> Result<(), ConfigError> {
        let invalid = |key, reason: &str| {
            Err(ConfigError::Invalid {
                key,
                reason: reason.to_owned(),
            })
        };
        let token = self.policy.token.as_ref().map(SecretText::expose);
        match (self.policy.opening, token) {
            (Opening::Token, None | Some("")) => {
                return invalid(
                    "policy.token",
                    "opening = \"token\" needs a token: set token or token_file",
                );
            }
            (Opening::Open, Some(_)) => {
                return invalid(
                    "policy.token",
                    "a token has no effect while opening = \"open\": remove one of them",
                );
            }
            (Opening::Token, Some(token)) if token.len() > TOKEN_BYTES_MAX => {
                return invalid("policy.token", "a token has at most 64 bytes");
            }
            (Opening::Token, Some(_)) | (Opening::Open, None) => {}
        }
        if self
            .relay
            .port
            .is_some_and(|port| port.0 == 0 || port.0 > u64::from(u16::MAX))
        {
            return invalid("relay.port", "a port is a number from 1 to 65535");
        }
        for (key, count) in [
            (
                "policy.envelopes_per_minute",
                self.policy.envelopes_per_minute,
            ),
            (
                "policy.openings_per_connection",
                self.policy.openings_per_connection,
            ),
            (
                "policy.openings_per_network_a_day",
                self.policy.openings_per_network_a_day,
            ),
            ("limits.connections", self.limits.connections),
            (
                "limits.connections_per_address",
                self.limits.connections_per_address,
            ),
        ] {
            if count.0 == 0 || count.0 > u64::from(u32::MAX) {
                return invalid(key, "a number from 1 to 4294967295 is needed");
            }
        }
        for (key, size) in [
            ("store.block_cache", self.store.block_cache),
            ("store.write_buffer", self.store.write_buffer),
        ] {
            if usize::try_from(size.0).is_err() || size.0 < 1024 * 1024 {
                return invalid(key, "at least 1MiB is needed");
            }
        }
        Ok(())
    }
}

/// The host as it stands in the address that clients get, which they take in no other spelling.
fn host_in_address(host: &str) -> Result<String, ConfigError> {
    let anybody = RelayKey::from_bytes([0; 32]);
    match RelayAddress::new(anybody, host, PORT_DEFAULT) {
        Ok(address) => Ok(address.host),
        Err(_) => Err(ConfigError::Invalid {
            key: "relay.host",
            reason: "name the host, or its IP address without brackets, by which clients reach this relay"
                .to_owned(),
        }),
    }
}

/// As ssh does with its keys. A file that cannot be looked at is told by who reads it.
#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), ConfigError> {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(());
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(ConfigError::KeyFileOpen {
        path: path.to_path_buf(),
        mode,
    })
}

#[cfg(not(unix))]
fn check_private(_path: &Path) -> Result<(), ConfigError> {
    Ok(())
}

/// A secret stands in its key or in the file beside it, never in both.
fn one_of(
    value: &mut Option<SecretText>,
    file: Option<&Path>,
    key: &'static str,
    folder: &Path,
) -> Result<(), ConfigError> {
    let Some(file) = file else { return Ok(()) };
    if value.is_some() {
        return Err(ConfigError::Invalid {
            key,
            reason: format!("set either {key} or {key}_file, not both"),
        });
    }
    let path = folder.join(file);
    let mut text = std::fs::read_to_string(&path).map_err(|source| ConfigError::SecretFile {
        key,
        path,
        source,
    })?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    *value = Some(text.into());
    Ok(())
}
