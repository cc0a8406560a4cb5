//! Whose folder it is: root writes nothing into that of the user under whom the relay runs.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use support::operator::{Home, code, data, said};
use support::user::{Program, USER, give};

/// Every file and folder, with its user.
fn owners(folder: &Path) -> BTreeMap<PathBuf, u32> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        found.insert(path.clone(), metadata.uid());
        if metadata.is_dir() {
            found.extend(owners(&path));
        }
    }
    found
}

/// A set-up that a package has made for a user, unless this is not root.
fn of_user(test: &str) -> Option<Home> {
    let home = Home::init();
    if give(&home.path("")) {
        return Some(home);
    }
    eprintln!("SKIPPED  {test}: only root can make a folder of another user");
    None
}

fn is_refused(output: &Output) {
    assert_eq!(code(output), 4, "{}", said(output));
    let told = said(output);
    assert!(told.contains("sudo -u '#12345'"), "{told}");
}

#[test]
fn root_leaves_nothing_in_the_folder_of_a_service() {
    let Some(home) = of_user("root_leaves_nothing_in_the_folder_of_a_service") else {
        return;
    };
    let before = owners(&home.path(""));
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("backup");
    is_refused(&home.backup("create", &target));
    for command in [&["check"][..], &["run"], &["run", "--accept-loss"]] {
        is_refused(&home.command(command).output().unwrap());
    }
    // What looks at the configuration only looks.
    let checked = home.command(&["config", "check"]).output().unwrap();
    assert_eq!(code(&checked), 0, "{}", said(&checked));
    assert_eq!(owners(&home.path("")), before);
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);

    // As it says.
    let program = Program::open();
    let by_user = |arguments: &[&str], more: &Path| {
        let mut command = home.command(arguments);
        let done = program.by_user(command.arg(more)).output().unwrap();
        data(&done)
    };
    assert!(give(elsewhere.path()));
    by_user(&["--json", "backup", "create"], &target);
    by_user(&["--json", "backup", "verify"], &target);
    let all = [owners(&home.path("")), owners(elsewhere.path())];
    assert!(
        all.iter()
            .flat_map(BTreeMap::values)
            .all(|own| *own == USER)
    );

    // The folder is lost; a restore goes where its user can open it, or nowhere.
    std::fs::remove_dir_all(home.path("data")).unwrap();
    is_refused(&home.backup("restore", &target));
    is_refused(&home.command(&["init"]).output().unwrap());
    assert!(!home.path("data").exists());
    by_user(&["--json", "backup", "restore"], &target);
    let restored = owners(&home.path("data"));
    assert!(restored.values().all(|own| *own == USER), "{restored:?}");
}

/// The relay goes on, and its user can go on after root has tried.
#[test]
fn root_leaves_nothing_beside_a_relay_that_runs() {
    let Some(home) = of_user("root_leaves_nothing_beside_a_relay_that_runs") else {
        return;
    };
    let program = Program::open();
    let mut run = program.by_user(&home.command(&["run", "--json", "--log", "error"]));
    let relay = home.serve(run.stdin(Stdio::null()));
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(give(elsewhere.path()));
    let mut create = home.command(&["--json", "backup", "create"]);
    create.args(["--admin", relay.admin()]);
    create.arg(elsewhere.path().join("backup"));
    is_refused(&create.output().unwrap());
    assert!(!home.path("data/BACKUP").exists());
    data(&program.by_user(&create).output().unwrap());
}

#[test]
fn root_makes_no_relay_in_the_folder_of_a_service() {
    let folder = tempfile::tempdir().unwrap();
    if !give(folder.path()) {
        eprintln!(
            "SKIPPED  root_makes_no_relay_in_the_folder_of_a_service: only root can make a folder of another user"
        );
        return;
    }
    let init_at = |config: &str| {
        let mut init = Command::new(env!("CARGO_BIN_EXE_khlong-relay"));
        init.arg("--config").arg(folder.path().join(config));
        init.args(["init", "--host", "127.0.0.1"]);
        init
    };
    let mut init = init_at("relay.toml");
    is_refused(&init.output().unwrap());
    is_refused(&init_at("one/two/relay.toml").output().unwrap());
    let count = || std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(count(), 0, "no key either");
    let made = Program::open().by_user(&init).output().unwrap();
    assert_eq!(code(&made), 0, "{}", said(&made));
    assert_eq!(count(), 3);
}
