//! Bytes that were frozen, and the hands to compare them with.

use std::fs;
use std::path::PathBuf;

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

/// The frozen bytes; under `KHLONG_FREEZE` they become what they are today.
pub fn frozen(name: &str, today: &[u8]) -> Vec<u8> {
    if std::env::var_os("KHLONG_FREEZE").is_some() {
        fs::write(testdata(name), today).unwrap();
    }
    fs::read(testdata(name)).unwrap()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
        .collect()
}
