//! Files of a backup: copied, hashed and made durable in one pass.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;

use super::BackupError;

/// Deepest folder in a backup: `store/db`.
const DEPTH_MAX: usize = 3;
const CHUNK_BYTES: usize = 256 * 1024;

/// Size and checksum of what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summed {
    pub(super) bytes: u64,
    pub(super) hash: blake3::Hash,
}

/// Reads the whole file.
pub(super) fn sum(path: &Path) -> Result<Summed, BackupError> {
    pass(path, |_| Ok(()))
}

/// Copies a file to a new one that only its owner may read, synced; what was read of it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<Summed, BackupError> {
    let mut file = create(to)?;
    let summed = pass(from, |part| {
        file.write_all(part).map_err(BackupError::io("write", to))
    })?;
    file.sync_all().map_err(BackupError::io("write", to))?;
    Ok(summed)
}

/// Writes a new file that only its owner may read, synced.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let mut file = create(path)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(BackupError::io("write", path))
}

/// Makes a folder that only its owner may look into.
pub(super) fn make_folder(path: &Path) -> Result<(), BackupError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .recursive(true)
        .create(path)
        .map_err(BackupError::io("make", path))
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), BackupError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(BackupError::io("write", path))
}

/// Every file below `root`, as a path inside it, in order.
pub(super) fn list(root: &Path) -> Result<Vec<String>, BackupError> {
    let mut names = Vec::new();
    list_into(root, "", 0, &mut names)?;
    names.sort_unstable();
    Ok(names)
}

/// Removes a folder if it is there.
pub(super) fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(BackupError::io("remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn list_into(
    folder: &Path,
    inside: &str,
    depth: usize,
    names: &mut Vec<String>,
) -> Result<(), BackupError> {
    for entry in fs::read_dir(folder).map_err(BackupError::io("read", folder))? {
        let entry = entry.map_err(BackupError::io("read", folder))?;
        let name = format!("{inside}{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        let kind = entry.file_type().map_err(BackupError::io("read", &path))?;
        if kind.is_dir() && depth < DEPTH_MAX {
            list_into(&path, &format!("{name}/"), depth + 1, names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

fn create(path: &Path) -> Result<File, BackupError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(BackupError::io("make", path))
}

fn pass(
    path: &Path,
    mut each: impl FnMut(&[u8]) -> Result<(), BackupError>,
) -> Result<Summed, BackupError> {
    let mut file = File::open(path).map_err(BackupError::io("read", path))?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file
            .read(&mut chunk)
            .map_err(BackupError::io("read", path))?;
        let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else {
            break;
        };
        hasher.update(part);
        each(part)?;
    }
    Ok(Summed {
        bytes: hasher.count(),
        hash: hasher.finalize(),
    })
}
