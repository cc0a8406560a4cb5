//! What an operator writes, asks and brings along: the configuration, requests to the
//! operators' address, a backup.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use khlong_relay::backup::{self, Restore};
use khlong_relay::config::{Config, Environment, Flags, SecretText};
use khlong_relay::identity;
use khlong_store::backup::{MANIFEST_FILE, MANIFEST_SUM_FILE};
use khlong_store::engine::rocks::RocksOptions;

use crate::fuzzing::fuzz;
use crate::support::operator::{Home, data};
use crate::support::served::{Relay, options};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);
const KEY: &str = "key_of the relay";

fuzz!(fuzz_config, 500, configs(), config());

fn configs() -> Vec<Vec<u8>> {
    let full = r#"
[listen]
quic = "[::]:4747"
admin = "127.0.0.1:9747"
[relay]
host = "bkk.example.net"
port = 4747
[store]
reserve = "256MiB"
write_buffer = "64MiB"
[policy]
opening = "token"
token = "of the operator"
timeline_quota = "1GiB"
[retention]
change = "90d"
[log]
level = "info"
format = "json"
"#;
    let sections = full.split('[').skip(1).map(|section| format!("[{section}"));
    let mut texts: Vec<Vec<u8>> = sections.map(String::into_bytes).collect();
    texts.push(full.as_bytes().to_vec());
    texts.push(Vec::new());
    texts
}

/// A configuration, or an error that says which key; secrets stand in neither.
fn config() -> impl Fn(&[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("relay.key");
    std::fs::write(&key, KEY).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, private).unwrap();
    move |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        let parse = || {
            let environment = Environment::from_pairs(std::iter::empty());
            Config::parse(text, folder.path(), environment, &Flags::default())
        };
        let shown = match parse() {
            Ok(config) => {
                assert_eq!(parse().unwrap(), config, "the same twice");
                assert!(config.store.folder.starts_with(folder.path()) || text.contains("folder"));
                if let Some(key) = config.relay.key.as_ref().map(SecretText::expose) {
                    assert!(identity::parse(key).is_err(), "nobody's key");
                }
                format!("{config:?}")
            }
            Err(error) => error.to_string(),
        };
        assert!(!shown.contains(KEY));
    }
}

fuzz!(fuzz_http, 80, requests(), http());

fn requests() -> Vec<Vec<u8>> {
    let requests = [
        "GET /livez HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n",
        "GET /readyz HTTP/1.1\r\nHost: relay\r\n\r\nGET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n",
        "POST /checkpoint HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer 00\r\n\
         Content-Length: 2\r\n\r\n{}",
        "POST /checkpoint HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\n{}\r\n0\r\n\r\n",
    ];
    requests.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// A served relay. Nobody shows the operator's token, so nothing is ever made.
fn http() -> impl Fn(&[u8]) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let relay = runtime.block_on(Relay::start(options(folder.path())));
    move |bytes| {
        // All of both, or they end here.
        let (_runtime, relay) = (&runtime, &relay);
        let mut stream = connect(relay.admin);
        // It may close before it has read everything. Who sends no more gets no answer to a
        // request that is not whole, and nobody waits for the rest of it.
        if stream.write_all(bytes).is_ok() && stream.shutdown(Shutdown::Write).is_ok() {
            let answer = rest_of(&mut stream);
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."));
        }
        assert!(!folder.path().join("BACKUP").exists());
        let mut stream = connect(relay.admin);
        stream.write_all(&requests()[0]).unwrap();
        let alive = rest_of(&mut stream);
        assert!(alive.ends_with(b"ok\n"), "{alive:?}");
    }
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything that comes until the other side closes or breaks the connection off.
fn rest_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fuzz!(fuzz_manifest, 25, manifest());

fn backed_up() -> (Home, PathBuf) {
    let home = Home::init();
    let target = home.path("backup");
    data(&home.backup("create", &target));
    (home, target)
}

fn manifests(backup: &Path) -> Vec<Vec<u8>> {
    let genuine = std::fs::read_to_string(backup.join(MANIFEST_FILE)).unwrap();
    // Every file ten times as long and more; another checksum; a file elsewhere.
    let longer = genuine.replace("\"bytes\": ", "\"bytes\": 1");
    let other = genuine.replace("\"blake3\": \"", "\"blake3\": \"0");
    let outside = genuine.replace("\"store/", "\"../");
    assert!(
        [&longer, &other, &outside]
            .iter()
            .all(|text| **text != genuine)
    );
    [genuine, longer, other, outside]
        .map(String::into_bytes)
        .to_vec()
}

/// With a right checksum: a list that anybody could have written.
fn manifest() -> (Vec<Vec<u8>>, impl Fn(&[u8])) {
    let (home, backup) = backed_up();
    let genuine = std::fs::read(backup.join(MANIFEST_FILE)).unwrap();
    let seeds = manifests(&backup);
    let property = move |bytes: &[u8]| {
        let _home = &home;
        write_manifest(&backup, bytes);
        let verified = backup::verify(&backup);
        // The same list to whoever reads it, and not to its checksum.
        std::fs::write(backup.join(MANIFEST_FILE), [bytes, b"\n"].concat()).unwrap();
        assert!(backup::verify(&backup).is_err());
        write_manifest(&backup, bytes);

        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("store");
        let relay = verified
            .as_ref()
            .ok()
            .and_then(|list| list.owner.relay.parse().ok());
        let restored = backup::restore(&Restore {
            backup: &backup,
            folder: &folder,
            relay: relay
                .unwrap_or_else(|| identity::public(&crate::support::virtual_world::relay_key())),
            other_key: true,
            sizes: small(),
            epoch: u32::MAX - 1,
        });
        if let Ok((list, identity)) = &restored {
            assert_eq!(*list, verified.unwrap());
            assert!(identity.epoch > list.log_epoch);
            for (path, entry) in &list.files {
                let file = std::fs::read(backup.join(path)).unwrap();
                assert_eq!(file.len() as u64, entry.bytes);
                assert_eq!(blake3::hash(&file).to_hex().as_str(), entry.blake3);
            }
        } else {
            assert!(!folder.join("db").exists(), "no relay is made of it");
        }
        assert!(std::fs::read_dir(place.path()).unwrap().count() <= 1);
        if bytes == genuine {
            restored.unwrap();
        }
    };
    (seeds, property)
}

fn small() -> RocksOptions {
    RocksOptions {
        write_buffer_bytes: 1 << 20,
        block_cache_bytes: 1 << 20,
        reserve_bytes: 1,
    }
}

fn write_manifest(backup: &Path, bytes: &[u8]) {
    let sum = format!("{}  {MANIFEST_FILE}\n", blake3::hash(bytes).to_hex());
    std::fs::write(backup.join(MANIFEST_FILE), bytes).unwrap();
    std::fs::write(backup.join(MANIFEST_SUM_FILE), sum).unwrap();
}
