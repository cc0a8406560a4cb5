//! The configuration: layers, slips, and secrets that are never shown.

use std::error::Error;
use std::iter::successors;
use std::path::Path;

use khlong_gateway::config::{Config, Count, Environment, Flags, ListenFlags, example};

use crate::program::{self, write_secret};
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
    assert_eq!(config.listen.admin.to_string(), "127.0.0.1:9465");
    assert_eq!(config.store.folder, Path::new("/etc/khlong/data"));
    let text = "[listen]\nhttp = '127.0.0.1:1'\n[limits]\nqueue = 5\n";
    let variables = [
        ("KHLONG_LISTEN__HTTP", "127.0.0.1:2"),
        ("KHLONG_LIMITS__CONNECTIONS", "7"),
        ("KHLONG_HOME", "elsewhere"),
    ];
    let config = parse(text, &variables).unwrap();
    assert_eq!(config.listen.http.port(), 2);
    assert_eq!(
        (config.limits.queue, config.limits.connections),
        (Count(5), Count(7))
    );
    let flags = Flags {
        listen: ListenFlags {
            http: Some("127.0.0.1:3".parse().unwrap()),
            admin: None,
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

/// An error with what it comes from.
fn chain(error: &dyn Error) -> String {
    let all = successors(Some(error), |error: &&dyn Error| (*error).source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
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
        let error = parse(text, &[]).unwrap().api_keys().unwrap_err();
        chain(&error)
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
    write_secret(&folder.path().join("f"), &format!("{READER}\n"));
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

/// A target of the outbox with these lines.
fn target(lines: &str) -> String {
    format!("[[outbox.target]]\nname = 'a'\ntopics = ['books.day_closed']\n{lines}\n")
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn a_target_of_the_outbox_has_an_address_and_one_secret() {
    let url = "url = 'http://auditor.example/khlong'";
    let whole = target(&format!("{url}\nsecret = '{SECRET}'"));
    let config = parse(&whole, &[]).unwrap();
    assert!(!format!("{config:?}").contains(SECRET));
    let targets = config.targets().unwrap();
    assert_eq!(targets[0].url.host(), Some("auditor.example"));
    assert!(!format!("{targets:?}").contains("MfKQ"));
    let refused = |text: &str| match parse(text, &[]) {
        Ok(config) => chain(&config.targets().unwrap_err()),
        Err(error) => error,
    };
    for (text, told) in [
        (target(&format!("secret = '{SECRET}'")), "`url` is missing"),
        (target(url), "exactly one"),
        (
            target(&format!("{url}\nsecret = 'whsec_short'")),
            "24 to 64",
        ),
        (
            target(&format!("{url}\nsecret_file = 'no'")),
            "/etc/khlong/no",
        ),
        (
            target(&format!("{url}\nsecret = '{SECRET}'\nca_file = 'no'")),
            "/etc/khlong/no",
        ),
        (
            target(&format!(
                "{url}\nsecret = '{SECRET}'\nca_file = '/dev/zero'"
            )),
            "/dev/zero is no file of certificates",
        ),
        (format!("{whole}{whole}"), "two targets"),
        (whole.replace("'a'", "'a b'"), "64 letters"),
        (whole.replace("books.day_closed", "Books"), "topic"),
        (whole.repeat(17), "at most 16"),
    ] {
        let error = refused(&text);
        assert!(error.contains(told), "{text}: {error}");
    }
    for address in ["ftp://a/", "auditor.example", "https://me:pass@a/", "/path"] {
        let text = whole.replace("http://auditor.example/khlong", address);
        assert!(refused(&text).contains("url"), "{address}");
    }
}

#[test]
fn the_example_is_the_defaults_with_every_section() {
    let text = example(Path::new("/srv/books"));
    let config = parse(&text, &[]).unwrap();
    assert_eq!(config.store.folder, Path::new("/srv/books"));
    // What is commented out is what would be without it.
    let line = |line: &str| line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n";
    let is_setting = |line: &&str| line.starts_with("# ") && line.contains(" = ");
    let (mut all, mut said) = (String::new(), 0);
    for block in text.split("\n\n") {
        for one in block
            .lines()
            .filter(|one| !one.starts_with("# ") || is_setting(one))
        {
            all += &line(one);
            said += 1;
        }
        if block.contains("# [") {
            break;
        }
    }
    assert!(said > 15, "{all}");
    let defaults = all.split("role").next().unwrap();
    let same = parse(defaults, &[]).unwrap();
    assert_eq!(format!("{same:?}"), format!("{config:?}"));
    // The examples have the right form, but for the files that they name.
    let examples = text
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .skip_while(|line| !line.starts_with("[keys"))
        .filter(|line| line.starts_with('[') || line.contains(" = "))
        .fold(String::new(), |text, line| text + line + "\n");
    let config = parse(&examples, &[]).unwrap();
    assert_eq!((config.keys.len(), config.outbox.target.len()), (1, 1));
}

#[test]
fn init_writes_a_configuration_that_check_takes() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::tempdir().unwrap();
    let init = ["init", "books", "--write-config", "gateway.toml"];
    program::said(place.path(), &init);
    let file = place.path().join("gateway.toml");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0);
    let checked = program::object(place.path(), &["--json", "config", "check"]);
    assert_eq!(
        (&checked["valid"], &checked["keys"]),
        (&true.into(), &0.into())
    );
    let loaded = Config::load(&file, Environment::default(), &Flags::default()).unwrap();
    assert!(loaded.store.folder.join("db").is_dir());
    // Nothing is overwritten, and nothing made halfway.
    let (code, _) = program::refused(
        place.path(),
        &["init", "more", "--write-config", "gateway.toml"],
    );
    assert_eq!(code, 3);
    assert!(!place.path().join("more").exists());
    std::fs::write(&file, target("url = 'https://a/'")).unwrap();
    let (code, told) = program::refused(place.path(), &["config", "check"]);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("exactly one"), "{told}");
    std::fs::write(&file, "[log]\nlevel = 'no=such=filter'").unwrap();
    let (code, told) = program::refused(place.path(), &["config", "check"]);
    assert_eq!(code, 3, "{told}");
}

/// A machine without certificates would deliver nothing over https, and say so three days later.
#[test]
fn https_where_the_system_trusts_nobody_is_refused_at_the_check() {
    let place = tempfile::tempdir().unwrap();
    program::said(
        place.path(),
        &["init", "books", "--write-config", "gateway.toml"],
    );
    let file = place.path().join("gateway.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    let check = |scheme: &str| {
        let section = target(&format!(
            "url = '{scheme}://a.example/'\nsecret = '{SECRET}'"
        ));
        std::fs::write(&file, format!("{written}\n{section}")).unwrap();
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
            .current_dir(place.path())
            .args(["config", "check"])
            .env("SSL_CERT_FILE", place.path().join("nothing.pem"))
            .env("SSL_CERT_DIR", place.path().join("books"))
            .output()
            .unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        (done.status.code().unwrap(), told)
    };
    let (code, told) = check("http");
    assert_eq!(code, 0, "{told}");
    let (code, told) = check("https");
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("ca-certificates"), "{told}");
}
