//! The sections of the file: what each key is, and its default.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Count, Days, SecretText};
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
    pub retry_seconds: Count,
}

/// Section `limits`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once. Default 256.
    #[schemars(range(min = 1, max = 65536))]
    pub connections: Count,
    /// Requests that may wait to be decided; at most 1,024. Default 256.
    #[schemars(range(min = 1, max = 1024))]
    pub queue: Count,
    /// Requests of each key in a minute; a minute's worth may come at once. Default 6,000.
    pub requests_per_minute: Count,
}

/// Section `idempotency`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Idempotency {
    /// How long a key stands for its request. Default `30d`.
    pub keep: Days,
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

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 8474)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9465)),
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
            retry_seconds: Count(30),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: Count(CONNECTIONS_DEFAULT as u64),
            queue: Count(QUEUE_DEFAULT as u64),
            requests_per_minute: Count(u64::from(REQUESTS_PER_MINUTE_DEFAULT)),
        }
    }
}

impl Default for Idempotency {
    fn default() -> Self {
        Self { keep: Days(30) }
    }
}
