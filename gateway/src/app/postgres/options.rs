//! Where the journal's database is, and how long it is waited for.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};

use super::tls::Tls;
use super::watch::Watch;

/// How long a database that does not answer is tried again. Default 30 seconds.
pub const WITHIN_DEFAULT: Duration = Duration::from_secs(30);

/// What it is called in the server's list of sessions.
const APPLICATION_NAME: &str = "khlong-gateway";

const PORT_DEFAULT: u16 = 5432;

/// What is wrong with a description of a database. It is not repeated: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Not in the form of libpq.
    #[error(
        "a connection string is needed, as postgres://USER@HOST:PORT/DATABASE or host=/run/postgresql dbname=DATABASE user=USER"
    )]
    Form,
    /// Whoever may read the configuration would have it.
    #[error("has a password in it; put it into the file of journal.password_file")]
    Password,
    /// Of several servers each may take another to be the first.
    #[error(
        "one host is needed: the one that takes writes, under a name that moves with that right"
    )]
    Hosts,
    /// What is sent is readable on the way.
    #[error(
        "the host is another machine: set journal.ca_file to the certificate of its authority (PEM), so that nobody between reads or answers"
    )]
    Open,
    /// Asks for TLS and does not say whom to trust.
    #[error("asks for TLS: set journal.ca_file to the certificate of the server's authority (PEM)")]
    Trust,
    /// Settings that would be taken and not obeyed.
    #[error(
        "connect_timeout, tcp_user_timeout, keepalives_*, target_session_attrs and sslnegotiation have no effect here: leave them out (journal.retry_seconds is the limit)"
    )]
    NoEffect,
    /// Nobody but this machine is on the other end of a socket.
    #[error("a socket of this machine has no TLS; leave journal.ca_file out")]
    SocketTls,
}

/// One database of PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    pub(super) server: Config,
    pub(super) place: Place,
    pub(super) tls: Option<Tls>,
    pub(super) within: Duration,
    pub(super) watch: Watch,
}

/// Where its server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(String, u16),
    Socket(PathBuf),
}

impl PostgresOptions {
    /// From a connection string of libpq without a password; `tls` says whom to trust on
    /// another machine, `within` how long a database that does not answer is tried again.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn parse(
        text: &str,
        password: Option<&str>,
        tls: Option<Tls>,
        within: Duration,
    ) -> Result<Self, OptionsError> {
        let mut server: Config = text.parse().map_err(|_| OptionsError::Form)?;
        if server.get_password().is_some() {
            return Err(OptionsError::Password);
        }
        if has_more(&server) {
            return Err(OptionsError::NoEffect);
        }
        if let Some(password) = password {
            server.password(password);
        }
        if server.get_application_name().is_none() {
            server.application_name(APPLICATION_NAME);
        }
        let place = place(&server)?;
        let is_here = match &place {
            Place::Tcp(host, _) => is_loopback(host),
            Place::Socket(_) if tls.is_some() => return Err(OptionsError::SocketTls),
            Place::Socket(_) => true,
        };
        match (&tls, is_here, server.get_ssl_mode()) {
            (Some(_), ..) => server.ssl_mode(SslMode::Require),
            (None, false, _) => return Err(OptionsError::Open),
            (None, true, SslMode::Require) => return Err(OptionsError::Trust),
            (None, true, _) => server.ssl_mode(SslMode::Disable),
        };
        Ok(Self {
            server,
            place,
            tls,
            within,
            watch: Watch::default(),
        })
    }

    /// How it goes with the journals of these options and their clones, and the way to stop them.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }
}

/// Whether it has settings that only the client's own way to connect obeys.
fn has_more(server: &Config) -> bool {
    server.get_connect_timeout().is_some()
        || server.get_tcp_user_timeout().is_some()
        || server.get_keepalives_interval().is_some()
        || server.get_keepalives_retries().is_some()
        || server.get_target_session_attrs() != TargetSessionAttrs::Any
        || server.get_ssl_negotiation() != SslNegotiation::Postgres
}

fn place(server: &Config) -> Result<Place, OptionsError> {
    let ([host], [], [] | [_]) = (
        server.get_hosts(),
        server.get_hostaddrs(),
        server.get_ports(),
    ) else {
        return Err(OptionsError::Hosts);
    };
    let port = server.get_ports().first().copied().unwrap_or(PORT_DEFAULT);
    Ok(match host {
        Host::Tcp(name) => Place::Tcp(name.clone(), port),
        Host::Unix(folder) => Place::Socket(folder.join(format!(".s.PGSQL.{port}"))),
    })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
