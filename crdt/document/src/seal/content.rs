//! What lies under the cipher: packing, lengths, the packed bytes, padding.
//!
//! `packing u8 ‖ plaintext_len ‖ packed_len ‖ packed ‖ zeros`, in all of a Padmé length; the
//! lengths are u32, or varints where a dictionary is used. Every length is judged before a
//! byte is unpacked, so that a small envelope cannot ask for a large buffer.

use std::cell::RefCell;
use std::io;

use khlong_crdt::reader::{Reader, Truncated};
use zeroize::Zeroizing;
use zstd::bulk::{Compressor, Decompressor};

use super::dictionary::Dictionary;
use super::{OpenError, SealError};
use crate::varint;

/// Bytes of plaintext of one envelope. Default 1 MiB: a page's whole content.
pub const PLAINTEXT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes before the packed bytes.
pub const CONTENT_OVERHEAD_BYTES: usize = 9;

const PACKING_STORED: u8 = 0;
const PACKING_ZSTD: u8 = 1;
const PACKING_THAI_1: u8 = 2;
const PACKING_ENGLISH_1: u8 = 3;
/// The default of zstd: most of the gain at a tenth of the time of level 19.
const ZSTD_LEVEL: i32 = 3;
/// Beyond, a plaintext has enough in it to be compressed by itself, and much faster.
const DICTIONARY_BYTES_MAX: usize = 64 * 1024;

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

/// Packs and pads: the shortest packing, of equally short ones the lowest.
pub(super) fn pack(plaintext: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let too_long = SealError::PlaintextTooLong {
        bytes: plaintext.len(),
    };
    if plaintext.len() > PLAINTEXT_BYTES_MAX {
        return Err(too_long);
    }
    let plaintext_len = u32::try_from(plaintext.len()).map_err(|_| too_long)?;
    let mut shortest = with_fixed_lengths(PACKING_STORED, plaintext_len, plaintext);
    if let Ok(packed) = compress(plaintext).map(Zeroizing::new) {
        let content = with_fixed_lengths(PACKING_ZSTD, plaintext_len, &packed);
        keep_shorter(&mut shortest, content);
    }
    if plaintext.len() <= DICTIONARY_BYTES_MAX {
        for dictionary in Dictionary::ALL {
            let packing = match dictionary {
                Dictionary::Thai1 => PACKING_THAI_1,
                Dictionary::English1 => PACKING_ENGLISH_1,
            };
            if let Ok(packed) = dictionary.compress(plaintext).map(Zeroizing::new) {
                let content = with_varints(packing, plaintext_len, &packed);
                keep_shorter(&mut shortest, content);
            }
        }
    }
    let padded = padded_length(shortest.len());
    shortest.resize(padded, 0);
    Ok(shortest)
}

fn keep_shorter(shortest: &mut Zeroizing<Vec<u8>>, other: Zeroizing<Vec<u8>>) {
    if other.len() < shortest.len() {
        *shortest = other;
    }
}

/// With room for the padding, so that no copy of it is left behind.
fn unpadded(packing: u8, packed: &[u8]) -> Zeroizing<Vec<u8>> {
    let longest = padded_length(CONTENT_OVERHEAD_BYTES + packed.len());
    let mut content = Zeroizing::new(Vec::with_capacity(longest));
    content.push(packing);
    content
}

fn with_fixed_lengths(packing: u8, plaintext_len: u32, packed: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut content = unpadded(packing, packed);
    content.extend_from_slice(&plaintext_len.to_be_bytes());
    let packed_len = u32::try_from(packed.len()).unwrap_or(u32::MAX);
    content.extend_from_slice(&packed_len.to_be_bytes());
    content.extend_from_slice(packed);
    content
}

fn with_varints(packing: u8, plaintext_len: u32, packed: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut content = unpadded(packing, packed);
    varint::write(&mut content, u64::from(plaintext_len));
    varint::write(&mut content, packed.len() as u64);
    content.extend_from_slice(packed);
    content
}

/// The inverse of [`pack`], for content that a stranger may have made.
pub(super) fn unpack(content: &[u8]) -> Result<Vec<u8>, OpenError> {
    let cut = |_: Truncated| OpenError::Length;
    let mut reader = Reader::new(content);
    let packing = reader.u8().map_err(cut)?;
    let (declared, packed_len) = match packing {
        PACKING_STORED | PACKING_ZSTD => {
            let declared = u64::from(reader.u32().map_err(cut)?);
            (declared, u64::from(reader.u32().map_err(cut)?))
        }
        PACKING_THAI_1 | PACKING_ENGLISH_1 => {
            let declared = varint::read(&mut reader).map_err(cut)?;
            (declared, varint::read(&mut reader).map_err(cut)?)
        }
        unknown => return Err(OpenError::Packing(unknown)),
    };
    let plaintext_len = usize::try_from(declared)
        .ok()
        .filter(|length| *length <= PLAINTEXT_BYTES_MAX)
        .ok_or(OpenError::PlaintextTooLong { bytes: declared })?;
    let packed_len = usize::try_from(packed_len).map_err(|_| OpenError::Length)?;
    let before = content.len() - reader.remaining();
    let packed = reader.take(packed_len).map_err(cut)?;
    if content.len() != padded_length(before + packed_len)
        || reader.rest().iter().any(|byte| *byte != 0)
    {
        return Err(OpenError::Padding);
    }
    let unpack: fn(&[u8], &mut [u8]) -> io::Result<usize> = match packing {
        PACKING_STORED if packed.len() == plaintext_len => return Ok(packed.to_vec()),
        PACKING_STORED => return Err(OpenError::Length),
        PACKING_ZSTD => decompress,
        PACKING_THAI_1 => |packed, plaintext| Dictionary::Thai1.decompress(packed, plaintext),
        _ => |packed, plaintext| Dictionary::English1.decompress(packed, plaintext),
    };
    // The destination has exactly the declared length: a stream that gives more ends in
    // an error, whatever its own header claims.
    let mut plaintext = vec![0; plaintext_len];
    match unpack(packed, &mut plaintext) {
        Ok(written) if written == plaintext_len => Ok(plaintext),
        Ok(_) | Err(_) => Err(OpenError::Decompression),
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

fn decompress(packed: &[u8], plaintext: &mut [u8]) -> io::Result<usize> {
    DECOMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(kept) => kept.decompress_to_buffer(packed, plaintext),
        None => {
            let fresh = kept.insert(Decompressor::new()?);
            fresh.decompress_to_buffer(packed, plaintext)
        }
    })
}
