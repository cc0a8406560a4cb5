//! Layers of a configuration, and what is in effect.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use khlong_settings::effective::Effective;
use khlong_settings::{
    ByteSize, ConfigError, Count, Days, Environment, Layers, Log, Origin, SecretText, StoreSection,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    store: StoreSection,
    log: Log,
    limits: Limits,
    keys: BTreeMap<String, Key>,
    outbox: Outbox,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    queue: Count,
    keep: Days,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue: Count(7),
            keep: Days(30),
        }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Key {
    #[serde(default, skip_serializing)]
    #[schemars(with = "SecretText")]
    secret: Option<SecretText>,
    #[serde(default)]
    #[schemars(with = "PathBuf")]
    secret_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Outbox {
    target: Vec<Target>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Target {
    name: String,
}

const FILE: &str = r#"
[limits]
queue = 8
[keys.a]
secret = "0123456789"
[keys.b]
secret_file = "/b.secret"
[[outbox.target]]
name = "one"
[[outbox.target]]
name = "two"
"#;

fn layers(text: &str, variables: &[(&str, &str)], flags: &Value) -> Layers {
    let pairs = variables.iter();
    let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Layers::of(
        text,
        Path::new("/etc"),
        Environment::from_pairs(pairs),
        flags,
    )
}

fn refused(text: &str, variables: &[(&str, &str)]) -> ConfigError {
    let layers = layers(text, variables, &json!({}));
    layers.extract::<Config>().unwrap_err()
}

/// What looks like a number is one only where a number is wanted.
#[test]
fn a_variable_is_text_until_its_key_says_otherwise() {
    let variables = [
        ("KHLONG_LIMITS__QUEUE", "9"),
        ("KHLONG_LOG__LEVEL", "5"),
        ("KHLONG_KEYS__C__SECRET", "007"),
        ("KHLONG_STORE__FOLDER", "12"),
        ("KHLONG_HOME", "not of the configuration"),
    ];
    let config: Config = layers(FILE, &variables, &json!({})).extract().unwrap();
    assert_eq!(config.limits.queue, Count(9));
    assert_eq!(config.log.level, "5");
    assert_eq!(config.store.folder, Path::new("12"));
    let secret = config.keys["c"].secret.as_ref().unwrap();
    assert_eq!(secret.expose(), "007");
    assert!(!format!("{config:?}").contains("007"));
}

#[test]
fn flags_win_over_the_environment_and_it_over_the_file() {
    let variables = [("KHLONG_LIMITS__QUEUE", "9")];
    for (variables, flags, queue, origin) in [
        (&[][..], json!({}), 8, Origin::File),
        (
            &variables[..],
            json!({}),
            9,
            Origin::Environment {
                variable: "KHLONG_LIMITS__QUEUE".to_owned(),
            },
        ),
        (
            &variables[..],
            json!({ "limits": { "queue": 10 } }),
            10,
            Origin::Flag,
        ),
    ] {
        let layers = layers(FILE, variables, &flags);
        let config: Config = layers.extract().unwrap();
        assert_eq!(config.limits.queue, Count(queue));
        assert_eq!(layers.origin(&["limits", "queue"]), origin);
        assert_eq!(layers.origin(&["limits", "keep"]), Origin::Default);
        assert_eq!(
            layers.origin(&["outbox", "target", "1", "name"]),
            Origin::File
        );
    }
}

#[test]
fn what_is_wrong_is_told_with_its_key_and_without_its_value() {
    for (text, variables, told) in [
        (
            "[limits]\nqeue = 1",
            &[][..],
            "did you mean `limits.queue`?",
        ),
        ("[limits]\nqueue = -1", &[], "`limits.queue` in the file"),
        (
            "",
            &[("KHLONG_LIMITS__QUEUE", "many")],
            "in the environment",
        ),
        ("[limits]\nkeep = 30", &[], "days with their unit"),
        ("[limits]\nkeep = '0d'", &[], "1 to 36500 days"),
        ("[store]\nreserve = 256", &[], "a size with its unit"),
        ("[store]\nreserve = '256 mib'", &[], "a size with its unit"),
        (
            "[store]\nreserve = '99999999TiB'",
            &[],
            "a size with its unit",
        ),
        ("[keys.a]\nsecret = 12345678", &[], "`keys.a.secret`"),
        // A secret in the wrong place.
        ("[limits]\nqueue = '12345678x'", &[], "a whole number"),
        ("[limits]\nkeep = '12345678x'", &[], "1 to 36500 days"),
        (
            "[store]\nreserve = '12345678x'",
            &[],
            "a size with its unit",
        ),
    ] {
        let error = refused(text, variables).to_string();
        assert!(error.contains(told), "{text}: {error}");
        assert!(!error.contains("12345678"), "{error}");
    }
}

#[test]
fn a_size_reads_back_as_it_is_shown() {
    for (text, bytes) in [
        ("1KiB", 1_024),
        ("3 MiB", 3 << 20),
        ("1500MB", 1_500_000_000),
        ("0B", 0),
        ("16777215TiB", 16_777_215 << 40),
    ] {
        let size: ByteSize = text.parse().unwrap();
        assert_eq!(size, ByteSize(bytes));
        assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
    }
}

#[test]
fn memory_has_a_least_and_numbers_a_most() {
    let small = StoreSection {
        block_cache: ByteSize(1_048_575),
        ..StoreSection::default()
    };
    let error = small.check().unwrap_err().to_string();
    assert_eq!(error, "`store.block_cache`: at least 1MiB is needed");
    StoreSection::default().check().unwrap();
    Count(3).check("limits.queue", 3).unwrap();
    for count in [0, 4] {
        let error = Count(count).check("limits.queue", 3).unwrap_err();
        assert!(error.to_string().contains("from 1 to 3"), "{error}");
    }
}

/// What is shown is a configuration again, but for the secret that was written in the file.
#[test]
fn what_is_in_effect_names_who_said_it_and_no_secret() {
    let layers = layers(
        FILE,
        &[("KHLONG_STORE__RESERVE", "1GiB")],
        &json!({ "limits": { "keep": "2d" } }),
    );
    let config: Config = layers.extract().unwrap();
    let effective = Effective::of(&layers, &config, &[("limits.keep", "--keep")]).unwrap();
    let shown = effective.json();
    let of = |key: &str| shown.iter().find(|one| one["key"] == key).unwrap();
    assert_eq!(
        *of("limits.keep"),
        json!({ "key": "limits.keep", "value": "2d", "origin": "flag", "name": "--keep" })
    );
    assert_eq!(
        *of("store.reserve"),
        json!({ "key": "store.reserve", "value": "1GiB", "origin": "environment", "name": "KHLONG_STORE__RESERVE" })
    );
    assert_eq!(
        *of("keys.a.secret"),
        json!({ "key": "keys.a.secret", "secret": "set", "origin": "file" })
    );
    assert_eq!(
        *of("keys.b.secret"),
        json!({ "key": "keys.b.secret", "secret": "from file", "origin": "file" })
    );
    assert_eq!(of("outbox.target.1.name")["value"], "two");
    assert_eq!(of("log.level")["origin"], "default");
    let toml = effective.toml();
    assert!(!toml.contains("0123456789"), "{toml}");
    let again = self::layers(&toml, &[], &json!({}));
    let again: Config = again.extract().unwrap();
    assert_eq!(again.store.reserve, ByteSize::mebibytes(1_024));
    assert_eq!(again.limits.keep, Days(2));
    assert_eq!(again.outbox.target[1].name, "two");
    assert!(again.keys["a"].secret.is_none());
}
