//! Text of operators: whole, or refused.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use khlong_settings::text_file::{TEXT_FILE_BYTES_MAX, read_text_file};

#[test]
fn no_more_is_read_than_text_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long");
    let most = usize::try_from(TEXT_FILE_BYTES_MAX).unwrap();
    fs::write(&path, vec![b'#'; most]).unwrap();
    assert_eq!(read_text_file(&path).unwrap().len(), most);
    // As long as a disk, without the space of one.
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let error = read_text_file(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    assert!(error.to_string().contains("4194304 bytes"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_device_without_an_end_is_refused() {
    let error = read_text_file(Path::new("/dev/zero")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
}

#[test]
fn thai_is_text_and_other_bytes_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thai");
    fs::write(&path, "คลอง\n").unwrap();
    assert_eq!(read_text_file(&path).unwrap(), "คลอง\n");
    fs::write(&path, [0xff, 0xfe]).unwrap();
    let error = read_text_file(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let none = read_text_file(&folder.path().join("none")).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound);
}
