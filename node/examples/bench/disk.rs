//! What the disk can do in this minute: without it no durable figure means anything.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::processes::Failure;

const BLOCK_BYTES: usize = 4_096;
const FOR: Duration = Duration::from_millis(500);

/// fdatasyncs a second of appends of 4 KiB to one file.
pub(crate) fn syncs_per_second(folder: &Path) -> Result<f64, Failure> {
    let path = folder.join("fdatasync");
    let mut file = File::create(&path)?;
    let block = [b'x'; BLOCK_BYTES];
    let begun = Instant::now();
    let mut syncs = 0_u32;
    while begun.elapsed() < FOR {
        file.write_all(&block)?;
        file.sync_data()?;
        syncs += 1;
    }
    let rate = f64::from(syncs) / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}
