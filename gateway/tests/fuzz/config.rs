//! A configuration file with anything in it.

use std::path::Path;
use std::time::Duration;

use khlong_gateway::app::postgres::PostgresOptions;
use khlong_gateway::config::{Config, Environment, Flags, example};
use khlong_gateway::outbox::Secret;

use crate::fuzzing::{Seeds, fuzz};

const SECRET: &str = "of-the-boss-0123456789-0123456789";
const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fuzz!(fuzz_config, 300, configs(), config());

/// What `init` writes, with and without the comments, each section of that alone, and variables
/// beside a file that is refused without them.
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
    let variables = format!(
        "KHLONG_KEYS__BOSS__SECRET={SECRET}
KHLONG_LIMITS__QUEUE=16
KHLONG_LOG__FORMAT=json
[keys.boss]
role = \"reader\"
"
    );
    let whole = [full, example, variables, String::new()];
    texts.extend(whole.map(String::into_bytes));
    texts
}

/// Lines `KHLONG_…=…` are the environment's, the others the file's.
fn layers(text: &str) -> (Environment, String) {
    let (mut variables, mut file) = (Vec::new(), String::new());
    for line in text.split_inclusive('\n') {
        match line.trim_end_matches('\n').split_once('=') {
            Some((name, value)) if name.starts_with("KHLONG_") => {
                variables.push((name.to_owned(), value.to_owned()));
            }
            Some(_) | None => file.push_str(line),
        }
    }
    (Environment::from_pairs(variables), file)
}

/// A configuration, or an error that says what is wrong; the secret stands in neither.
fn config() -> impl Fn(&[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    for (name, secret) in [("auditor.secret", WEBHOOK_SECRET), ("pg.password", SECRET)] {
        let path = folder.path().join(name);
        std::fs::write(&path, secret).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, private).unwrap();
    }
    move |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return false;
        };
        let (variables, file) = layers(text);
        let mut is_taken = false;
        let said = match Config::parse(&file, folder.path(), variables, &Flags::default()) {
            Ok(config) => {
                assert!(config.store.folder.starts_with(folder.path()) || text.contains('/'));
                is_taken = true;
                format!("{config:?}")
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                format!("{error:?} {error}")
            }
        };
        assert!(!said.contains(SECRET), "{said}");
        is_taken
    }
}

fuzz!(fuzz_postgres_options, 2_000, postgres(), postgres_options);

/// What names a database on this machine, and one elsewhere without a certificate to trust.
fn postgres() -> Seeds {
    let genuine = [
        "postgres://khlong@127.0.0.1:5432/khlong",
        "host=/run/postgresql user=khlong dbname=khlong",
    ];
    let others = [
        "postgres://khlong@db.example:5432/khlong?sslmode=require",
        "postgres://",
        "dbname=khlong",
    ];
    Seeds::and(
        genuine.map(|text| text.as_bytes().to_vec()).to_vec(),
        others.map(|text| text.as_bytes().to_vec()).to_vec(),
    )
}

fn postgres_options(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let within = Duration::from_secs(1);
    match PostgresOptions::parse(text, None, None, within) {
        Ok(_) => true,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

fuzz!(
    fuzz_webhook_secret,
    2_000,
    webhook_secrets(),
    webhook_secret
);

/// As long as it may be, and as short; and others.
fn webhook_secrets() -> Seeds {
    let of = |bytes: usize| format!("whsec_{}", "A".repeat(bytes * 4 / 3));
    let genuine = [WEBHOOK_SECRET.to_owned(), of(24), of(63)];
    let others = [of(21), of(66), WEBHOOK_SECRET.replace("whsec_", "")];
    Seeds::and(
        genuine.map(String::into_bytes).to_vec(),
        others.map(String::into_bytes).to_vec(),
    )
}

fn webhook_secret(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    text.is_some_and(|text| Secret::parse(text).is_some())
}
