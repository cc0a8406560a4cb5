//! What lies under the cipher: packing, lengths, the packed bytes, padding.
//!
//! `packing u8 ‖ lengths ‖ packed ‖ zeros`, in all of a Padmé length. Every length is judged
//! before a byte is unpacked, so that a small envelope cannot ask for a large buffer.
//!
//! With a model or a dictionary a plaintext has two parts: a head that nothing makes shorter
//! (hashes, keys, numbers), which lies there as it is, and text, which is packed.

use std::cell::RefCell;
use std::io;

use khlong_crdt::reader::{Reader, Truncated};
use zeroize::Zeroizing;
use zstd::bulk::{Compressor, Decompressor};

use super::dictionary::Dictionary;
use super::model::{TEXT_BYTES_MAX, TextModel};
use super::{OpenError, SealError};
use crate::text::END;
use crate::varint;

/// Bytes of plaintext of one envelope. Default 1 MiB: a page's whole content.
pub const PLAINTEXT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes before the packed bytes in the longest packing that a writer takes.
pub const CONTENT_OVERHEAD_BYTES: usize = 9;
/// The same of packings in two parts, of which a writer takes shorter ones only.
const PARTS_OVERHEAD_BYTES_MAX: usize = 1 + 3 * 3;

const PACKING_STORED: u8 = 0;
const PACKING_ZSTD: u8 = 1;
/// The default of zstd: most of the gain at a tenth of the time of level 19.
const ZSTD_LEVEL: i32 = 3;
/// Beyond, text has enough in it to be compressed by itself, and a dictionary takes long:
/// about 3 ms for so much.
const DICTIONARY_BYTES_MAX: usize = 16 * 1024;

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

/// A plaintext in two parts, one behind the other.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// What a model of text would only make longer.
    pub(crate) head: &'a [u8],
    /// Everything else.
    pub(crate) text: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Nothing is known of it.
    pub(crate) const fn of_text(text: &'a [u8]) -> Self {
        Self { head: &[], text }
    }

    const fn len(&self) -> usize {
        self.head.len() + self.text.len()
    }
}

/// Packs and pads: the shortest packing when it is padded, of equally short ones the lowest.
pub(super) fn pack(parts: Parts<'_>) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let too_long = SealError::PlaintextTooLong { bytes: parts.len() };
    if parts.len() > PLAINTEXT_BYTES_MAX {
        return Err(too_long);
    }
    let plaintext_len = u32::try_from(parts.len()).map_err(|_| too_long)?;
    let plaintext = Zeroizing::new([parts.head, parts.text].concat());
    let mut shortest = whole(PACKING_STORED, plaintext_len, &plaintext);
    if let Ok(packed) = compress(&plaintext).map(Zeroizing::new) {
        let content = whole(PACKING_ZSTD, plaintext_len, &packed);
        if is_shorter(&content, &shortest) {
            shortest = content;
        }
    }
    match modelled(parts) {
        Some(content) => {
            if is_shorter(&content, &shortest) {
                shortest = content;
            }
        }
        None => try_dictionaries(parts, &mut shortest),
    }
    let padded = padded_length(shortest.len());
    shortest.resize(padded, 0);
    Ok(shortest)
}

/// With the model that makes the text shortest; None if none makes it shorter than it is.
fn modelled(parts: Parts<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let text = parts.text.strip_suffix(&[END])?;
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut shortest: Option<(TextModel, Zeroizing<Vec<u8>>)> = None;
    for model in TextModel::ALL {
        let code = match &shortest {
            None => model.compress(text, text.len()),
            Some((_, code)) if code.is_empty() => None,
            Some((_, code)) => model.compress(text, code.len() - 1),
        };
        shortest = code.map(|code| (model, code)).or(shortest);
    }
    let (model, code) = shortest?;
    let mut content = unpadded(model.packing(), parts.head.len() + code.len());
    for length in [parts.head.len(), text.len()] {
        varint::write(&mut content, length as u64);
    }
    content.extend_from_slice(parts.head);
    content.extend_from_slice(&code);
    Some(content)
}

fn try_dictionaries(parts: Parts<'_>, shortest: &mut Zeroizing<Vec<u8>>) {
    if parts.text.len() > DICTIONARY_BYTES_MAX {
        return;
    }
    for dictionary in Dictionary::ALL {
        if let Ok(packed) = dictionary.compress(parts.text).map(Zeroizing::new) {
            let content = in_parts(dictionary, parts, &packed);
            if is_shorter(&content, shortest) && reads_back(dictionary, &packed, parts.text) {
                *shortest = content;
            }
        }
    }
}

fn is_shorter(content: &[u8], than: &[u8]) -> bool {
    padded_length(content.len()) < padded_length(than.len())
}

/// A frame gets another header than its encoder wrote, so whether it is read is seen here
/// and not by everybody else.
fn reads_back(dictionary: Dictionary, packed: &[u8], text: &[u8]) -> bool {
    let mut read = Zeroizing::new(vec![0; text.len()]);
    let written = dictionary.decompress(packed, &mut read);
    written.is_ok_and(|written| written == text.len()) && *read == text
}

/// With room for the padding, so that no copy of it is left behind.
fn unpadded(packing: u8, bytes: usize) -> Zeroizing<Vec<u8>> {
    let longest = padded_length(PARTS_OVERHEAD_BYTES_MAX + bytes);
    let mut content = Zeroizing::new(Vec::with_capacity(longest));
    content.push(packing);
    content
}

fn whole(packing: u8, plaintext_len: u32, packed: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut content = unpadded(packing, packed.len());
    content.extend_from_slice(&plaintext_len.to_be_bytes());
    let packed_len = u32::try_from(packed.len()).unwrap_or(u32::MAX);
    content.extend_from_slice(&packed_len.to_be_bytes());
    content.extend_from_slice(packed);
    content
}

fn in_parts(dictionary: Dictionary, parts: Parts<'_>, packed: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut content = unpadded(dictionary.packing(), parts.head.len() + packed.len());
    for length in [parts.head.len(), parts.text.len(), packed.len()] {
        varint::write(&mut content, length as u64);
    }
    content.extend_from_slice(parts.head);
    content.extend_from_slice(packed);
    content
}

/// The inverse of [`pack`], for content that a stranger may have made.
pub(super) fn unpack(content: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut reader = Reader::new(content);
    let packing = reader.u8().map_err(cut)?;
    if let PACKING_STORED | PACKING_ZSTD = packing {
        return unpack_whole(packing, content.len(), reader);
    }
    if let Some(dictionary) = Dictionary::of_packing(packing) {
        return unpack_parts(dictionary, content.len(), reader);
    }
    let model = TextModel::of_packing(packing).ok_or(OpenError::Packing(packing))?;
    unpack_modelled(model, content.len(), reader)
}

const fn cut(_: Truncated) -> OpenError {
    OpenError::Length
}

fn unpack_whole(packing: u8, bytes: usize, mut reader: Reader<'_>) -> Result<Vec<u8>, OpenError> {
    let plaintext_len = bounded(u64::from(reader.u32().map_err(cut)?))?;
    let packed_len = usize::try_from(reader.u32().map_err(cut)?).map_err(|_| OpenError::Length)?;
    let before = bytes - reader.remaining();
    let packed = reader.take(packed_len).map_err(cut)?;
    check_padding(bytes, before + packed_len, reader)?;
    match packing {
        PACKING_STORED if packed.len() == plaintext_len => Ok(packed.to_vec()),
        PACKING_STORED => Err(OpenError::Length),
        _ => {
            let mut plaintext = vec![0; plaintext_len];
            filled(decompress(packed, &mut plaintext), plaintext_len)?;
            Ok(plaintext)
        }
    }
}

fn unpack_parts(
    dictionary: Dictionary,
    bytes: usize,
    mut reader: Reader<'_>,
) -> Result<Vec<u8>, OpenError> {
    let mut length = || varint::read(&mut reader).map_err(cut);
    let (head_len, text_len, packed_len) = (length()?, length()?, length()?);
    let plaintext_len = bounded(head_len.saturating_add(text_len))?;
    let text_len = bounded(text_len)?;
    let packed_len = usize::try_from(packed_len).map_err(|_| OpenError::Length)?;
    let before = bytes - reader.remaining();
    let head = reader.take(plaintext_len - text_len).map_err(cut)?;
    let packed = reader.take(packed_len).map_err(cut)?;
    check_padding(bytes, before + head.len() + packed_len, reader)?;
    let mut plaintext = vec![0; plaintext_len];
    let (to_head, to_text) = plaintext.split_at_mut(head.len());
    to_head.copy_from_slice(head);
    filled(dictionary.decompress(packed, to_text), text_len)?;
    Ok(plaintext)
}

fn unpack_modelled(
    model: TextModel,
    bytes: usize,
    mut reader: Reader<'_>,
) -> Result<Vec<u8>, OpenError> {
    let mut length = || varint::read(&mut reader).map_err(cut);
    let (head_len, text_len) = (length()?, length()?);
    // With the end of the last text.
    let plaintext_len = bounded(head_len.saturating_add(text_len).saturating_add(1))?;
    let text_len = bounded(text_len)?;
    if text_len > TEXT_BYTES_MAX {
        return Err(OpenError::Length);
    }
    let head_len = plaintext_len - text_len - 1;
    let before = bytes - reader.remaining();
    let head = reader.take(head_len).map_err(cut)?;
    // A code does not end with zeros, so all of them are padding.
    let rest = reader.rest();
    let zeros = rest.iter().rev().take_while(|byte| **byte == 0);
    let (code, _) = rest.split_at(rest.len() - zeros.count());
    if bytes != padded_length(before + head_len + code.len()) {
        return Err(OpenError::Padding);
    }
    let mut plaintext = vec![0; plaintext_len];
    let (to_head, behind) = plaintext.split_at_mut(head_len);
    let (to_text, to_end) = behind.split_at_mut(text_len);
    to_head.copy_from_slice(head);
    to_end.fill(END);
    let read = model.decompress(code, to_text);
    read.map_err(|_| OpenError::Decompression)?;
    Ok(plaintext)
}

/// Judged before anything is unpacked.
fn bounded(declared: u64) -> Result<usize, OpenError> {
    usize::try_from(declared)
        .ok()
        .filter(|length| *length <= PLAINTEXT_BYTES_MAX)
        .ok_or(OpenError::PlaintextTooLong { bytes: declared })
}

fn check_padding(bytes: usize, unpadded: usize, padding: Reader<'_>) -> Result<(), OpenError> {
    if bytes != padded_length(unpadded) || padding.rest().iter().any(|byte| *byte != 0) {
        return Err(OpenError::Padding);
    }
    Ok(())
}

/// The destination has exactly the declared length: a stream that gives more ends in an
/// error, whatever its own header claims.
fn filled(written: io::Result<usize>, declared: usize) -> Result<(), OpenError> {
    match written {
        Ok(written) if written == declared => Ok(()),
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

/// Of every format that zstd ever had, builds differ in which they read; this one they all do.
const FRAME_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How long the frame is with which the bytes begin: one of RFC 8878, neither a skippable one
/// nor one of zstd before 0.8, which only some builds of the library read.
pub(super) fn frame_bytes(bytes: &[u8]) -> io::Result<usize> {
    if !bytes.starts_with(&FRAME_MAGIC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    zstd::zstd_safe::find_frame_compressed_size(bytes)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

fn check_frames(mut packed: &[u8]) -> io::Result<()> {
    while !packed.is_empty() {
        let bytes = frame_bytes(packed)?;
        packed = packed.get(bytes..).ok_or(io::ErrorKind::InvalidData)?;
    }
    Ok(())
}

fn decompress(packed: &[u8], plaintext: &mut [u8]) -> io::Result<usize> {
    check_frames(packed)?;
    DECOMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(kept) => kept.decompress_to_buffer(packed, plaintext),
        None => {
            let fresh = kept.insert(Decompressor::new()?);
            fresh.decompress_to_buffer(packed, plaintext)
        }
    })
}
