//! Completions and manual pages of `khlong-gateway` tell of everything that its help tells of.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "../../node/tests/shared/manual.rs"]
mod manual;

#[test]
fn every_command_and_flag_is_in_completions_and_manual() {
    let folder = tempfile::tempdir().unwrap();
    manual::check(env!("CARGO_BIN_EXE_khlong-gateway"), folder.path());
}
