//! Resident memory (Linux: `/proc`).

use std::fs;

use crate::processes::Failure;

const PAGE_BYTES: u64 = 4_096;
pub(crate) const MIB: f64 = 1024.0 * 1024.0;

/// Of this process.
pub(crate) fn resident_bytes() -> Result<u64, Failure> {
    resident_of("self")
}

/// Of a process.
pub(crate) fn resident_bytes_of(pid: u32) -> Result<u64, Failure> {
    resident_of(&pid.to_string())
}

fn resident_of(process: &str) -> Result<u64, Failure> {
    let statm = fs::read_to_string(format!("/proc/{process}/statm"))?;
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .ok_or("statm has no second field")?
        .parse()?;
    Ok(pages * PAGE_BYTES)
}
