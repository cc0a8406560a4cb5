//! What lies under the cipher: packing, lengths, the packed bytes, padding.
//!
//! `packing u8 ‖ plaintext_len u32 ‖ packed_len u32 ‖ packed ‖ zeros`, in all of a
//! Padmé length. Every length is judged before a byte is unpacked, so that a small
//! envelope cannot ask for a large buffer.

use std::cell::RefCell;
use std::io;

use khlong_crdt::reader::{Reader, Truncated};
use zeroize::Zeroizing;
use zstd::bulk::{Compressor, Decompressor};

use super::{OpenError, SealError};

/// Bytes of plaintext of one envelope. Default 1 MiB: a page's whole content.
pub const PLAINTEXT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes before the packed bytes.
pub const CONTENT_OVERHEAD_BYTES: usize = 9;

const PACKING_STORED: u8 = 0;
const PACKING_ZSTD: u8 = 1;
/// The default of zstd: most of the gain at a tenth of the time of level 19.
const ZSTD_LEVEL: i32 = 3;

/// The Padmé length of `length` bytes: at most 12 % more, and only O(log log n) bits
/// of the length remain visible (Nikitin et al., "Reducing Metadata Leakage from
/// Encrypted Files and Communication with PURBs", PETS 2019, §4).
#[must_use]
pub const fn padded_length(length: usize) -> usize {
    if length < 4 {
        return length;
    }
    let exponent = length.ilog2();
    let significant = exponent.ilog2() + 1;
    let mask = (1_usize << exponent.saturating_sub(significant)) - 1;
    (length + mask) & !mask
}

thread_local! {
    // Making one costs more than a message does. They carry nothing from one call to the next.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Packs and pads. Compresses when that makes it smaller.
pub(super) fn pack(plaintext: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let too_long = SealError::PlaintextTooLong {
        bytes: plaintext.len(),
    };
    if plaintext.len() > PLAINTEXT_BYTES_MAX {
        return Err(too_long);
    }
    let compressed = compress(plaintext)
        .ok()
        .map(Zeroizing::new)
        .filter(|compressed| compressed.len() < plaintext.len());
    let (packing, packed) = match &compressed {
        Some(compressed) => (PACKING_ZSTD, compressed.as_slice()),
        None => (PACKING_STORED, plaintext),
    };
    let plaintext_len = u32::try_from(plaintext.len()).map_err(|_| too_long.clone())?;
    let packed_len = u32::try_from(packed.len()).map_err(|_| too_long)?;
    let padded = padded_length(CONTENT_OVERHEAD_BYTES + packed.len());
    let mut content = Zeroizing::new(Vec::with_capacity(padded));
    content.push(packing);
    content.extend_from_slice(&plaintext_len.to_be_bytes());
    content.extend_from_slice(&packed_len.to_be_bytes());
    content.extend_from_slice(packed);
    content.resize(padded, 0);
    Ok(content)
}

/// The inverse of [`pack`], for content that a stranger may have made.
pub(super) fn unpack(content: &[u8]) -> Result<Vec<u8>, OpenError> {
    let cut = |_: Truncated| OpenError::Length;
    let mut reader = Reader::new(content);
    let packing = reader.u8().map_err(cut)?;
    let declared = reader.u32().map_err(cut)?;
    let plaintext_len = usize::try_from(declared)
        .ok()
        .filter(|length| *length <= PLAINTEXT_BYTES_MAX)
        .ok_or(OpenError::PlaintextTooLong { bytes: declared })?;
    let packed_len = usize::try_from(reader.u32().map_err(cut)?).map_err(|_| OpenError::Length)?;
    let packed = reader.take(packed_len).map_err(cut)?;
    if content.len() != padded_length(CONTENT_OVERHEAD_BYTES + packed_len)
        || reader.rest().iter().any(|byte| *byte != 0)
    {
        return Err(OpenError::Padding);
    }
    match packing {
        PACKING_STORED if packed.len() == plaintext_len => Ok(packed.to_vec()),
        PACKING_STORED => Err(OpenError::Length),
        PACKING_ZSTD => decompress(packed, plaintext_len),
        unknown => Err(OpenError::Packing(unknown)),
    }
}

fn compress(plaintext: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(kept) => kept.compress(plaintext),
        None => kept
            .insert(Compressor::new(ZSTD_LEVEL)?)
            .compress(plaintext),
    })
}

fn decompress(packed: &[u8], plaintext_len: usize) -> Result<Vec<u8>, OpenError> {
    // The destination has exactly the declared capacity: a stream that gives more
    // ends in an error, whatever its own header claims.
    let mut plaintext = vec![0; plaintext_len];
    let written = DECOMPRESSOR
        .with_borrow_mut(|kept| match kept {
            Some(kept) => kept.decompress_to_buffer(packed, &mut plaintext),
            None => {
                let fresh = kept.insert(Decompressor::new()?);
                fresh.decompress_to_buffer(packed, &mut plaintext)
            }
        })
        .map_err(|_| OpenError::Decompression)?;
    if written != plaintext_len {
        return Err(OpenError::Decompression);
    }
    Ok(plaintext)
}
