//! The sections of the file: what each key is, and its default.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::app::limits::QUEUE_DEFAULT;
use crate::http::Role;
use crate::http::limits::{CONNECTIONS_DEFAULT, REQUESTS_PER_MINUTE_DEFAULT};

/// Section `listen`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// TCP address of HTTP. There is no TLS: beyond this machine, put a proxy with TLS in
    /// front. Default `127.0.0.1:8474`.
    pub http: SocketAddr,
    /// HTTP address for `/metrics` and health checks; keep it private. Default `127.0.0.1:9465`.
    pub admin: SocketAddr,
}

/// Section `store`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// The folder of the journal and the books. Default `data`.
    pub folder: PathBuf,
    /// Below this much free space writes are refused and reads go on. Default 256.
    pub reserve_mib: u32,
    /// Memory for cached blocks. Default 64.
    #[schemars(range(min = 1, max = 1048576))]
    pub block_cache_mib: u32,
    /// Memory for one table's newest rows. Default 16.
    #[schemars(range(min = 1, max = 4096))]
    pub write_buffer_mib: u32,
}

/// Section `journal`: without `postgres` the journal lies in the folder.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JournalSection {
    /// The database of PostgreSQL in which the journal lies, as a connection string without a
    /// password: `postgres://USER@HOST:PORT/DATABASE`, or `host=/run/postgresql dbname=DATABASE`.
    #[serde(skip_serializing)]
    #[schemars(with = "SecretText")]
    pub postgres: Option<SecretText>,
    /// The password of its user.
    #[serde(skip_serializing)]
    #[schemars(with = "SecretText")]
    pub password: Option<SecretText>,
    /// A file that holds it.
    #[schemars(with = "PathBuf")]
    pub password_file: Option<PathBuf>,
    /// The certificates (PEM) of whom the database's own has to come from. With it the
    /// connection is under TLS; on another machine it is needed.
    #[schemars(with = "PathBuf")]
    pub ca_file: Option<PathBuf>,
    /// How long a database that does not answer is tried again before the gateway ends; at most
    /// 600. Default 30.
    #[schemars(range(min = 1, max = 600))]
    pub retry_seconds: u32,
}

/// Section `limits`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once. Default 256.
    #[schemars(range(min = 1, max = 65536))]
    pub connections: usize,
    /// Requests that may wait to be decided; at most 1,024. Default 256.
    #[schemars(range(min = 1, max = 1024))]
    pub queue: usize,
    /// Requests of each key in a minute; a minute's worth may come at once. Default 6,000.
    #[schemars(range(min = 1))]
    pub requests_per_minute: u32,
}

/// Section `idempotency`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Idempotency {
    /// How long a key stands for its request. Default 30.
    #[schemars(range(min = 1, max = 36500))]
    pub keep_days: u32,
}

/// Section `log`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or a filter such as `info,khlong_gateway=debug`. A
    /// level alone is one of Khlong's own parts. Default `info`.
    pub level: String,
    /// `text` for people, `json` for programs: one object a line. Default `text`.
    pub format: LogFormat,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// A section `keys.NAME`: exactly one of `hash`, `secret` and `secret_file`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySection {
    /// What it may do: `reader`, `writer`, `operator` or `admin`, each also what those before it may.
    pub role: Role,
    /// BLAKE3 of the secret, in hexadecimal: what `b3sum` prints.
    #[serde(default, skip_serializing)]
    #[schemars(with = "String", regex(pattern = "^[0-9a-fA-F]{64}$"))]
    pub hash: Option<String>,
    /// The secret itself.
    #[serde(default, skip_serializing)]
    #[schemars(with = "SecretText")]
    pub secret: Option<SecretText>,
    /// A file that holds it.
    #[serde(default)]
    #[schemars(with = "PathBuf")]
    pub secret_file: Option<PathBuf>,
}

/// Section `outbox`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutboxSection {
    /// Where notices go: sections `[[outbox.target]]`.
    #[schemars(length(max = 16))]
    pub target: Vec<TargetSection>,
}

/// A section `outbox.target`: exactly one of `secret` and `secret_file`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetSection {
    /// Names it for people; each its own, of 1 to 64 letters, digits, - and _.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,64}$"))]
    pub name: String,
    /// Its address, `https://HOST/PATH`, which is no secret; plain HTTP is for a network that you trust.
    pub url: String,
    /// What it wants to hear of, such as `books.day_closed`.
    #[schemars(length(min = 1))]
    pub topics: Vec<String>,
    /// What signs for it: `whsec_` and 24 to 64 bytes in Base64 (Standard Webhooks).
    #[serde(default, skip_serializing)]
    #[schemars(with = "SecretText")]
    pub secret: Option<SecretText>,
    /// A file that holds it.
    #[serde(default)]
    #[schemars(with = "PathBuf")]
    pub secret_file: Option<PathBuf>,
    /// Certificates by which it is believed, PEM. Default: those that the system trusts.
    #[serde(default)]
    #[schemars(with = "PathBuf")]
    pub ca_file: Option<PathBuf>,
}

/// Text that is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// The text. Named so that each place that shows it is found by its name.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 8474)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9465)),
        }
    }
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("data"),
            reserve_mib: 256,
            block_cache_mib: 64,
            write_buffer_mib: 16,
        }
    }
}

impl Default for JournalSection {
    fn default() -> Self {
        Self {
            postgres: None,
            password: None,
            password_file: None,
            ca_file: None,
            retry_seconds: 30,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_DEFAULT,
            queue: QUEUE_DEFAULT,
            requests_per_minute: REQUESTS_PER_MINUTE_DEFAULT,
        }
    }
}

impl Default for Idempotency {
    fn default() -> Self {
        Self { keep_days: 30 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}
