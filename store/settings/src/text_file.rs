//! Text that an operator wrote, read up to a bound: what is named by mistake may be a disk.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The most that is read of a configuration or of a file of certificates: those that systems come
/// with have about 250 kB.
pub const TEXT_FILE_BYTES_MAX: u64 = 4 << 20;

/// What `path` says, a file or a pipe.
///
/// # Errors
/// The system's, [`io::ErrorKind::FileTooLarge`] beyond [`TEXT_FILE_BYTES_MAX`], and
/// [`io::ErrorKind::InvalidData`] for what is no UTF-8.
pub fn read_text_file(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(TEXT_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > TEXT_FILE_BYTES_MAX {
        let more = format!("it has more than {TEXT_FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, more));
    }
    String::from_utf8(bytes).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "it holds something else than text (UTF-8)",
        )
    })
}
