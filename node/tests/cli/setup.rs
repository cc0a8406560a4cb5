//! `init`, `id`, `relay`, and how the program refuses.

use std::os::unix::fs::PermissionsExt as _;

use crate::node::Node;

#[test]
fn init_wants_to_know_how_keys_are_kept() {
    let said = Node::bare().run(&["init", "--nickname", "mali"]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("--plain-keys"), "{}", said.stderr);
    assert_eq!(said.stdout, "");
}

#[test]
fn a_folder_holds_one_node() {
    let node = Node::new("mali");
    let card = node.json(&["id"])["card"].clone();
    let said = node.run(&["init", "--plain-keys", "--nickname", "ton"]);
    assert_eq!(said.code, 3);
    assert_eq!(node.json(&["id"])["card"], card, "the first identity stays");
}

#[test]
fn a_folder_without_a_node_is_told_so() {
    let node = Node::bare();
    let said = node.run(&["--json", "status"]);
    assert_eq!(said.code, 3);
    let refused: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(refused["kind"], "refused");
    assert_eq!(refused["exit_code"], 3);
    assert_eq!(refused["schema_version"], 2);
    assert!(said.stderr.contains("khlong init"));
    assert!(!node.home().exists(), "asking makes no folder");
}

#[test]
fn an_identity_has_all_its_parts_and_a_qr_code() {
    let node = Node::new("มะลิ");
    let id = node.json(&["id"]);
    for (field, prefix) in [("user", "usr_"), ("device", "dev_"), ("card", "card_")] {
        assert!(id[field].as_str().unwrap().starts_with(prefix), "{id}");
    }
    assert_eq!(id["nickname"], "มะลิ");
    let plain = node.run(&["id"]).stdout;
    let drawn = node.run(&["id", "--qr"]).stdout;
    assert!(
        !plain.contains('█') && drawn.starts_with(&plain) && drawn.contains('█'),
        "{drawn}"
    );
}

#[test]
fn keys_are_private_files() {
    let node = Node::new("mali");
    let mode = |name: &str| {
        node.home()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("keys"), 0o600);
    assert_eq!(mode("store") & 0o077, 0, "nobody else looks into the store");
}

#[test]
fn a_passphrase_is_asked_of_whoever_opens_the_node() {
    let node = Node::bare().with_passphrase("ขนมครก 40 ปี");
    assert_eq!(node.run(&["init", "--nickname", "mali"]).code, 0);
    assert_eq!(node.run(&["id"]).code, 0);
    let wrong = node.with_passphrase("ขนมครก 41 ปี");
    let said = wrong.run(&["id"]);
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert_eq!(said.stdout, "");
}

/// Also where it has no end: no more is read than somebody would type.
#[cfg(unix)]
#[test]
fn a_passphrase_that_nobody_typed_is_refused() {
    let node = Node::bare();
    let file = node.beside("passphrase");
    for (link, told) in [("/dev/zero", "more than 4096"), ("/dev/null", "is empty")] {
        let _ = std::fs::remove_file(&file);
        std::os::unix::fs::symlink(link, &file).unwrap();
        let said = node.run(&["init", "--passphrase-file", file.to_str().unwrap()]);
        assert_eq!(said.code, 3, "{}", said.stderr);
        assert!(said.stderr.contains(told), "{}", said.stderr);
        assert!(!node.home().exists());
    }
}

#[test]
fn a_missing_passphrase_and_a_wrong_one_are_told_apart() {
    let node = Node::bare().with_passphrase("ขนมครก 40 ปี");
    assert_eq!(node.run(&["init", "--nickname", "mali"]).code, 0);
    let missing = node
        .command()
        .env_remove("KHLONG_PASSPHRASE_FILE")
        .arg("id")
        .output()
        .unwrap();
    let missing_said = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(4), "{missing_said}");
    assert!(
        missing_said.contains("give the passphrase") && !missing_said.contains("wrong"),
        "{missing_said}"
    );
    let wrong = node.with_passphrase("ขนมครก 41 ปี").run(&["id"]);
    assert!(
        wrong.stderr.contains("wrong passphrase"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn without_a_nickname_the_account_gives_one_and_else_there_is_a_default() {
    let long = "x".repeat(10_000);
    for (user, log_name, nickname) in [
        (None, None, "anonymous"),
        (Some(""), Some("ton"), "ton"),
        (Some(long.as_str()), Some("ton"), "ton"),
        (Some("mali"), Some("ton"), "mali"),
    ] {
        let node = Node::bare();
        let mut command = node.command();
        command.args(["init", "--plain-keys"]);
        for (name, value) in [("USER", user), ("LOGNAME", log_name)] {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        assert!(command.output().unwrap().status.success(), "{nickname}");
        assert_eq!(node.json(&["id"])["nickname"], nickname);
    }
}

#[test]
fn a_relay_needs_a_whole_address() {
    let node = Node::new("mali");
    let said = node.run(&["relay", "add", "khlong://nonsense@localhost:1"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(
        node.json(&["relay", "ls"])["relays"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_makes_no_sense_is_exit_2() {
    let node = Node::new("mali");
    for arguments in [
        &["frobnicate"][..],
        &["send"],
        &["sync", "--timeout", "soon"],
        &["log", "x", "--limit", "many"],
    ] {
        assert_eq!(node.run(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn every_command_explains_itself() {
    let node = Node::bare();
    let commands = [
        "init",
        "id",
        "nickname",
        "relay",
        "timeline",
        "send",
        "reply",
        "edit",
        "delete",
        "react",
        "read",
        "log",
        "tui",
        "sync",
        "status",
        "block",
        "unblock",
        "blocked",
        "outbox",
        "daemon",
        "backup",
        "restore",
        "import",
        "export",
        "completions",
        "man",
    ];
    let overview = node.run(&["--help"]).stdout;
    for command in commands {
        assert!(
            overview.contains(&format!("  {command} ")),
            "{command} is missing in:\n{overview}"
        );
        assert_eq!(node.run(&[command, "--help"]).code, 0);
    }
    assert!(node.run(&["completions", "bash"]).stdout.contains("khlong"));
    let pages = node.beside("man");
    assert_eq!(node.run(&["man", pages.to_str().unwrap()]).code, 0);
    assert!(pages.join("khlong-send.1").exists());
}
