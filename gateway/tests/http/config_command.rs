//! `khlong-gateway config`: what is valid, what is in effect and who said so, and the schema.

use std::path::Path;
use std::process::{Command, Output};

use khlong_gateway::config::{Config, ConfigError, Environment, Flags, example};
use serde_json::{Value, json};

use crate::program;
use crate::server::{READER, WRITER, config};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const DATABASE: &str = "host=/run/nowhere user=khlong dbname=khlong";
const PASSWORD: &str = "not-a-word-of-any-message";

/// A folder with a configuration that says something of every kind.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[log]\nlevel = \"warn\"\n[journal]\npostgres = \"{DATABASE}\"\npassword = \"{PASSWORD}\"\n\
         [[outbox.target]]\nname = \"auditor\"\nurl = \"http://auditor.example/khlong\"\n\
         topics = [\"books.day_closed\"]\nsecret_file = \"auditor.secret\"\n"
    );
    let file = folder.path().join("gateway.toml");
    std::fs::write(file, config(&more)).unwrap();
    program::write_secret(&folder.path().join("auditor.secret"), WHSEC);
    folder
}

fn with(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
        .current_dir(folder)
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn load(folder: &Path, text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, folder, Environment::default(), &Flags::default())
}

fn schema() -> Value {
    let printed = program::said(Path::new("/"), &["config", "schema"]);
    serde_json::from_str(&printed).unwrap()
}

/// Head of the table, path, name and schema of every key.
fn keys_of(schema: &Value) -> Vec<(String, String, String, Value)> {
    let mut keys = Vec::new();
    let mut add = |head: String, path: &str, table: &Value| {
        assert_eq!(table["additionalProperties"], false, "{path}");
        for (name, value) in table["properties"].as_object().unwrap() {
            let path = format!("{path}.{name}");
            keys.push((head.clone(), path, name.clone(), value.clone()));
        }
    };
    for (section, inner) in schema["properties"].as_object().unwrap() {
        match section.as_str() {
            "keys" => add(
                "[keys.a]".to_owned(),
                "keys.a",
                &inner["additionalProperties"],
            ),
            "outbox" => {
                let target = &inner["properties"]["target"]["items"];
                add("[[outbox.target]]".to_owned(), "outbox.target", target);
            }
            _ => add(format!("[{section}]"), section, inner),
        }
    }
    keys
}

#[test]
fn check_says_what_run_would_and_looks_at_no_folder() {
    let folder = folder();
    let checked = program::object(folder.path(), &["--json", "config", "check"]);
    assert_eq!(
        (&checked["valid"], &checked["keys"], &checked["targets"]),
        (&json!(true), &json!(5), &json!(1))
    );
    let words = program::said(folder.path(), &["config", "check"]);
    assert!(words.contains("5 keys, 1 targets"), "{words}");
    for short in [&["check"][..], &["check", "gateway.toml"]] {
        assert_eq!(program::said(folder.path(), short), words);
    }
    let (code, told) = program::refused(folder.path(), &["check", "none.toml"]);
    assert!(code == 3 && told.contains("none.toml"), "{code}: {told}");
    assert!(!folder.path().join("data").exists());

    let refused = |variable: (&str, &str), flags: &[&str], words: &str| {
        let arguments = [&["config", "check"], flags].concat();
        let checked = with(folder.path(), &[variable], &arguments);
        let said = String::from_utf8(checked.stderr).unwrap();
        assert_eq!(checked.status.code(), Some(3), "{said}");
        assert!(said.contains(words), "{said}");
        for secret in [READER, WHSEC, DATABASE, PASSWORD] {
            assert!(!said.contains(secret), "{said}");
        }
    };
    refused(("KHLONG_STORE__RESERV", "1MiB"), &[], "`store.reserve`");
    refused(("KHLONG_LIMITS__QUEUE", "0"), &[], "`limits.queue`");
    refused(("KHLONG_KEYS__SHOP__ROLE", "root"), &[], "one of reader");
    refused(("KHLONG_KEYS__SHOP__SECRET", READER), &[], "exactly one");
    refused(("KHLONG_LOG__LEVEL", "no=such=filter"), &[], "log.level");
    // A slip, which would be the name of a part, and the log mute.
    refused(("KHLONG_LOG__LEVEL", "inof"), &[], "log.level");
    refused(
        ("KHLONG_LISTEN__HTTP", "127.0.0.1:9465"),
        &["--admin", "127.0.0.1:9465"],
        "`listen.admin`",
    );
    refused(
        ("KHLONG_JOURNAL__POSTGRES", "dbname=x host=db.example"),
        &[],
        "ca_file",
    );
    refused(("LC_ALL", "C"), &["--config", "none.toml"], "none.toml");
    std::fs::write(folder.path().join("auditor.secret"), "short").unwrap();
    refused(("LC_ALL", "C"), &[], "whsec_");
    // A flag is a layer as any other, and wrong before anything is read.
    let (code, _) = program::refused(folder.path(), &["config", "check", "--admin", "here"]);
    assert_eq!(code, 2);
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_can_read_is_refused() {
    let folder = folder();
    let secret = folder.path().join("auditor.secret");
    for mode in [0o640, 0o604, 0o620] {
        program::set_mode(&secret, mode);
        for command in [&["config", "check"][..], &["run"]] {
            let (code, told) = program::refused(folder.path(), command);
            assert_eq!(code, 4, "{mode:o}: {told}");
            let wanted = "chmod 600 auditor.secret";
            assert!(
                told.contains("outbox.target") && told.contains(wanted),
                "{told}"
            );
            assert!(!told.contains(WHSEC), "{told}");
        }
    }
    program::set_mode(&secret, 0o600);
    program::said(folder.path(), &["config", "check"]);
}

#[test]
fn show_names_where_each_value_was_said_and_hides_secrets() {
    let folder = folder();
    // It is not read, so it may be elsewhere.
    std::fs::remove_file(folder.path().join("auditor.secret")).unwrap();
    let show = |json: bool| {
        let mut arguments = vec!["config", "show", "--http", "127.0.0.1:7"];
        arguments.extend(json.then_some("--json"));
        let variables = [
            ("KHLONG_LIMITS__QUEUE", "9"),
            ("KHLONG_KEYS__SHOP__ROLE", "operator"),
        ];
        let shown = with(folder.path(), &variables, &arguments);
        let words = String::from_utf8(shown.stderr).unwrap();
        assert!(shown.status.success(), "{words}");
        let shown = String::from_utf8(shown.stdout).unwrap();
        let hash = blake3::hash(WRITER.as_bytes()).to_hex();
        for secret in [READER, WHSEC, DATABASE, PASSWORD, hash.as_str()] {
            assert!(!shown.contains(secret), "{shown}");
        }
        shown
    };
    let data: Value = serde_json::from_str(&show(true)).unwrap();
    assert_eq!(data["schema_version"], 1);
    let values = data["values"].as_array().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for expected in [
        json!({ "key": "listen.http", "value": "127.0.0.1:7", "origin": "flag", "name": "--http" }),
        json!({ "key": "listen.admin", "value": "127.0.0.1:0", "origin": "file" }),
        json!({ "key": "limits.queue", "value": 9, "origin": "environment", "name": "KHLONG_LIMITS__QUEUE" }),
        json!({ "key": "limits.connections", "value": 256, "origin": "default" }),
        json!({ "key": "store.folder", "value": path("data"), "origin": "default" }),
        json!({ "key": "journal.postgres", "secret": "set", "origin": "file" }),
        json!({ "key": "journal.password", "secret": "set", "origin": "file" }),
        json!({ "key": "journal.ca_file", "value": null, "origin": "default" }),
        json!({ "key": "keys.shop.role", "value": "operator", "origin": "environment", "name": "KHLONG_KEYS__SHOP__ROLE" }),
        json!({ "key": "keys.shop.hash", "secret": "set", "origin": "file" }),
        json!({ "key": "keys.shop.secret", "value": null, "origin": "default" }),
        json!({ "key": "outbox.target.0.topics", "value": ["books.day_closed"], "origin": "file" }),
        json!({ "key": "outbox.target.0.secret", "secret": "from file", "origin": "file" }),
        json!({ "key": "outbox.target.0.secret_file", "value": path("auditor.secret"), "origin": "file" }),
    ] {
        assert!(values.contains(&expected), "{expected} in {data:#}");
    }
    // Every key once, and those of a table as often as the table is there.
    let schema = schema();
    let count = |head: &str| keys_of(&schema).iter().filter(|key| key.0 == head).count();
    let whole = keys_of(&schema).len() + 4 * count("[keys.a]");
    assert_eq!(values.len(), whole, "{data:#}");

    // The text is a configuration that says the same, but for the secrets that it hides.
    let toml = show(false);
    assert!(
        toml.contains("\nhttp = \"127.0.0.1:7\" # flag: --http\n"),
        "{toml}"
    );
    assert!(toml.contains("\n# postgres: set # file\n"), "{toml}");
    let again = load(Path::new("/nowhere"), &toml).unwrap();
    let file = std::fs::read_to_string(folder.path().join("gateway.toml")).unwrap();
    let flags = Flags {
        listen: khlong_gateway::config::ListenFlags {
            http: Some("127.0.0.1:7".parse().unwrap()),
            admin: None,
        },
    };
    let variables = [
        ("KHLONG_LIMITS__QUEUE", "9"),
        ("KHLONG_KEYS__SHOP__ROLE", "operator"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = Environment::from_pairs(variables);
    let meant = Config::parse(&file, folder.path(), environment, &flags).unwrap();
    let plain = |config: &Config| serde_json::to_value(config).unwrap();
    assert_eq!(plain(&again), plain(&meant));
}

#[test]
fn every_flag_that_overrides_is_named() {
    let folder = folder();
    let flags = [
        ("--http", "127.0.0.1:5", "listen.http"),
        ("--admin", "127.0.0.1:6", "listen.admin"),
    ];
    let mut arguments = vec!["config", "show", "--json"];
    for (flag, value, _) in flags {
        arguments.extend([flag, value]);
    }
    let data = program::object(folder.path(), &arguments);
    for (flag, value, key) in flags {
        let expected = json!({ "key": key, "value": value, "origin": "flag", "name": flag });
        let values = data["values"].as_array().unwrap();
        assert!(values.contains(&expected), "{expected} in {data:#}");
    }
}

#[test]
fn schema_and_loader_know_the_same_keys_and_bounds() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["additionalProperties"], false);
    let folder = Path::new("/nowhere");
    // Each key of the schema, alone, with its default or what stands here.
    let samples = json!({
        "journal.postgres": DATABASE, "journal.password": PASSWORD, "journal.password_file": "p",
        "journal.ca_file": "ca.pem", "keys.a.role": "reader", "keys.a.secret": READER,
        "keys.a.secret_file": "s", "keys.a.hash": blake3::hash(b"").to_hex().as_str(),
        "outbox.target.name": "b", "outbox.target.url": "https://a.example/",
        "outbox.target.topics": ["books.day_closed"], "outbox.target.secret": WHSEC,
        "outbox.target.secret_file": "s", "outbox.target.ca_file": "ca.pem",
    });
    let secrets = ["postgres", "password", "secret", "hash"];
    let mut bounded = 0;
    for (head, path, name, value) in keys_of(&schema) {
        let sample = value.get("default").or(samples.get(&path));
        let sample = sample.unwrap_or_else(|| panic!("{path} has no default: {value}"));
        assert!(value["description"].is_string(), "{path}: {value}");
        let is_secret = value.get("writeOnly") == Some(&json!(true));
        assert_eq!(is_secret, secrets.contains(&name.as_str()), "{path}");
        // What its table wants beside it.
        let beside: String = match head.as_str() {
            "[keys.a]" => vec![("role", json!("reader"))],
            "[[outbox.target]]" => ["name", "url", "topics"]
                .map(|name| (name, samples[format!("outbox.target.{name}")].clone()))
                .to_vec(),
            _ => Vec::new(),
        }
        .iter()
        .filter(|(needed, _)| *needed != name)
        .map(|(needed, value)| format!("{needed} = {value}\n"))
        .collect();
        let file = |value: &Value| format!("{head}\n{beside}{name} = {value}\n");
        let loaded = load(folder, &file(sample));
        assert!(loaded.is_ok(), "{}: {}", file(sample), loaded.unwrap_err());
        for (bound, beyond) in [("minimum", -1), ("maximum", 1)] {
            let Some(bound) = value.get(bound).and_then(Value::as_i64) else {
                continue;
            };
            bounded += 1;
            assert!(load(folder, &file(&bound.into())).is_ok(), "{path} {bound}");
            let beyond = file(&(bound + beyond).into());
            assert!(load(folder, &beyond).is_err(), "{beyond}");
        }
        if let Some(all) = value.get("enum").and_then(Value::as_array) {
            assert!(
                all.iter().all(|one| load(folder, &file(one)).is_ok()),
                "{path}"
            );
        }
        let unknown = format!("{head}\n{beside}nowhere = 1\n");
        let error = load(folder, &unknown).unwrap_err();
        assert!(matches!(error, ConfigError::UnknownKey { .. }), "{error}");
    }
    assert_eq!(bounded, 8);
    let error = load(folder, "[nowhere]\n").unwrap_err();
    assert!(matches!(error, ConfigError::UnknownKey { .. }), "{error}");
    let names = &schema["properties"]["keys"]["propertyNames"];
    assert_eq!(names["pattern"], "^[A-Za-z0-9_-]{1,64}$");
}

#[test]
fn every_key_that_init_writes_is_in_the_schema() {
    let mut head = String::new();
    let mut found = Vec::new();
    for line in example(Path::new("/srv")).lines() {
        let line = line.trim_start_matches("# ");
        if line.starts_with('[') {
            head = line.replace("keys.boss", "keys.a");
        } else if let Some((name, _)) = line.split_once(" = ")
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            found.push((head.clone(), name.to_owned()));
        }
    }
    let known: Vec<_> = keys_of(&schema())
        .into_iter()
        .map(|(head, _, name, _)| (head, name))
        .collect();
    for key in &found {
        assert!(known.contains(key), "{key:?}");
    }
    // Secrets are better in files of their own; the rest is told in words beside its section.
    let missing: Vec<_> = known.iter().filter(|key| !found.contains(key)).collect();
    let unnamed = [
        ("[journal]", "ca_file"),
        ("[journal]", "password"),
        ("[journal]", "retry_seconds"),
        ("[keys.a]", "hash"),
        ("[keys.a]", "secret"),
        ("[[outbox.target]]", "ca_file"),
        ("[[outbox.target]]", "secret"),
    ];
    let unnamed = unnamed.map(|(head, name)| (head.to_owned(), name.to_owned()));
    assert_eq!(missing, unnamed.iter().collect::<Vec<_>>());
}
