//! What an operator writes, asks and brings along: the configuration, requests to the
//! operators' address, a backup.

use std::path::{Path, PathBuf};

use khlong_crdt::text;
use khlong_relay::backup::{self, Restore};
use khlong_relay::config::{Config, Environment, Flags, SecretText};
use khlong_relay::identity;
use khlong_store::backup::{MANIFEST_FILE, MANIFEST_SUM_FILE};
use khlong_store::engine::rocks::RocksOptions;

use crate::fuzzing::{Seeds, fuzz};
use crate::request::answer_to;
use crate::support::operator::{Home, data};
use crate::support::served::{Relay, options};

const KEY: &str = "key_of the relay";

fuzz!(fuzz_config, 500, configs(), config());

/// One with every section, each section alone, and variables beside a file that is refused without
/// them.
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
default = "90d"
maximum = "365d"
[limits]
connections = 1000
connections_per_address = 16
[log]
level = "info"
format = "json"
"#;
    let variables = r#"
KHLONG_POLICY__TOKEN=of the operator
KHLONG_LIMITS__CONNECTIONS=1000
KHLONG_RETENTION__MAXIMUM=90d
KHLONG_STORE__RESERVE=1GiB
KHLONG_LISTEN__ADMIN=127.0.0.1:9464
KHLONG_LOG__FORMAT=json
[policy]
opening = "token"
"#;
    let sections = full.split("\n[").skip(1);
    let sections = sections.map(|section| format!("[{section}\n"));
    let mut texts: Vec<Vec<u8>> = sections.map(String::into_bytes).collect();
    texts.extend([full, variables, ""].map(|text| text.as_bytes().to_vec()));
    texts
}

/// Lines `KHLONG_…=…` are the environment's, the others the file's.
fn layers(text: &str) -> (Vec<(String, String)>, String) {
    let (mut variables, mut file) = (Vec::new(), String::new());
    for line in text.split_inclusive('\n') {
        match line.trim_end_matches('\n').split_once('=') {
            Some((name, value)) if name.starts_with("KHLONG_") => {
                variables.push((name.to_owned(), value.to_owned()));
            }
            Some(_) | None => file.push_str(line),
        }
    }
    (variables, file)
}

/// A configuration, or an error that says which key; secrets stand in neither.
fn config() -> impl Fn(&[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("relay.key");
    std::fs::write(&key, KEY).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, private).unwrap();
    move |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return false;
        };
        let (variables, file) = layers(text);
        let parse = || {
            let environment = Environment::from_pairs(variables.clone());
            Config::parse(&file, folder.path(), environment, &Flags::default())
        };
        let parsed = parse();
        let is_taken = parsed.is_ok();
        let shown = match parsed {
            Ok(config) => {
                assert_eq!(parse().unwrap(), config, "the same twice");
                assert!(
                    config.store.folder.starts_with(folder.path())
                        || text.to_lowercase().contains("folder")
                );
                if let Some(key) = config.relay.key.as_ref().map(SecretText::expose) {
                    assert!(identity::parse(key).is_err(), "nobody's key");
                }
                format!("{config:?}")
            }
            Err(error) => error.to_string(),
        };
        assert!(!shown.contains(KEY));
        is_taken
    }
}

fuzz!(fuzz_identity, 2_000, identities(), relay_key);

fn identities() -> Seeds {
    let key = text::encode("key_", &[7; 32]);
    let others = [
        text::encode("key_", &[7; 31]),
        text::encode("rly_", &[7; 32]),
    ];
    let genuine = [key.clone(), format!("{key}\n")];
    Seeds::and(
        genuine.map(String::into_bytes).to_vec(),
        others.map(String::into_bytes).to_vec(),
    )
}

/// A file with a relay's key.
fn relay_key(bytes: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(bytes) else {
        return false;
    };
    match identity::parse(line) {
        Ok(key) => {
            let written = text::encode("key_", &key.to_bytes());
            assert_eq!(written, line.trim(), "one spelling");
            true
        }
        Err(error) => {
            let said = error.to_string();
            assert!(line.len() < 8 || !said.contains(line), "{said}");
            false
        }
    }
}

fuzz!(fuzz_http, 80, requests(), http());

fn requests() -> Vec<Vec<u8>> {
    let requests = [
        "GET /livez HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n",
        "GET /readyz HTTP/1.1\r\nHost: relay\r\n\r\n\
         GET /metrics HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n",
        "POST /checkpoint HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\
         Authorization: Bearer 00\r\nContent-Length: 2\r\n\r\n{}",
        "POST /checkpoint HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n\
         2\r\n{}\r\n0\r\n\r\n",
    ];
    requests.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// A served relay. Nobody shows the operator's token, so nothing is ever made.
fn http() -> impl Fn(&[u8]) -> bool {
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
        let answer = answer_to(relay.admin, bytes);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."));
        // It is a request, whatever comes of it.
        let is_taken = !answer.is_empty() && !answer.starts_with(b"HTTP/1.1 400");
        assert!(!folder.path().join("BACKUP").exists());
        let alive = answer_to(relay.admin, &requests()[0]);
        assert!(alive.ends_with(b"ok\n"), "{alive:?}");
        is_taken
    }
}

fuzz!(fuzz_manifest, 25, manifest());

fn backed_up() -> (Home, PathBuf) {
    let home = Home::init();
    let target = home.path("backup");
    data(&home.backup("create", &target));
    (home, target)
}

fn manifests(backup: &Path) -> Seeds {
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
    let others = [longer, other, outside].map(String::into_bytes);
    Seeds::and(vec![genuine.into_bytes()], others.to_vec())
}

/// With a right checksum: a list that anybody could have written.
fn manifest() -> (Seeds, impl Fn(&[u8]) -> bool) {
    let (home, backup) = backed_up();
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
        restored.is_ok()
    };
    (seeds, property)
}

pub(crate) fn small() -> RocksOptions {
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
