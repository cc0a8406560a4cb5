//! zstd with a dictionary that every member has: a message of one line has too little in it
//! to be compressed by itself.
//!
//! A dictionary is frozen once something was sealed with it; a better one gets a packing of
//! its own. `dictionaries/README.md` tells what they were made from, and how.

use std::cell::RefCell;
use std::io;
use std::sync::OnceLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use super::content::frame_bytes;

/// Before the blocks of a frame: its magic number, then a descriptor that says "one segment,
/// length in four bytes, no checksum, no dictionary id" (RFC 8878 §3.1.1). The length follows.
const FRAME_START: [u8; 5] = [0x28, 0xb5, 0x2f, 0xfd, 0xa0];
const FRAME_HEADER_BYTES: usize = FRAME_START.len() + 4;
const MAGIC_BYTES: usize = 4;
/// Of what one message gains over level 3 half is lost below this one.
const LEVEL: i32 = 19;

/// One of the frozen dictionaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dictionary {
    Thai2026,
    English2026,
}

impl Dictionary {
    pub(super) const ALL: [Self; 2] = [Self::Thai2026, Self::English2026];

    pub(super) const fn packing(self) -> u8 {
        match self {
            Self::Thai2026 => 2,
            Self::English2026 => 3,
        }
    }

    pub(super) fn of_packing(packing: u8) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|dictionary| dictionary.packing() == packing)
    }

    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Thai2026 => include_bytes!("../../dictionaries/thai-2026.zstd-dict"),
            Self::English2026 => include_bytes!("../../dictionaries/english-2026.zstd-dict"),
        }
    }

    /// Digested once a process: that takes longer than a message does.
    fn encoder(self) -> &'static EncoderDictionary<'static> {
        static THAI: OnceLock<EncoderDictionary<'static>> = OnceLock::new();
        static ENGLISH: OnceLock<EncoderDictionary<'static>> = OnceLock::new();
        let digested = match self {
            Self::Thai2026 => &THAI,
            Self::English2026 => &ENGLISH,
        };
        digested.get_or_init(|| EncoderDictionary::copy(self.bytes(), LEVEL))
    }

    fn decoder(self) -> &'static DecoderDictionary<'static> {
        static THAI: OnceLock<DecoderDictionary<'static>> = OnceLock::new();
        static ENGLISH: OnceLock<DecoderDictionary<'static>> = OnceLock::new();
        let digested = match self {
            Self::Thai2026 => &THAI,
            Self::English2026 => &ENGLISH,
        };
        digested.get_or_init(|| DecoderDictionary::copy(self.bytes()))
    }

    /// The blocks of one frame, without its header.
    pub(super) fn compress(self, plaintext: &[u8]) -> io::Result<Vec<u8>> {
        COMPRESSOR.with_borrow_mut(|kept| {
            let compressor = match kept {
                Some(kept) => kept,
                None => kept.insert(bare_compressor()?),
            };
            compressor.set_prepared_dictionary(self.encoder())?;
            let mut frame = compressor.compress(plaintext)?;
            let header = header_bytes(&frame).filter(|header| *header <= frame.len());
            let header = header.ok_or(io::ErrorKind::InvalidData)?;
            frame.drain(..header);
            Ok(frame)
        })
    }

    /// Into a buffer of exactly the declared length, as [`super::content`] says.
    pub(super) fn decompress(self, blocks: &[u8], plaintext: &mut [u8]) -> io::Result<usize> {
        let length = u32::try_from(plaintext.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + blocks.len());
        frame.extend_from_slice(&FRAME_START);
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(blocks);
        if frame_bytes(&frame)? != frame.len() {
            return Err(io::ErrorKind::InvalidData.into()); // a second frame, or half of one
        }
        DECOMPRESSOR.with_borrow_mut(|kept| {
            let decompressor = match kept {
                Some(kept) => kept,
                None => kept.insert(Decompressor::new()?),
            };
            decompressor.set_prepared_dictionary(self.decoder())?;
            decompressor.decompress_to_buffer(&frame, plaintext)
        })
    }
}

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn bare_compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::ContentSizeFlag(false))?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(false))?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::DictIdFlag(false))?;
    Ok(compressor)
}

/// How long the header of a frame is that an encoder has just written.
fn header_bytes(frame: &[u8]) -> Option<usize> {
    let descriptor = *frame.get(MAGIC_BYTES)?;
    let is_one_segment = descriptor & 0x20 != 0;
    let length_bytes = match descriptor >> 6 {
        0 if is_one_segment => 1,
        0 => 0,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    Some(MAGIC_BYTES + 1 + usize::from(!is_one_segment) + length_bytes)
}
