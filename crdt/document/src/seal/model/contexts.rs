//! A frozen model of text: what follows on what, and how often.
//!
//! A context is some bytes of text, and lists what was seen behind them, each with a weight; the
//! rest of its weight says "none of these", and then the next shorter context is asked about
//! all others. A context knows its next shorter one, and an entry the longest context that its
//! own and the symbol end with, so nothing is searched for but a symbol in a list.

use super::parsing::{self, Malformed};
use super::range::{Decoder, Encoder, Share, TOTAL};

/// The empty context.
pub(super) const ROOT: u32 = 0;
/// Bytes have so many values.
const SYMBOLS: u32 = 256;

/// A context as it is read.
pub(super) struct Context {
    /// The most frequent first.
    pub(super) entries: Vec<Entry>,
    /// Of "none of these".
    pub(super) escape: u32,
    /// The longest context that is an end of this one; its own at [`ROOT`] only.
    pub(super) shorter: u32,
    /// The weight that the shorter context has without what this one lists.
    pub(super) others: u32,
}

/// What follows on a context.
pub(super) struct Entry {
    pub(super) symbol: u8,
    pub(super) weight: u32,
    /// The longest context that this one's and the symbol end with.
    pub(super) next: u32,
}

/// Contexts as they are used: a word for each, then one for each of its entries, all in one row,
/// as most of the time goes into fetching memory. A context is called by its place in it.
pub(super) struct Model {
    words: Vec<Word>,
    start: u32,
}

/// Symbol of an entry, or number of entries but one 8 · weight, or escape 16 · others 16 ·
/// next, or shorter 24; the lowest bits first.
#[derive(Clone, Copy)]
struct Word(u64);

const LINK_MAX: u32 = (1 << 24) - 1;
const _: () = assert!(TOTAL <= u16::MAX as u32 && SYMBOLS - 1 <= u8::MAX as u32);

impl Word {
    fn new(low: u8, weight: u32, others: u32, link: u32) -> Self {
        let high = u64::from(link) << 40 | u64::from(others) << 24;
        Self(high | u64::from(weight) << 8 | u64::from(low))
    }

    const fn low(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    const fn weight(self) -> u32 {
        (self.0 >> 8 & 0xffff) as u32
    }

    const fn others(self) -> u32 {
        (self.0 >> 24 & 0xffff) as u32
    }

    const fn link(self) -> u32 {
        (self.0 >> 40) as u32
    }
}

impl Model {
    /// Of the bytes of a file; a text begins behind `end`.
    pub(super) fn parse(file: &[u8], end: u8) -> Result<Self, Malformed> {
        let contexts = parsing::contexts(file)?;
        let mut places = Vec::with_capacity(contexts.len());
        let mut words = 0;
        for context in &contexts {
            places.push(u32::try_from(words).map_err(|_| Malformed)?);
            words += 1 + context.entries.len();
        }
        let place = |context: u32| {
            let place = places.get(context as usize).copied();
            place.filter(|place| *place <= LINK_MAX).ok_or(Malformed)
        };
        let mut model = Self {
            words: Vec::with_capacity(words),
            start: place(parsing::behind(&contexts, ROOT, end))?,
        };
        for context in &contexts {
            let last = context.entries.len().checked_sub(1).ok_or(Malformed)?;
            let last = u8::try_from(last).map_err(|_| Malformed)?;
            let (escape, shorter) = (context.escape, place(context.shorter)?);
            let head = Word::new(last, escape, context.others, shorter);
            model.words.push(head);
            for entry in &context.entries {
                let next = place(entry.next)?;
                let entry = Word::new(entry.symbol, entry.weight, 0, next);
                model.words.push(entry);
            }
        }
        Ok(model)
    }

    /// The context in which a text begins.
    pub(super) const fn start(&self) -> u32 {
        self.start
    }

    fn context(&self, at: u32) -> Option<(Word, &[Word])> {
        let (head, behind) = self.words.get(at as usize..)?.split_first()?;
        Some((*head, behind.get(..=usize::from(head.low()))?))
    }

    /// Writes `symbol` in the context `at`; in which it is then.
    pub(super) fn encode(
        &self,
        encoder: &mut Encoder,
        known: &mut Known,
        at: u32,
        symbol: u8,
    ) -> Option<u32> {
        let (context, entries) = self.context(at)?;
        let total = TOTAL;
        let mut below = 0;
        for entry in entries {
            let weight = entry.weight();
            if entry.low() == symbol {
                encoder.encode(Share {
                    below,
                    weight,
                    total,
                });
                return Some(entry.link());
            }
            below += weight;
        }
        let weight = context.weight();
        encoder.encode(Share {
            below,
            weight,
            total,
        });
        self.encode_shorter(encoder, known, at, symbol)
    }

    /// `symbol` is none of those that `at` lists.
    fn encode_shorter(
        &self,
        encoder: &mut Encoder,
        known: &mut Known,
        mut at: u32,
        symbol: u8,
    ) -> Option<u32> {
        loop {
            let (context, entries) = self.context(at)?;
            known.are_listed(entries);
            if at == ROOT {
                let below = known.others_below(symbol);
                let total = others_of_root(context);
                encoder.encode(Share {
                    below,
                    weight: 1,
                    total,
                });
                return Some(ROOT);
            }
            at = context.link();
            let total = context.others();
            let (shorter, entries) = self.context(at)?;
            let mut below = 0;
            for entry in entries {
                if entry.low() == symbol {
                    let weight = entry.weight();
                    encoder.encode(Share {
                        below,
                        weight,
                        total,
                    });
                    return Some(entry.link());
                }
                if !known.has(entry.low()) {
                    below += entry.weight();
                }
            }
            let weight = shorter.weight();
            encoder.encode(Share {
                below,
                weight,
                total,
            });
        }
    }

    /// Reads a symbol in the context `at`, and in which it is then; None where the code lies in
    /// nothing's share, or in one that no writer chooses.
    pub(super) fn decode(
        &self,
        decoder: &mut Decoder<'_>,
        known: &mut Known,
        at: u32,
    ) -> Option<(u8, u32)> {
        let (context, entries) = self.context(at)?;
        let unit = decoder.unit(TOTAL);
        let mut below = 0;
        for entry in entries {
            let weight = entry.weight();
            if decoder.is_below(unit, below + weight) {
                decoder.take(unit, below, weight);
                return Some((entry.low(), entry.link()));
            }
            below += weight;
        }
        decoder.escape(unit, below, context.weight())?;
        self.decode_shorter(decoder, known, at)
    }

    fn decode_shorter(
        &self,
        decoder: &mut Decoder<'_>,
        known: &mut Known,
        mut at: u32,
    ) -> Option<(u8, u32)> {
        let before = known.round;
        loop {
            let (context, entries) = self.context(at)?;
            known.are_listed(entries);
            if at == ROOT {
                let total = others_of_root(context);
                let unit = decoder.unit(total.max(1));
                let below = (0..total).find(|below| decoder.is_below(unit, below + 1))?;
                decoder.take(unit, below, 1);
                let symbol = known.other(below)?;
                return Some((symbol, ROOT)).filter(|_| known.is_new(symbol, before));
            }
            at = context.link();
            let unit = decoder.unit(context.others());
            let (shorter, entries) = self.context(at)?;
            let mut below = 0;
            for entry in entries {
                if known.has(entry.low()) {
                    continue;
                }
                let weight = entry.weight();
                if decoder.is_below(unit, below + weight) {
                    decoder.take(unit, below, weight);
                    let read = Some((entry.low(), entry.link()));
                    return read.filter(|_| known.is_new(entry.low(), before));
                }
                below += weight;
            }
            decoder.escape(unit, below, shorter.weight())?;
        }
    }
}

/// How many symbols the empty context does not list.
fn others_of_root(root: Word) -> u32 {
    SYMBOLS - 1 - u32::from(root.low())
}

/// Symbols that the context before listed, so what follows is none of them.
pub(super) struct Known {
    /// In which round a symbol was listed last: so nothing must be forgotten one by one.
    rounds: [u32; SYMBOLS as usize],
    round: u32,
}

impl Known {
    pub(super) const fn new() -> Self {
        Self {
            rounds: [0; SYMBOLS as usize],
            round: 0,
        }
    }

    fn are_listed(&mut self, entries: &[Word]) {
        self.round += 1;
        for entry in entries {
            if let Some(round) = self.rounds.get_mut(usize::from(entry.low())) {
                *round = self.round;
            }
        }
    }

    fn has(&self, symbol: u8) -> bool {
        self.rounds.get(usize::from(symbol)) == Some(&self.round)
    }

    /// Whether no context since that round listed it: where one did, its share was there.
    fn is_new(&self, symbol: u8, before: u32) -> bool {
        let round = self.rounds.get(usize::from(symbol));
        round.is_some_and(|round| *round <= before)
    }

    fn others_below(&self, symbol: u8) -> u32 {
        (0..symbol).map(|symbol| u32::from(!self.has(symbol))).sum()
    }

    fn other(&self, below: u32) -> Option<u8> {
        let mut others = (0..=u8::MAX).filter(|symbol| !self.has(*symbol));
        others.nth(below as usize)
    }
}
