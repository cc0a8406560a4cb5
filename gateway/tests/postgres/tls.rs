//! A server on another machine is one whose certificate comes from the authority that is named.

use std::fs::{Permissions, set_permissions, write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::time::Duration;

use khlong_gateway::app::postgres::{
    OptionsError, PostgresError, PostgresJournal, PostgresOptions, Tls,
};
use khlong_store::engine::memory::MemoryDisk;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::cluster::{Cluster, PASSWORD, WITHIN, open, unprivileged};
use crate::fixture::decide;
use crate::journal::sweep;

/// An authority, and what it says of `localhost`: its certificate, the server's, and its key.
fn certificates() -> (String, String, String) {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = pem("CERTIFICATE", authority.self_signed(&key).unwrap().der());
    let issuer = Issuer::new(authority, key);
    let of_server = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&of_server, &issuer).unwrap();
    let key = pem("PRIVATE KEY", &of_server.serialize_der());
    (root, pem("CERTIFICATE", server.der()), key)
}

fn pem(what: &str, bytes: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(bytes);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {what}-----\n{}\n-----END {what}-----\n",
        lines.join("\n")
    )
}

/// One that the system gives to nobody who asks for any: the server comes to it only when its folder
/// is made. Each test has a process, which looks from a place of its own on.
fn port() -> u16 {
    let begin = u16::try_from(std::process::id() % 8_000).unwrap();
    let mut ports = (begin..8_000).chain(0..begin).map(|place| 22_000 + place);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).expect("a port is free")
}

#[test]
fn only_the_server_of_the_named_authority_and_name_is_spoken_to() {
    let (root, certificate, key) = certificates();
    let folder = tempfile::tempdir().unwrap();
    set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let [certificate_file, key_file] = ["crt", "key"].map(|name| folder.path().join(name));
    write(&certificate_file, certificate).unwrap();
    write(&key_file, key).unwrap();
    set_permissions(&key_file, Permissions::from_mode(0o600)).unwrap();
    if let Some((uid, gid)) = unprivileged() {
        chown(&key_file, Some(uid), Some(gid)).unwrap();
    }
    let port = port();
    let cluster = Cluster::with(&[
        "listen_addresses=127.0.0.1",
        &format!("port={port}"),
        "ssl=on",
        &format!("ssl_cert_file={}", certificate_file.display()),
        &format!("ssl_key_file={}", key_file.display()),
    ]);
    let long = WITHIN;
    let short = Duration::from_millis(500);
    let journal = |host: &str, root: &str, within| {
        let text = format!("postgres://khlong@{host}:{port}/postgres");
        let tls = Tls::trusting(root.as_bytes());
        let options = PostgresOptions::parse(&text, Some(PASSWORD), tls, within).unwrap();
        PostgresJournal::new(options).unwrap()
    };
    let mut kernel = open(journal("localhost", &root, long), &MemoryDisk::new()).unwrap();
    decide(&mut kernel, &sweep("under TLS"));
    let sessions = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
        WHERE ssl AND application_name = 'khlong-gateway'";
    assert_eq!(cluster.sql(sessions), "1");
    // Another authority, and another name than the certificate's.
    let (other, ..) = certificates();
    for mut journal in [
        journal("localhost", &other, short),
        journal("127.0.0.1", &root, short),
    ] {
        let error = journal.tail().unwrap_err();
        assert!(
            matches!(error, PostgresError::Unreachable { .. }),
            "{error}"
        );
    }
    assert_eq!(cluster.sql(sessions), "1");
}

#[test]
fn an_authority_has_certificates_and_a_socket_needs_none() {
    let (root, ..) = certificates();
    for bad in [
        "",
        "words",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(Tls::trusting(bad.as_bytes()).is_none(), "{bad}");
    }
    let tls = Tls::trusting(root.as_bytes());
    let within = Duration::from_secs(1);
    let parsed = PostgresOptions::parse("host=/run/postgresql", None, tls.clone(), within);
    assert_eq!(parsed.err(), Some(OptionsError::SocketTls));
    PostgresOptions::parse("postgres://db.example.org/books", None, tls, within).unwrap();
}
