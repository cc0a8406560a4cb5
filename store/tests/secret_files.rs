//! Files of secrets: read if they are their owner's alone, and never shown.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use khlong_store::secret_file::{SECRET_FILE_BYTES_MAX, SecretFileError, read_secret_file};
use tempfile::TempDir;

const SECRET: &str = "not-a-word-of-any-message";

/// A file with this in it, and with these rights.
fn file(content: &[u8], mode: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

#[test]
fn the_end_of_the_line_is_left_out_and_nothing_else() {
    for (end, left) in [("", ""), ("\n", ""), ("\r\n", ""), (" \n", " ")] {
        let (_folder, path) = file(format!(" {SECRET}{end}").as_bytes(), 0o600);
        let text = read_secret_file(&path).unwrap();
        assert_eq!(text, format!(" {SECRET}{left}"));
    }
    let (_folder, path) = file(SECRET.as_bytes(), 0o400);
    assert_eq!(read_secret_file(&path).unwrap(), SECRET);
}

#[test]
fn what_is_open_to_others_is_refused_also_behind_a_link() {
    for mode in [0o640, 0o604, 0o620, 0o602, 0o601, 0o777] {
        let (folder, path) = file(SECRET.as_bytes(), mode);
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        for path in [path, link] {
            let error = read_secret_file(&path).unwrap_err();
            let is_open =
                matches!(&error, SecretFileError::Open { mode: found, .. } if *found == mode);
            assert!(is_open && error.is_untrusted(), "{mode:o}: {error}");
            let wanted = format!("chmod 600 {}", path.display());
            assert!(error.to_string().contains(&wanted), "{error}");
            assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
        }
    }
}

#[test]
fn no_more_is_read_than_a_secret_has() {
    let most = usize::try_from(SECRET_FILE_BYTES_MAX).unwrap();
    let (_folder, path) = file(&vec![b'a'; most], 0o600);
    assert_eq!(read_secret_file(&path).unwrap().len(), most);
    let (_folder, path) = file(&vec![b'a'; most + 1], 0o600);
    let error = read_secret_file(&path).unwrap_err();
    assert!(matches!(error, SecretFileError::TooLong { .. }), "{error}");
    assert!(!error.is_untrusted());
}

/// Nobody writes to the pipe: whoever opened it would wait for good.
#[test]
fn a_folder_or_a_pipe_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for path in [folder.path(), &pipe] {
        let error = read_secret_file(path).unwrap_err();
        assert!(matches!(error, SecretFileError::NoFile { .. }), "{error}");
    }
}

#[test]
fn what_is_no_text_or_not_there_is_told_by_its_path() {
    let (folder, path) = file(&[0xff, 0xfe], 0o600);
    let error = read_secret_file(&path).unwrap_err();
    assert!(matches!(error, SecretFileError::NoText { .. }), "{error}");
    for path in [folder.path().join("none"), folder.path().join("secret/in")] {
        let error = read_secret_file(&path).unwrap_err();
        assert!(
            matches!(error, SecretFileError::Unreadable { .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
    }
}
