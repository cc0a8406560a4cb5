//! Tells the program which commit it was built from, for the manifests of its runs.

use std::process::Command;

/// Sources that a run depends on.
const SOURCES: &[&str] = &["crdt", "sync", "store", "node", "relay", "simulations"];

fn main() {
    // Moves with every commit and checkout, also in a worktree.
    if let Some(log) = output("git", &["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
    for source in SOURCES {
        println!("cargo:rerun-if-changed=../{source}/src");
    }
    let commit = output("git", &["rev-parse", "HEAD"]).unwrap_or_default();
    let modified = output(
        "git",
        &["status", "--porcelain", "--untracked-files=no", ".."],
    )
    .is_some_and(|changes| !changes.is_empty());
    let rustc = std::env::var("RUSTC")
        .ok()
        .and_then(|rustc| output(&rustc, &["--version"]))
        .unwrap_or_default();
    println!("cargo:rustc-env=KHLONG_SIM_COMMIT={commit}");
    println!("cargo:rustc-env=KHLONG_SIM_MODIFIED={modified}");
    println!("cargo:rustc-env=KHLONG_SIM_RUSTC={rustc}");
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
