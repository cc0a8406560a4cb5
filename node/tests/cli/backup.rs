//! `backup` and `restore`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use crate::node::{Node, command_in};

fn restore(backup: &Path, home: &Path) -> Output {
    command_in(home, None)
        .arg("restore")
        .arg(backup)
        .output()
        .unwrap()
}

#[test]
fn a_node_comes_back_from_its_backup() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("kept");
    node.json(&["send", &timeline, "before the backup", "--wait", "none"]);
    let (backup, home) = (node.beside("backup"), node.beside("restored"));
    node.json(&["backup", backup.to_str().unwrap()]);
    assert_eq!(
        backup.metadata().unwrap().permissions().mode() & 0o077,
        0,
        "the keys are in it"
    );
    let original = node.json(&["send", &timeline, "after the backup", "--wait", "none"]);

    assert!(restore(&backup, &home).status.success());
    let run = |arguments: &[&str]| {
        let output = command_in(&home, None).args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let log = run(&["log", &timeline]);
    assert!(
        log.contains("before the backup") && !log.contains("after the backup"),
        "{log}"
    );
    let anew = run(&[
        "send",
        &timeline,
        "written anew",
        "--wait",
        "none",
        "--json",
    ]);
    let original = original["place"].as_str().unwrap();
    let (author, _) = original.split_once(':').unwrap();
    assert!(
        anew.contains("aut_") && !anew.contains(author),
        "two devices with one author key would fork its chain: {anew}"
    );
    assert!(run(&["log", &timeline]).contains("written anew"));
    assert_eq!(
        restore(&backup, &home).status.code(),
        Some(3),
        "a node is never overwritten"
    );
}

#[test]
fn a_daemon_is_backed_up_while_it_runs() {
    let node = Node::new("mali");
    let timeline = node.open_timeline("live");
    let _daemon = node.daemon();
    node.json(&["send", &timeline, "through the daemon"]);
    let (backup, home) = (node.beside("backup"), node.beside("restored"));
    node.json(&["backup", backup.to_str().unwrap()]);
    assert!(restore(&backup, &home).status.success());
    let log = command_in(&home, None)
        .args(["log", &timeline])
        .output()
        .unwrap();
    assert!(
        String::from_utf8(log.stdout)
            .unwrap()
            .contains("through the daemon")
    );
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let node = Node::new("mali");
    let backup = node.beside("backup");
    node.json(&["backup", backup.to_str().unwrap()]);
    let home = node.beside("restored");
    let key = backup.join("keys");
    let mut bytes = fs::read(&key).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&key, &bytes).unwrap();
    assert_eq!(restore(&backup, &home).status.code(), Some(9));
    assert!(!home.exists());

    fs::remove_file(backup.join("MANIFEST.json")).unwrap();
    assert_eq!(
        restore(&backup, &home).status.code(),
        Some(3),
        "without its manifest it is no backup"
    );
    assert_eq!(
        node.run(&["backup", backup.to_str().unwrap()]).code,
        3,
        "and it is not overwritten"
    );
}

#[test]
fn a_backup_cannot_write_outside_the_new_folder() {
    let node = Node::new("mali");
    let backup = node.beside("backup");
    node.json(&["backup", backup.to_str().unwrap()]);
    let manifest = backup.join("MANIFEST.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("\"store/", "\"../../store/", 1)).unwrap();
    assert_eq!(
        restore(&backup, &node.beside("restored")).status.code(),
        Some(3)
    );
}

/// A command that failed before it had stopped its node ended the process while
/// the database was closing: up to 18 of 25 runs died by a signal. How many is a
/// matter of luck, so the database's own diary is asked too, which each start begins anew.
#[test]
fn a_refused_command_ends_with_its_exit_code_every_time() {
    const RUNS: u32 = 20;
    let node = Node::new("mali");
    let timeline = node.open_timeline("kept");
    let taken = node.beside("taken");
    fs::create_dir(&taken).unwrap();
    for run in 1..=RUNS {
        // `run` panics where there is no exit code, as after a signal.
        let said = node.run(&["backup", taken.to_str().unwrap()]);
        assert_eq!(said.code, 3, "run {run}: {}", said.stderr);
        assert!(
            said.stdout.is_empty() && said.stderr.contains("exists already"),
            "run {run}: {}{}",
            said.stdout,
            said.stderr
        );
        let diary = fs::read_to_string(node.home().join("store/db/LOG")).unwrap();
        assert!(
            diary.contains("Shutdown complete"),
            "run {run}: the process ended before the database had closed"
        );
    }
    assert_eq!(fs::read_dir(&taken).unwrap().count(), 0);
    assert!(node.bodies(&timeline).is_empty(), "the node still opens");
}
