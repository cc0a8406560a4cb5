//! A configuration file with anything in it.

use std::path::Path;
use std::time::Duration;

use khlong_gateway::app::postgres::PostgresOptions;
use khlong_gateway::config::{Config, Environment, Flags, example};
use khlong_gateway::outbox::Secret;

use crate::fuzzing::fuzz;

const SECRET: &str = "of-the-boss-0123456789-0123456789";

fuzz!(fuzz_config, 300, configs(), config());

/// What `init` writes, with and without the comments, and each section of that alone.
fn configs() -> Vec<Vec<u8>> {
    let example = example(Path::new("/var/lib/khlong"));
    let full: String = example
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = ") || key.starts_with('[') => format!("{key}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    let full = full.replace(
        "secret_file = \"boss.secret\"",
        &format!("secret = \"{SECRET}\""),
    );
    let sections = full
        .split("\n[")
        .skip(1)
        .map(|section| format!("[{section}"));
    let mut texts: Vec<Vec<u8>> = sections.map(String::into_bytes).collect();
    texts.extend([full.into_bytes(), example.into_bytes(), Vec::new()]);
    let values = [
        "postgres://khlong@db.example:5432/khlong?sslmode=require",
        "host=/run/postgresql user=khlong dbname=khlong",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ];
    texts.extend(values.map(|value| value.as_bytes().to_vec()));
    texts
}

/// A configuration, or an error that says what is wrong; the secret stands in neither.
fn config() -> impl Fn(&[u8]) {
    let folder = tempfile::tempdir().unwrap();
    move |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        // What a value may hold.
        let within = Duration::from_secs(1);
        if let Err(error) = PostgresOptions::parse(text, None, None, within) {
            assert!(!error.to_string().is_empty());
        }
        let _ = Secret::parse(text);
        let nothing = Environment::from_pairs([]);
        let said = match Config::parse(text, folder.path(), nothing, &Flags::default()) {
            Ok(config) => {
                assert!(config.store.folder.starts_with(folder.path()) || text.contains('/'));
                format!("{config:?}")
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                format!("{error:?} {error}")
            }
        };
        assert!(!said.contains(SECRET), "{said}");
    }
}
