//! The sections of the file: what each key is, and its default.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use khlong_crdt::address::PORT_DEFAULT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByteSize, Count, Keep, SecretText};

/// Where clients reach a relay unless it is told otherwise: on Linux over IPv4 too.
pub(crate) const QUIC_DEFAULT: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), PORT_DEFAULT);

/// Section `listen`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// UDP address for clients. Default `[::]:4747`, which on Linux takes IPv4 too.
    pub quic: SocketAddr,
    /// HTTP address for `/metrics` and health checks; keep it private. Default `127.0.0.1:9464`.
    pub admin: SocketAddr,
}

/// Section `relay`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// Host name or IP address by which clients reach the relay. Default `localhost`.
    pub host: String,
    /// UDP port by which clients reach it, where that is not the port of `listen.quic`.
    #[schemars(with = "Count", range(min = 1, max = 65535))]
    pub port: Option<Count>,
    /// The relay's secret key, `key_…`.
    #[serde(skip_serializing)]
    #[schemars(with = "SecretText")]
    pub key: Option<SecretText>,
    /// A file that holds it. Default `relay.key`.
    #[schemars(with = "PathBuf")]
    pub key_file: Option<PathBuf>,
}

/// Section `policy`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySection {
    /// Who may open timelines. Default `open`.
    pub opening: Opening,
    /// With `opening = "token"`: what a client must show, at most 64 bytes.
    #[serde(skip_serializing)]
    #[schemars(with = "SecretText")]
    pub token: Option<SecretText>,
    /// A file that holds it.
    #[schemars(with = "PathBuf")]
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
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Opening {
    /// Everybody.
    Open,
    /// Whoever shows the token.
    Token,
}

/// Section `retention`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSection {
    /// How long an envelope is kept that asks to be kept. Default `keep`.
    pub default: Keep,
    /// How long any envelope is kept at most. Default `keep`.
    pub maximum: Keep,
}

/// Section `limits`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once. Default 10000.
    pub connections: Count,
    /// Connections at once from one IP address. Default 256.
    pub connections_per_address: Count,
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
