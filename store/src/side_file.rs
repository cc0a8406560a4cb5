//! The side file: a second witness of the last acknowledged commit.
//!
//! RocksDB recovers to a point in time: at a damaged record it stops and says
//! nothing. So after every synced commit its number and running hash are also
//! written, unsynced, to `COMMITTED`. A start-up that finds the engine below it
//! (or on another history) refuses.
//!
//! Unsynced, because it is a witness and not a log: a power cut may lose its
//! last state, and then it is merely older than the engine, which is allowed.
//! Only synced commits are written to it, so it is never ahead of what the
//! engine promised to keep. 64 bytes at offset 0 lie within one sector and are
//! not torn; a file that still does not check is reported and passed over.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::engine::memory::MemoryDisk;
use crate::error::StoreError;
use crate::identity::Committed;
use crate::key::{Decoder, Encoder};

/// Size of the file.
pub const SIDE_BYTES: usize = 64;
/// Name of the file in the folder.
pub const SIDE_FILE: &str = "COMMITTED";
const MAGIC: [u8; 7] = *b"khlong\0";
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 16;
/// Magic 7 ‖ version 1 ‖ seq 8 ‖ hash 32 ‖ checksum 16.
const _: () = assert!(
    7 + 1 + 8 + 32 + CHECKSUM_BYTES == SIDE_BYTES,
    "the side file's fields fill it"
);

/// What a start-up found in the side file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SideState {
    /// There is none: a new folder, or a power cut before the first write.
    Missing,
    /// It does not check; it has no say.
    Unreadable,
    /// The last synced commit it heard of.
    Acknowledged(Committed),
}

/// Where the witness lives.
#[derive(Debug)]
pub(crate) enum SideFile {
    /// In the folder.
    Folder {
        /// Its path, for errors.
        path: PathBuf,
        /// Kept open: one `pwrite` a commit.
        file: File,
    },
    /// On an imaginary disk.
    Memory(MemoryDisk),
}

impl SideFile {
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(SIDE_FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| failed("open", &path, &error))?;
        Ok(Self::Folder { path, file })
    }

    pub(crate) fn read(&mut self) -> Result<SideState, StoreError> {
        match self {
            Self::Memory(disk) => Ok(disk
                .read_side()
                .map_or(SideState::Missing, |bytes| decode(&bytes))),
            Self::Folder { path, file } => {
                let mut bytes = [0; SIDE_BYTES];
                let outcome = file
                    .seek(SeekFrom::Start(0))
                    .and_then(|_| file.read_exact(&mut bytes));
                match outcome {
                    Ok(()) => Ok(decode(&bytes)),
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                        let length = file
                            .metadata()
                            .map_err(|error| failed("read", path, &error))?
                            .len();
                        Ok(if length == 0 {
                            SideState::Missing
                        } else {
                            SideState::Unreadable
                        })
                    }
                    Err(error) => Err(failed("read", path, &error)),
                }
            }
        }
    }

    pub(crate) fn write(&mut self, committed: Committed) -> Result<(), StoreError> {
        let bytes = encode(committed);
        match self {
            Self::Memory(disk) => {
                disk.write_side(bytes);
                Ok(())
            }
            Self::Folder { path, file } => file
                .seek(SeekFrom::Start(0))
                .and_then(|_| file.write_all(&bytes))
                .map_err(|error| failed("write", path, &error)),
        }
    }
}

/// What the side file of `folder` says. Nothing is made or written.
pub(crate) fn peek(folder: &Path) -> Result<SideState, StoreError> {
    let path = folder.join(SIDE_FILE);
    match File::open(&path) {
        Ok(file) => SideFile::Folder { path, file }.read(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(SideState::Missing),
        Err(error) => Err(failed("open", &path, &error)),
    }
}

pub(crate) fn encode(committed: Committed) -> [u8; SIDE_BYTES] {
    let body = Encoder::new()
        .fixed(&MAGIC)
        .u8(VERSION)
        .u64(committed.seq)
        .fixed(&committed.hash)
        .finish();
    let mut bytes = [0; SIDE_BYTES];
    let (fields, checksum_field) = bytes.split_at_mut(SIDE_BYTES - CHECKSUM_BYTES);
    fields.copy_from_slice(&body);
    checksum_field.copy_from_slice(&checksum(&body));
    bytes
}

fn decode(bytes: &[u8; SIDE_BYTES]) -> SideState {
    let (body, stored) = bytes.split_at(SIDE_BYTES - CHECKSUM_BYTES);
    let mut fields = Decoder::new(body);
    let is_ours = fields.fixed() == Some(MAGIC) && fields.u8() == Some(VERSION);
    match Committed::decode(fields.tail()) {
        Some(committed) if is_ours && checksum(body) == *stored => {
            SideState::Acknowledged(committed)
        }
        Some(_) | None => SideState::Unreadable,
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut checksum = [0; CHECKSUM_BYTES];
    let mut hasher = blake3::Hasher::new_derive_key("khlong.network 2026-11 store side file v1");
    hasher.update(body).finalize_xof().fill(&mut checksum);
    checksum
}

fn failed(operation: &'static str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Folder {
        operation,
        path: path.to_path_buf(),
        message: error.to_string(),
    }
}
