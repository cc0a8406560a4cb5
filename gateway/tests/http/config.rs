//! The configuration: layers, slips, and secrets that are never shown.

use std::path::Path;

use khlong_gateway::config::{Config, Environment, Flags, ListenFlags};

use crate::server::{READER, config};

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let pairs = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = Environment::from_pairs(pairs);
    Config::parse(
        text,
        Path::new("/etc/khlong"),
        environment,
        &Flags::default(),
    )
    .map_err(|error| error.to_string())
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let config = parse("", &[]).unwrap();
    assert_eq!(config.listen.http.to_string(), "127.0.0.1:8474");
    assert_eq!(config.store.folder, Path::new("/etc/khlong/data"));
    let text = "[listen]\nhttp = '127.0.0.1:1'\n[limits]\nqueue = 5\n";
    let variables = [
        ("KHLONG_LISTEN__HTTP", "127.0.0.1:2"),
        ("KHLONG_LIMITS__CONNECTIONS", "7"),
        ("KHLONG_HOME", "elsewhere"),
    ];
    let config = parse(text, &variables).unwrap();
    assert_eq!(config.listen.http.port(), 2);
    assert_eq!((config.limits.queue, config.limits.connections), (5, 7));
    let flags = Flags {
        listen: ListenFlags {
            http: Some("127.0.0.1:3".parse().unwrap()),
        },
    };
    let environment =
        Environment::from_pairs([("KHLONG_LISTEN__HTTP".to_owned(), "127.0.0.1:2".to_owned())]);
    let config = Config::parse(text, Path::new("."), environment, &flags).unwrap();
    assert_eq!(config.listen.http.port(), 3);
}

#[test]
fn slips_are_told_with_what_was_meant() {
    for (text, told) in [
        ("[limits]\nqueu = 1", "`limits.queue`"),
        ("[limit]\nqueue = 1", "`limits`"),
        ("[keys.a]\nrole = 'reader'\nsecre = 'x'", "`keys.a.secret`"),
        (
            "[keys.a]\nrole = 'root'\nsecret = 'x'",
            "reader, writer, operator, admin",
        ),
        ("[limits]\nqueue = 0", "`limits.queue`"),
        ("[limits]\nqueue = 1025", "1024"),
        ("[keys.'a b']\nrole = 'reader'", "`keys.a b`"),
    ] {
        let error = parse(text, &[]).unwrap_err();
        assert!(error.contains(told), "{text}: {error}");
    }
    let error = parse("", &[("KHLONG_LIMITS__QEUE", "1")]).unwrap_err();
    assert!(
        error.contains("environment") && error.contains("`limits.queue`"),
        "{error}"
    );
}

#[test]
fn a_key_has_one_secret_of_its_own_and_nobody_sees_it() {
    let shown = format!("{:?}", parse(&config(""), &[]).unwrap());
    assert!(shown.contains("reader") && !shown.contains(READER));
    for broken in [
        format!("[keys.a]\nrole = 'reader'\nsecret = '{READER}"),
        format!("[keys.a]\nrole = 'reader'\nsecret = {READER}"),
        format!("[keys.a]\nrole = '{READER}'"),
        format!("[keys.a]\nrole = 'reader'\nsecret = ['{READER}']"),
        format!("keys = '{READER}'"),
        format!("[limits]\nqueue = '{READER}'"),
        format!("[listen]\nhttp = '{READER}'"),
    ] {
        let error = parse(&broken, &[]).unwrap_err();
        assert!(!error.contains(READER), "{error}");
    }
    let error = parse("[keys.a]\nsecret = 'open\n", &[]).unwrap_err();
    assert!(error.contains("line 2"), "{error}");
    let key = |lines: &str| format!("[keys.a]\nrole = 'reader'\n{lines}\n");
    let refused = |text: &str| {
        parse(text, &[])
            .unwrap()
            .api_keys()
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&key("")).contains("exactly one"));
    assert!(
        refused(&key(&format!("secret = '{READER}'\nsecret_file = 'f'"))).contains("exactly one")
    );
    assert!(refused(&key("secret = 'short'")).contains("32 to 256"));
    assert!(refused(&key("hash = 'abc'")).contains("64 hexadecimal"));
    assert!(refused(&key("secret_file = 'not there'")).contains("/etc/khlong/not there"));
    let twice = format!(
        "{}[keys.b]\nrole = 'admin'\nsecret = '{READER}'",
        key(&format!("secret = '{READER}'"))
    );
    assert!(refused(&twice).contains("keys.a"));

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), format!("{READER}\n")).unwrap();
    let text = key("secret_file = 'f'");
    let config = Config::parse(
        &text,
        folder.path(),
        Environment::default(),
        &Flags::default(),
    );
    let keys = config.unwrap().api_keys().unwrap();
    assert_eq!(keys[0].hash, blake3::hash(READER.as_bytes()));
    // A secret of digits in the environment stays text.
    let digits = "1".repeat(32);
    let config = parse(&key(""), &[("KHLONG_KEYS__A__SECRET", &digits)]).unwrap();
    assert_eq!(
        config.api_keys().unwrap()[0].hash,
        blake3::hash(digits.as_bytes())
    );
}
