//! `khlong-gateway`, the program that an operator uses; it is built beside this one.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Failure;

/// Runs it, and reads the object that it prints.
pub(crate) fn gateway(arguments: &[&str], paths: &[&Path]) -> Result<Value, Failure> {
    let said = said(arguments, paths)?;
    Ok(serde_json::from_str(&said).unwrap_or_default())
}

/// Runs it, and returns what it prints.
pub(crate) fn said(arguments: &[&str], paths: &[&Path]) -> Result<String, Failure> {
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent);
    let program: PathBuf = folder
        .ok_or("the demo runs from the target folder")?
        .join(format!("khlong-gateway{}", std::env::consts::EXE_SUFFIX));
    let done = Command::new(&program)
        .args(arguments)
        .args(paths)
        .output()?;
    if !done.status.success() {
        let words = String::from_utf8_lossy(&done.stderr);
        return Err(format!("khlong-gateway {arguments:?}: {words}").into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

/// A field of an object, as text.
pub(crate) fn field(value: &Value, name: &str) -> Result<String, Failure> {
    let found = value
        .pointer(name)
        .ok_or("the program says less than expected")?;
    Ok(found
        .as_str()
        .map_or_else(|| found.to_string(), str::to_owned))
}
