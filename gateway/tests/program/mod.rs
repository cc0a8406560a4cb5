//! `khlong-gateway` as people run it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What it does in `folder`, with nothing on standard input.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What it says when it succeeds.
pub(crate) fn said(folder: &Path, arguments: &[&str]) -> String {
    let done = run(folder, arguments);
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(done.stdout).unwrap()
}

/// The same, as JSON.
pub(crate) fn object(folder: &Path, arguments: &[&str]) -> Value {
    let object: Value = serde_json::from_str(&said(folder, arguments)).unwrap();
    assert_eq!(object.get("schema_version"), Some(&1.into()));
    object
}

/// The exit code and what was said on standard error, when nothing was said on standard output.
pub(crate) fn refused(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let done = run(folder, arguments);
    assert_eq!(done.stdout, b"", "{arguments:?}");
    let stderr = String::from_utf8(done.stderr).unwrap();
    (done.status.code().unwrap(), stderr)
}

/// A file of a secret, for its owner alone.
pub(crate) fn write_secret(path: &Path, text: &str) {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

/// Opens a file to everybody, or closes it again.
#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Every file in a folder, and what is in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).unwrap();
            found.insert(path, content);
        }
    }
    found
}
