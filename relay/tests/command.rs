//! The real binary: init, check, run, signals, exit codes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::process::Stdio;

use khlong_crdt::address::RelayAddress;
use serde_json::Value;
use support::process::{Running, init, output, relay, text};
#[cfg(unix)]
use support::user::{Program, USER};

#[test]
fn init_makes_a_private_key_a_commented_config_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("relay");
    let made = output(&home, &["init", "--host", "Relay.Example.org"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let address: RelayAddress = text(&made.stdout).trim().parse().unwrap();
    assert_eq!(
        (address.host.as_str(), address.port),
        ("relay.example.org", 4747)
    );
    let config = std::fs::read_to_string(home.join("relay.toml")).unwrap();
    assert!(config.contains("\nquic = \"[::]:4747\"\n"), "{config}");
    assert!(config.contains("\n# port = 4747\n"), "{config}");
    assert!(config.contains("# reserve = \"256MiB\""), "{config}");
    assert!(config.contains("up to twice this number"), "{config}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(home.join("relay.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let key = std::fs::read_to_string(home.join("relay.key")).unwrap();
    let again = output(&home, &["init"]);
    assert_eq!(again.status.code(), Some(3));
    assert!(text(&again.stderr).contains("exists already"));
    assert_eq!(
        std::fs::read_to_string(home.join("relay.key")).unwrap(),
        key
    );
}

#[test]
fn every_line_that_init_comments_out_is_a_real_key_with_its_default() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let path = folder.path().join("relay.toml");
    let written = std::fs::read_to_string(&path).unwrap();
    let all: String = written
        .lines()
        // The token has no default, and the port's is that of listen.quic.
        .filter(|line| !line.contains("token_file") && !line.starts_with("# port"))
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = ") && !key.contains(": ") => format!("{key}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    assert_ne!(all, written);
    let load = |text: &str| {
        khlong_relay::config::Config::parse(
            text,
            folder.path(),
            Default::default(),
            &Default::default(),
        )
        .unwrap()
    };
    assert_eq!(load(&all), load(&written));
}

#[test]
fn check_counts_the_rows_and_finds_a_slip_and_a_bad_key() {
    let folder = tempfile::tempdir().unwrap();
    let address = init(folder.path());
    let checked = output(folder.path(), &["check", "--json"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let data: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(
        data.get("retention"),
        Some(&serde_json::json!({"default": "keep", "maximum": "keep"}))
    );
    let capped = relay(folder.path())
        .arg("check")
        .env("KHLONG_RETENTION__MAXIMUM", "90d")
        .output()
        .unwrap();
    assert!(
        text(&capped.stderr).contains("any body at most: 90d"),
        "{}",
        text(&capped.stderr)
    );
    let key = address.to_string().split_once('@').unwrap().0.to_owned();
    assert!(
        data.get("address")
            .unwrap()
            .as_str()
            .unwrap()
            .starts_with(&key)
    );
    assert!(
        data.get("rows")
            .unwrap()
            .get("meta")
            .unwrap()
            .as_u64()
            .unwrap()
            > 0
    );

    let slip = relay(folder.path())
        .arg("check")
        .env("KHLONG_STORE__RESERV", "1GiB")
        .output()
        .unwrap();
    assert_eq!(slip.status.code(), Some(3));
    assert!(
        text(&slip.stderr).contains("did you mean `store.reserve`?"),
        "{}",
        text(&slip.stderr)
    );

    let secret = std::fs::read_to_string(folder.path().join("relay.key")).unwrap();
    std::fs::write(folder.path().join("relay.key"), secret.get(..20).unwrap()).unwrap();
    let bad = output(folder.path(), &["check"]);
    assert_eq!(bad.status.code(), Some(3));
    assert!(
        !text(&bad.stderr).contains(secret.get(..20).unwrap()),
        "the key stands in the message"
    );
    assert_eq!(output(folder.path(), &["chekc"]).status.code(), Some(2));
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let key = folder.path().join("relay.key");
    for mode in [0o640, 0o604] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        for command in ["run", "check"] {
            let refused = output(folder.path(), &[command]);
            let said = text(&refused.stderr);
            assert_eq!(
                refused.status.code(),
                Some(4),
                "{command}, {mode:o}: {said}"
            );
            assert!(
                said.contains(&format!("chmod 600 {}", key.display())),
                "{said}"
            );
        }
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(output(folder.path(), &["check"]).status.success());
}

#[cfg(unix)]
#[test]
fn a_token_that_others_can_read_is_refused_also_behind_a_link() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let config = folder.path().join("relay.toml");
    let mut text_of = std::fs::read_to_string(&config).unwrap();
    text_of = text_of.replace(
        "[policy]\n",
        "[policy]\nopening = \"token\"\ntoken_file = \"link\"\n",
    );
    std::fs::write(&config, text_of).unwrap();
    let token = folder.path().join("opening.token");
    std::fs::write(&token, "12345\n").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&token, &link).unwrap();
    let check = || {
        let said = output(folder.path(), &["check"]);
        (said.status.code(), text(&said.stderr))
    };
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = check();
    assert_eq!(code, Some(4), "{said}");
    let wanted = format!("chmod 600 {}", link.display());
    assert!(
        said.contains("policy.token") && said.contains(&wanted),
        "{said}"
    );
    assert!(!said.contains("12345"), "{said}");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");

    // Of another user: root works for all of them, and nobody else does.
    match std::os::unix::fs::chown(&token, Some(OTHER), None) {
        Ok(()) => {
            let (code, said) = check();
            assert_eq!(code, Some(0), "root, {said}");
            for path in [folder.path(), &config, &folder.path().join("relay.key")] {
                std::os::unix::fs::chown(path, Some(USER), None).unwrap();
            }
            let mut command = relay(folder.path());
            command.args(["config", "check"]);
            let program = Program::open();
            let refused = program.by_user(&command).output().unwrap();
            let said = text(&refused.stderr);
            // It may not even be read.
            assert_eq!(refused.status.code(), Some(4), "{said}");
            let wanted = format!("belongs to user {OTHER}");
            assert!(said.contains(&wanted), "{said}");
            assert!(said.contains(&link.display().to_string()), "{said}");
            // Root may lend it to a group, to be read and no more.
            std::os::unix::fs::chown(&token, Some(0), Some(USER)).unwrap();
            for (mode, wanted) in [(0o640, 0), (0o660, 4), (0o644, 4)] {
                std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).unwrap();
                let done = program.by_user(&command).output().unwrap();
                let said = text(&done.stderr);
                assert_eq!(done.status.code(), Some(wanted), "{mode:o}: {said}");
            }
        }
        Err(error) => eprintln!("SKIPPED  a foreign owner: only root can make one ({error})"),
    }
}

#[cfg(unix)]
const OTHER: u32 = 12_346;

#[cfg(unix)]
#[test]
fn init_writes_no_key_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    let home = folder.path().join("relay");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.join("relay.key")).unwrap();
    let refused = output(&home, &["init", "--host", "127.0.0.1"]);
    assert!(!refused.status.success());
    assert!(!elsewhere.exists(), "{}", text(&refused.stderr));
}

#[test]
fn run_makes_no_relay_of_a_folder_that_init_did_not_make() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("relay");
    for command in ["run", "check"] {
        let refused = output(&home, &[command]);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(3), "{said}");
        assert!(
            said.contains(&format!("--config {}/relay.toml init", home.display())),
            "{said}"
        );
    }
    assert!(!home.exists(), "nothing is made by looking");

    let address = init(&home);
    std::fs::remove_dir_all(home.join("data")).unwrap();
    std::fs::create_dir_all(home.join("data/lost+found")).unwrap();
    for command in ["run", "check"] {
        let refused = output(&home, &[command]);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(3), "{said}");
        assert!(
            said.contains("holds no relay") && said.contains(" init`"),
            "{said}"
        );
    }
    let config = std::fs::read_to_string(home.join("relay.toml")).unwrap();
    assert_eq!(init(&home).key, address.key, "as it says: the folder again");
    assert_eq!(
        std::fs::read_to_string(home.join("relay.toml")).unwrap(),
        config
    );
    assert!(output(&home, &["check"]).status.success());
}

#[test]
fn nobody_needs_to_read_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let mut child = relay(folder.path())
        .arg("init")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(3), "and no panic (101)");
}

#[test]
fn run_serves_health_resists_a_double_start_and_stops_in_good_order() {
    let folder = tempfile::tempdir().unwrap();
    let address = init(folder.path());
    for signal in ["-TERM", "-INT"] {
        let running = Running::start(folder.path());
        let served: RelayAddress = running.field("address").parse().unwrap();
        assert_eq!(served.key, address.key);
        assert_ne!(served.port, 0, "the bound port");
        for (path, body) in [
            ("/livez", "ok"),
            ("/startupz", "ok"),
            ("/readyz", "ok"),
            ("/metrics", "khlong_connections 0"),
            ("/metrics", "khlong_envelope_pruned_bytes_total 0"),
        ] {
            let answer = running.get(path);
            assert!(
                answer.starts_with("HTTP/1.1 200") && answer.contains(body),
                "{path}: {answer}"
            );
        }
        assert!(running.get("/metrics").ends_with("# EOF\n"));

        let second = output(folder.path(), &["run"]);
        assert_eq!(second.status.code(), Some(3));
        let said = text(&second.stderr);
        assert!(
            said.contains(&format!("process {}", running.child.id())),
            "{said}"
        );

        let (code, said) = running.stop(signal);
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains(&served.to_string()) && said.contains("stopped"),
            "{said}"
        );
    }
}

#[test]
fn an_address_in_use_is_named_and_flags_win() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let failed = output(folder.path(), &["run", "--quic", &address]);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    assert!(
        said.contains(&address) && said.contains("another process uses it"),
        "{said}"
    );
}
