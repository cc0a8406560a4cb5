//! The only part of the import that touches a disk.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::irc::day_of_file_name;
use super::{IMPORT_FILE_BYTES_MAX, IMPORT_FILES_MAX, ImportError};

/// The IRC day files that `path` names: itself if it is a file, else the files
/// `YYYY-MM-DD.txt` in that folder (not below it), oldest day first. Other
/// files of the folder are left alone.
///
/// # Errors
/// [`ImportError::Unreadable`], [`ImportError::NoDayFiles`] for a folder
/// without one, [`ImportError::TooManyFiles`].
pub fn irc_day_files(path: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let metadata = fs::metadata(path).map_err(|source| unreadable(path, source))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|source| unreadable(path, source))? {
        let entry = entry.map_err(|source| unreadable(path, source))?.path();
        let Some(name) = entry.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if day_of_file_name(name).is_none() || !entry.is_file() {
            continue;
        }
        if files.len() >= IMPORT_FILES_MAX {
            return Err(ImportError::TooManyFiles {
                folder: path.display().to_string(),
            });
        }
        files.push(entry);
    }
    if files.is_empty() {
        return Err(ImportError::NoDayFiles {
            folder: path.display().to_string(),
        });
    }
    // Equal widths, so the order of the names is the order of the days.
    files.sort();
    Ok(files)
}

/// Reads one export, at most [`IMPORT_FILE_BYTES_MAX`] bytes of it into memory.
///
/// # Errors
/// [`ImportError::Unreadable`], [`ImportError::FileTooLarge`].
pub fn read_export(path: &Path) -> Result<Vec<u8>, ImportError> {
    let file = open_export(path)?;
    let limit = IMPORT_FILE_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|source| unreadable(path, source))?;
    if bytes.len() > IMPORT_FILE_BYTES_MAX {
        return Err(ImportError::FileTooLarge {
            file: path.display().to_string(),
        });
    }
    Ok(bytes)
}

/// Opens an export that is read as a stream.
///
/// # Errors
/// [`ImportError::Unreadable`].
pub fn open_export(path: &Path) -> Result<File, ImportError> {
    File::open(path).map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: io::Error) -> ImportError {
    ImportError::Unreadable {
        path: path.display().to_string(),
        source,
    }
}
