//! `khlong-relay config`: what is valid, what is in effect and who said so, and the schema.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::path::Path;

use khlong_relay::config::{Config, ConfigError, Environment, Flags};
use serde_json::{Value, json};
use support::process::{init, output, relay, text};

const TOKEN: &str = "tok-8c1f";

/// A relay's folder whose file says some things, and its secret key.
fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let path = folder.path().join("relay.toml");
    let written = std::fs::read_to_string(&path).unwrap();
    let with_token = written.replace(
        "# opening = \"open\"",
        &format!("opening = \"token\"\ntoken = \"{TOKEN}\""),
    );
    assert_ne!(written, with_token);
    std::fs::write(&path, with_token).unwrap();
    let key = std::fs::read_to_string(folder.path().join("relay.key")).unwrap();
    (folder, key.trim().to_owned())
}

fn load(folder: &Path, text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, folder, Environment::default(), &Flags::default())
}

fn schema() -> Value {
    let printed = output(Path::new("/nowhere"), &["config", "schema"]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    serde_json::from_slice(&printed.stdout).unwrap()
}

/// Section, name and schema of every key.
fn keys_of(schema: &Value) -> Vec<(String, String, Value)> {
    let mut keys = Vec::new();
    for (section, inner) in schema["properties"].as_object().unwrap() {
        for (name, value) in inner["properties"].as_object().unwrap() {
            keys.push((section.clone(), name.clone(), value.clone()));
        }
    }
    keys
}

#[test]
fn check_says_what_the_loader_says_and_looks_at_nothing_else() {
    let (folder, key) = folder();
    // Not at the store: a configuration is checked before its disk is there.
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    let good = output(folder.path(), &["config", "check"]);
    assert!(good.status.success(), "{}", text(&good.stderr));
    assert_eq!(text(&good.stdout), "", "data only");
    let data = output(folder.path(), &["config", "check", "--json"]);
    let data: Value = serde_json::from_slice(&data.stdout).unwrap();
    assert_eq!(
        (&data["schema_version"], &data["valid"]),
        (&json!(1), &json!(true))
    );

    let refused = |variable: (&str, &str), flags: &[&str], words: &str| {
        let checked = relay(folder.path())
            .args(["config", "check"])
            .args(flags)
            .env(variable.0, variable.1)
            .output()
            .unwrap();
        let said = text(&checked.stderr);
        assert_eq!(checked.status.code(), Some(3), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!said.contains(TOKEN) && !said.contains(&key), "{said}");
    };
    refused(
        ("KHLONG_STORE__RESERV", "1GiB"),
        &[],
        "did you mean `store.reserve`?",
    );
    refused(
        ("KHLONG_STORE__RESERVE", "1"),
        &[],
        "`store.reserve` in the environment",
    );
    refused(
        ("KHLONG_POLICY__OPENING", "open"),
        &[],
        "remove one of them",
    );
    refused(("KHLONG_RELAY__KEY", "key_short"), &[], "relay.key");
    refused(
        ("LC_ALL", "C"),
        &["--log", "khlong_relay=loud"],
        "log.level",
    );
    std::fs::write(folder.path().join("relay.key"), "key_short\n").unwrap();
    refused(("LC_ALL", "C"), &[], "is not a key");
    std::fs::write(folder.path().join("relay.toml"), "[listen\n").unwrap();
    refused(("LC_ALL", "C"), &[], "the file");
}

#[test]
fn show_names_where_each_value_was_said_and_hides_secrets() {
    let (folder, key) = folder();
    let show = |json: bool| {
        let mut command = relay(folder.path());
        command
            .args(["config", "show", "--admin", "127.0.0.1:7"])
            .args(json.then_some("--json"))
            .env("KHLONG_STORE__RESERVE", "1GiB");
        let shown = command.output().unwrap();
        assert!(shown.status.success(), "{}", text(&shown.stderr));
        let shown = text(&shown.stdout);
        assert!(!shown.contains(TOKEN) && !shown.contains(&key), "{shown}");
        shown
    };
    let data: Value = serde_json::from_str(&show(true)).unwrap();
    let values = data["values"].as_array().unwrap();
    let keys = keys_of(&schema());
    assert_eq!(values.len(), keys.len(), "every key, once");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for expected in [
        json!({ "key": "listen.admin", "value": "127.0.0.1:7", "origin": "flag", "name": "--admin" }),
        json!({ "key": "listen.quic", "value": "127.0.0.1:0", "origin": "file" }),
        json!({ "key": "store.reserve", "value": "1GiB", "origin": "environment", "name": "KHLONG_STORE__RESERVE" }),
        json!({ "key": "store.block_cache", "value": "64MiB", "origin": "default" }),
        json!({ "key": "store.folder", "value": path("data"), "origin": "default" }),
        json!({ "key": "relay.key", "secret": "from file", "origin": "file" }),
        json!({ "key": "relay.key_file", "value": path("relay.key"), "origin": "file" }),
        json!({ "key": "relay.port", "value": null, "origin": "default" }),
        json!({ "key": "policy.token", "secret": "set", "origin": "file" }),
        json!({ "key": "limits.connections", "value": 10_000, "origin": "default" }),
    ] {
        assert!(values.contains(&expected), "{expected} in {data:#}");
    }

    // The text is a configuration that says the same, but for the token that it hides.
    let toml = show(false);
    assert!(
        toml.contains("\nadmin = \"127.0.0.1:7\" # flag: --admin\n"),
        "{toml}"
    );
    assert!(toml.contains("\n# token: set # file\n"), "{toml}");
    let again = load(
        Path::new("/nowhere"),
        &toml.replace("# token: set", &format!("token = \"{TOKEN}\"")),
    );
    let written = std::fs::read_to_string(folder.path().join("relay.toml")).unwrap();
    let meant = written
        .replace("admin = \"127.0.0.1:0\"", "admin = \"127.0.0.1:7\"")
        .replace("# reserve = \"256MiB\"", "reserve = \"1GiB\"");
    assert_eq!(again.unwrap(), load(folder.path(), &meant).unwrap());
}

#[test]
fn every_flag_that_overrides_is_named() {
    let (folder, _) = folder();
    let flags = [
        ("--quic", "127.0.0.1:5", "listen.quic"),
        ("--admin", "127.0.0.1:6", "listen.admin"),
        ("--log", "warn", "log.level"),
        ("--log-format", "json", "log.format"),
    ];
    let mut command = relay(folder.path());
    command.args(["config", "show", "--json"]);
    for (flag, value, _) in flags {
        command.args([flag, value]);
    }
    let data: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    for (flag, value, key) in flags {
        let expected = json!({ "key": key, "value": value, "origin": "flag", "name": flag });
        let values = data["values"].as_array().unwrap();
        assert!(values.contains(&expected), "{expected} in {data:#}");
    }
}

#[test]
fn schema_and_loader_know_the_same_keys() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let (folder, key) = folder();
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(
        folder.path().join("token"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();

    // Each key of the schema, alone, with its default or what stands here.
    let samples = json!({
        "relay.key": key, "relay.key_file": "relay.key", "relay.port": 4747,
        "policy.token": TOKEN, "policy.token_file": "token",
    });
    for (section, name, value) in keys_of(&schema) {
        let path = format!("{section}.{name}");
        let sample = value.get("default").or(samples.get(&path));
        let sample = sample.unwrap_or_else(|| panic!("{path} has no default: {value}"));
        assert!(value["description"].is_string(), "{path}: {value}");
        let with = if path.starts_with("policy.token") {
            "opening = \"token\"\n"
        } else {
            ""
        };
        // A key of its own needs no file beside it.
        let file = format!("[{section}]\n{with}{name} = {sample}\n");
        let loaded = load(folder.path(), &file);
        assert!(loaded.is_ok(), "{file}: {}", loaded.unwrap_err());
    }

    // What neither knows.
    assert_eq!(schema["additionalProperties"], false);
    let unknown = |file: &str| {
        let error = load(folder.path(), file).unwrap_err();
        assert!(
            matches!(error, ConfigError::UnknownKey { .. }),
            "{file}: {error}"
        );
    };
    unknown("[nowhere]\n");
    for (section, inner) in schema["properties"].as_object().unwrap() {
        assert_eq!(inner["additionalProperties"], false, "{section}");
        unknown(&format!("[{section}]\nnowhere = 1\n"));
    }
}

#[test]
fn every_key_that_init_writes_is_in_the_schema() {
    let schema = schema();
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let written = std::fs::read_to_string(folder.path().join("relay.toml")).unwrap();
    let mut section = String::new();
    let mut found = Vec::new();
    for line in written.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        }
        let Some((name, _)) = line.trim_start_matches("# ").split_once(" = ") else {
            continue;
        };
        if name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '_')
        {
            found.push((section.clone(), name.to_owned()));
        }
    }
    let known: Vec<_> = keys_of(&schema)
        .into_iter()
        .map(|(section, name, _)| (section, name))
        .collect();
    for key in &found {
        assert!(known.contains(key), "{key:?}");
    }
    // Secrets are better in files of their own, so the template names only these.
    let missing: Vec<_> = known.iter().filter(|key| !found.contains(key)).collect();
    let secrets = [("policy", "token"), ("relay", "key")];
    let secrets = secrets.map(|(section, name)| (section.to_owned(), name.to_owned()));
    assert_eq!(missing, secrets.iter().collect::<Vec<_>>());
}
