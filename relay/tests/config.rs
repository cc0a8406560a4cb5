//! The configuration: layers, units, secrets, slips of the pen.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;

use khlong_relay::config::{
    ByteSize, Config, ConfigError, Environment, Flags, Keep, ListenFlags, Opening, SecretText,
};
use khlong_relay::hub::{KeepFor, Retention};
use tempfile::TempDir;

fn folder_with_key() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("relay.key");
    std::fs::write(&key, "key_x\n").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

fn parse(text: &str, variables: &[(&str, &str)], flags: &Flags) -> Result<Config, ConfigError> {
    let folder = folder_with_key();
    parse_in(folder.path(), text, variables, flags)
}

fn parse_in(
    folder: &Path,
    text: &str,
    variables: &[(&str, &str)],
    flags: &Flags,
) -> Result<Config, ConfigError> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(text, folder, Environment::from_pairs(variables), flags)
}

#[test]
fn an_empty_file_gives_the_defaults_and_reads_the_key_beside_it() {
    let config = parse("", &[], &Flags::default()).unwrap();
    assert_eq!(config.listen.quic.to_string(), "[::]:4747");
    assert_eq!(config.store.reserve, ByteSize::mebibytes(256));
    assert_eq!(
        config.relay.key.as_ref().map(SecretText::expose),
        Some("key_x")
    );
    assert!(
        config.store.folder.is_absolute(),
        "relative to the file, not to the process"
    );
}

#[test]
fn the_host_gets_the_spelling_that_clients_take() {
    let host = |host: &str| {
        let text = format!("[relay]\nhost = \"{host}\"\n");
        parse(&text, &[], &Flags::default()).map(|config| config.relay.host)
    };
    assert_eq!(host("BKK.Example.NET").unwrap(), "bkk.example.net");
    assert_eq!(host("2001:DB8:0::7").unwrap(), "2001:db8::7");
    for wrong in ["", "a b", "[::1]", "relay.example.org:4747"] {
        let error = host(wrong).unwrap_err();
        assert!(error.to_string().contains("relay.host"), "{wrong}: {error}");
    }
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = "[listen]\nquic = \"127.0.0.1:1\"\n[log]\nlevel = \"warn\"\n";
    let quic = |variables: &[(&str, &str)], flags: &Flags| {
        parse(file, variables, flags).unwrap().listen.quic.port()
    };
    assert_eq!(quic(&[], &Flags::default()), 1);
    let environment = [("KHLONG_LISTEN__QUIC", "127.0.0.1:2")];
    assert_eq!(quic(&environment, &Flags::default()), 2);
    let flags = Flags {
        listen: ListenFlags {
            quic: Some("127.0.0.1:3".parse().unwrap()),
            admin: None,
        },
        ..Flags::default()
    };
    assert_eq!(quic(&environment, &flags), 3);
    assert_eq!(
        parse(file, &environment, &flags).unwrap().log.level,
        "warn",
        "the rest of the file stays"
    );
}

#[test]
fn a_mistyped_key_is_an_error_with_a_suggestion() {
    let error = parse(
        "[policy]\ntimeline_qouta = \"1GiB\"\n",
        &[],
        &Flags::default(),
    )
    .unwrap_err();
    let ConfigError::UnknownKey {
        key, suggestion, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (key.as_str(), suggestion.as_deref()),
        ("policy.timeline_qouta", Some("policy.timeline_quota"))
    );
    assert!(
        error
            .to_string()
            .contains("did you mean `policy.timeline_quota`?"),
        "{error}"
    );

    let error = parse(
        "[lissten]\nquic = \"127.0.0.1:1\"\n",
        &[],
        &Flags::default(),
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("did you mean `listen`?"),
        "{error}"
    );

    let error = parse("", &[("KHLONG_LOG__LEVLE", "debug")], &Flags::default()).unwrap_err();
    assert!(error.to_string().contains("environment"), "{error}");
    assert!(
        error.to_string().contains("did you mean `log.level`?"),
        "{error}"
    );
}

#[test]
fn sizes_need_a_unit_and_numbers_may_come_from_the_environment() {
    let size = |text: &str| {
        parse(
            &format!("[policy]\ntimeline_quota = {text}\n"),
            &[],
            &Flags::default(),
        )
        .map(|config| config.policy.timeline_quota.0)
    };
    assert_eq!(size("\"20GiB\"").unwrap(), 20 << 30);
    assert_eq!(size("\"500 MB\"").unwrap(), 500_000_000);
    assert_eq!(size("\"7B\"").unwrap(), 7);
    for wrong in [
        "\"20\"",
        "20",
        "\"GiB\"",
        "\"-1GiB\"",
        "\"20gib\"",
        "\"99999999TiB\"",
    ] {
        let error = size(wrong).unwrap_err();
        assert!(
            error.to_string().contains("policy.timeline_quota"),
            "{wrong}: {error}"
        );
    }
    let config = parse(
        "",
        &[("KHLONG_LIMITS__CONNECTIONS", "12")],
        &Flags::default(),
    )
    .unwrap();
    assert_eq!(config.quic_limits().connections_max, 12);
    assert!(parse("[limits]\nconnections = 0\n", &[], &Flags::default()).is_err());
    for size in [
        ByteSize(7),
        ByteSize(1 << 10),
        ByteSize::mebibytes(256),
        ByteSize(3 << 30),
    ] {
        assert_eq!(self::size_back(&size.to_string()), size.0, "{size}");
    }
}

fn size_back(text: &str) -> u64 {
    parse(
        &format!("[policy]\ntimeline_quota = \"{text}\"\n"),
        &[],
        &Flags::default(),
    )
    .unwrap()
    .policy
    .timeline_quota
    .0
}

#[test]
fn a_token_comes_from_its_key_its_file_or_the_environment_and_from_one_of_them_only() {
    let folder = folder_with_key();
    std::fs::write(folder.path().join("token"), "12345\n").unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(
        folder.path().join("token"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let load = |text: &str, variables: &[(&str, &str)]| {
        parse_in(folder.path(), text, variables, &Flags::default())
    };
    let from_file = load(
        "[policy]\nopening = \"token\"\ntoken_file = \"token\"\n",
        &[],
    )
    .unwrap();
    assert_eq!(from_file.policy.opening, Opening::Token);
    assert_eq!(
        from_file.policy.token.as_ref().map(SecretText::expose),
        Some("12345")
    );
    // Digits stay text.
    let environment = [
        ("KHLONG_POLICY__TOKEN", "12345"),
        ("KHLONG_POLICY__OPENING", "token"),
    ];
    let from_environment = load("", &environment).unwrap();
    let token = from_environment.policy.token.as_ref();
    assert_eq!(token.map(SecretText::expose), Some("12345"));
    for shown in [
        format!("{from_file:?} {from_environment:?}"),
        format!("{:?}", from_environment.policy()),
        format!(
            "{:?}",
            Environment::from_pairs([("KHLONG_POLICY__TOKEN".to_owned(), "12345".to_owned())])
        ),
    ] {
        assert!(
            !shown.contains("12345") && !shown.contains("key_x"),
            "{shown}"
        );
    }
    for wrong in [
        "[policy]\nopening = \"token\"\n",
        "[policy]\ntoken = \"x\"\n",
        "[policy]\nopening = \"token\"\ntoken = \"x\"\ntoken_file = \"token\"\n",
        "[policy]\nopening = \"token\"\ntoken_file = \"nowhere\"\n",
        "[policy]\nopening = \"sometimes\"\n",
    ] {
        let error = load(wrong, &[]).unwrap_err();
        assert!(error.to_string().contains("policy."), "{wrong}: {error}");
    }
}

#[test]
fn what_cannot_be_read_is_told_by_its_place_and_never_repeated() {
    const SECRET: &str = "a-token-that-nobody-sees";
    for broken in [
        format!("[policy]\ntoken = '{SECRET}"),
        format!("[policy]\ntoken = {SECRET}"),
        format!("[policy]\ntoken = ['{SECRET}']"),
        format!("[policy]\nopening = '{SECRET}'"),
        format!("policy = '{SECRET}'"),
    ] {
        let error = parse(&broken, &[], &Flags::default()).unwrap_err();
        let mut words = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            words += &inner.to_string();
            source = inner.source();
        }
        assert!(!words.contains(SECRET), "{words}");
    }
    let error = parse("[policy]\ntoken = 'open\n", &[], &Flags::default()).unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn retention_is_days_or_keep_from_every_layer() {
    let retention = |text: &str, variables: &[(&str, &str)]| {
        parse(text, variables, &Flags::default()).map(|config| config.policy().retention)
    };
    let ever = KeepFor::Ever;
    assert_eq!(
        retention("", &[]).unwrap(),
        Retention {
            default: ever,
            maximum: ever
        }
    );
    let file = "[retention]\ndefault = \"365d\"\nmaximum = \"keep\"\n";
    assert_eq!(
        retention(file, &[]).unwrap(),
        Retention {
            default: KeepFor::Days(365),
            maximum: ever
        }
    );
    let environment = [
        ("KHLONG_RETENTION__DEFAULT", "keep"),
        ("KHLONG_RETENTION__MAXIMUM", "90d"),
    ];
    assert_eq!(
        retention(file, &environment).unwrap(),
        Retention {
            default: ever,
            maximum: KeepFor::Days(90)
        }
    );
    for wrong in [
        "\"90\"",
        "90",
        "\"0d\"",
        "\"-1d\"",
        "\"+1d\"",
        "\"d\"",
        "\"1.5d\"",
        "\"90h\"",
        "\"forever\"",
        "\"36501d\"",
        "\"99999999999d\"",
        "\"\"",
    ] {
        let error = retention(&format!("[retention]\ndefault = {wrong}\n"), &[]).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("retention.default") && said.contains("90d"),
            "{wrong}: {said}"
        );
    }
    for (slip, meant) in [
        ("[retention]\nmaximun = \"1d\"\n", "retention.maximum"),
        ("[retension]\ndefault = \"1d\"\n", "retention"),
    ] {
        let said = retention(slip, &[]).unwrap_err().to_string();
        assert!(said.contains(&format!("did you mean `{meant}`?")), "{said}");
    }
    for keep in [ever, KeepFor::Days(1), KeepFor::Days(36_500)] {
        let text = format!("[retention]\ndefault = \"{}\"\n", Keep(keep));
        assert_eq!(retention(&text, &[]).unwrap().default, keep);
    }
}
