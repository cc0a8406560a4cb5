//! `doctor` and the variables of the environment: ours, those of our other programs, and slips.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use khlong_node::doctor::SECTIONS_OF_OTHERS;
use serde_json::Value;

use crate::doctor::{examine, finds_only, well};
use crate::relay::Relay;

#[test]
fn a_setting_that_is_mistyped() {
    let relay = Relay::start();
    let node = well(&relay);
    let mut command = node.command();
    command.env("KHLONG_PASPHRASE_FILE", "/secret");
    finds_only(
        &mut command,
        "settings",
        3,
        &[
            "KHLONG_PASPHRASE_FILE",
            "did you mean KHLONG_PASSPHRASE_FILE",
        ],
    );
    let mut command = node.command();
    // Other programs of ours read these.
    command.env("KHLONG_STORE__RESERVE", "1GiB");
    command.env("KHLONG_RELAY_CONFIG", "relay.toml");
    assert_eq!(examine(&mut command).0, 0);
    let mut command = node.command();
    command.env("KHLONG_PASSPHRASE_FILE", node.beside("nowhere"));
    finds_only(&mut command, "settings", 3, &["nowhere"]);
}

/// Sections of a program's configuration, as it says itself.
fn sections(program: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_BIN_EXE_khlong")).with_file_name(program);
    let said = Command::new(&path).args(["config", "schema"]).output();
    let said = said.expect("build it first: cargo build --workspace");
    let schema: Value = serde_json::from_slice(&said.stdout).unwrap();
    let sections: BTreeSet<String> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(|name| name.to_ascii_uppercase())
        .collect();
    assert!(sections.len() > 4, "{sections:?}");
    sections
}

#[test]
fn settings_of_relay_and_gateway_are_no_slips() {
    let relay = Relay::start();
    let node = well(&relay);
    let mut all = sections("khlong-relay");
    all.extend(sections("khlong-gateway"));
    let mut command = node.command();
    for section in &all {
        command.env(format!("KHLONG_{section}__SOMETHING"), "1");
    }
    for name in [
        "KHLONG_JOURNAL__POSTGRES",
        "KHLONG_KEYS__SHOP__SECRET",
        "KHLONG_journal__password",
        "KHLONG_FUZZ_SECONDS",
        "KHLONG_FUZZ_SEED",
        "KHLONG_SIM_COMMIT",
        "KHLONG_WRITE_VECTORS",
    ] {
        command.env(name, "1");
    }
    let (code, checks) = examine(&mut command);
    assert_eq!(code, 0, "{}", checks["settings"]);

    let mut command = node.command();
    command.env("KHLONG_JURNAL__POSTGRES", "1");
    let meant = ["KHLONG_JURNAL__POSTGRES", "mean KHLONG_JOURNAL__POSTGRES"];
    finds_only(&mut command, "settings", 3, &meant);
    let mut command = node.command();
    command.env("KHLONG_BOOKS__POSTGRES", "1");
    finds_only(&mut command, "settings", 3, &["KHLONG_BOOKS__POSTGRES"]);
    let let_through: BTreeSet<String> = SECTIONS_OF_OTHERS.map(str::to_owned).into();
    assert_eq!(let_through, all, "a section is new, or is none any more");
}
