//! The frozen models of packings 4 and 5 (`DOCUMENT.md` §2, `dictionaries/`): for texts in the
//! coding of [`crate::text`], of which each ends with [`END`].
//!
//! A dictionary saves what it holds, a model what is probable: of a message of a hundred
//! letters that is half as much again. And it is arithmetic on integers alone, so a text has
//! one packed form for ever, and a stranger can be refused who made another.

mod contexts;
mod parsing;
mod range;

use std::sync::OnceLock;

use zeroize::Zeroizing;

use self::contexts::{Known, Model};
use self::range::{Decoder, Encoder};
use crate::text::END;

/// Bytes of text of one envelope, a few hundred messages. What comes in more can be compressed
/// by itself, and so much keeps a reader busy for some 20 ms at worst.
pub(super) const TEXT_BYTES_MAX: usize = 64 * 1024;

/// What the last symbol and the end of a code take at most: 15 bits for each escape from five
/// bytes of context, 8 for the symbol, 4 bytes of a step and 8 of the window. With room for them
/// no copy of a code is left behind.
const BEYOND_BYTES_MAX: usize = 32;

/// One of the frozen models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextModel {
    Thai2026,
    English2026,
}

/// A code that gives no text, or that no writer makes.
#[derive(Debug)]
pub(super) struct Damaged;

impl TextModel {
    pub(super) const ALL: [Self; 2] = [Self::Thai2026, Self::English2026];

    pub(super) const fn packing(self) -> u8 {
        match self {
            Self::Thai2026 => 4,
            Self::English2026 => 5,
        }
    }

    pub(super) fn of_packing(packing: u8) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|model| model.packing() == packing)
    }

    /// Read once a process: that takes some milliseconds.
    fn model(self) -> &'static Model {
        static THAI: OnceLock<Model> = OnceLock::new();
        static ENGLISH: OnceLock<Model> = OnceLock::new();
        let (read, bytes): (_, &[u8]) = match self {
            Self::Thai2026 => (
                &THAI,
                include_bytes!("../../../dictionaries/thai-2026.model"),
            ),
            Self::English2026 => (
                &ENGLISH,
                include_bytes!("../../../dictionaries/english-2026.model"),
            ),
        };
        read.get_or_init(|| Model::parse(bytes, END).expect("frozen, and read by every test"))
    }

    /// The code of `text`; None if it takes more than so many bytes.
    pub(super) fn compress(self, text: &[u8], bytes_max: usize) -> Option<Zeroizing<Vec<u8>>> {
        let model = self.model();
        let mut encoder = Encoder::new(bytes_max + BEYOND_BYTES_MAX);
        let (mut known, mut context) = (Known::new(), model.start());
        for symbol in text {
            context = model.encode(&mut encoder, &mut known, context, *symbol)?;
            if encoder.written() > bytes_max {
                return None;
            }
        }
        Some(encoder.finish()).filter(|code| code.len() <= bytes_max)
    }

    /// Fills `text`, whose length was judged.
    pub(super) fn decompress(self, code: &[u8], text: &mut [u8]) -> Result<(), Damaged> {
        let model = self.model();
        let mut decoder = Decoder::new(code);
        let (mut known, mut context) = (Known::new(), model.start());
        for place in text {
            let read = model.decode(&mut decoder, &mut known, context);
            (*place, context) = read.ok_or(Damaged)?;
        }
        decoder.is_finished().then_some(()).ok_or(Damaged)
    }
}
