//! A frozen model of text: what follows on what, and how often.
//!
//! A context is some bytes of text, and lists what was seen behind them, each with a weight; the
//! rest of its weight says "none of these", and then the next shorter context is asked about
//! all others. A context knows its next shorter one, and an entry the longest context that its
//! own and the symbol end with, so nothing is searched for but a symbol in a list.

use std::collections::BTreeMap;
use std::num::NonZero;

use super::parsing::{self, Malformed};
use super::range::{Decoder, Encoder, Share, TOTAL, Total};

/// The empty context.
pub(super) const ROOT: u32 = 0;
/// Bytes have so many values.
const SYMBOLS: usize = 256;
/// A list of more entries is searched by halves: in a shorter one what comes first is likely.
const LONG: usize = 16;

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
    /// What shorter contexts have without what a context lists: few numbers, of many contexts.
    totals: Vec<Total>,
    /// The symbols that the empty context does not list, ascending.
    unlisted: Vec<u8>,
}

/// Symbol of an entry, or number of entries but one 8 · weight, or escape 16 · weight of what
/// lies before the entry, or which total others have 16 · next, or shorter 24; the lowest bits
/// first.
#[derive(Clone, Copy)]
struct Word(u64);

const LINK_MAX: u32 = (1 << 24) - 1;
const _: () = assert!(TOTAL <= u16::MAX as u32 && SYMBOLS - 1 <= u8::MAX as usize);

impl Word {
    fn new(low: u8, weight: u32, below: u32, link: u32) -> Self {
        let high = u64::from(link) << 40 | u64::from(below) << 24;
        Self(high | u64::from(weight) << 8 | u64::from(low))
    }

    const fn low(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    const fn weight(self) -> u32 {
        (self.0 >> 8 & 0xffff) as u32
    }

    const fn below(self) -> u32 {
        (self.0 >> 24 & 0xffff) as u32
    }

    const fn end(self) -> u32 {
        self.below() + self.weight()
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
        let mut totals: BTreeMap<u32, u32> = contexts.iter().map(|of| (of.others, 0)).collect();
        for (number, known) in totals.values_mut().enumerate() {
            *known = u32::try_from(number).map_err(|_| Malformed)?;
        }
        let root = contexts.first().ok_or(Malformed)?;
        let is_listed = |symbol: &u8| root.entries.iter().any(|entry| entry.symbol == *symbol);
        let total = |total: &u32| Some(Total::new(NonZero::new(*total)?));
        let mut model = Self {
            words: Vec::with_capacity(words),
            start: place(parsing::behind(&contexts, ROOT, end))?,
            totals: totals
                .keys()
                .map(total)
                .collect::<Option<_>>()
                .ok_or(Malformed)?,
            unlisted: (0..=u8::MAX).filter(|symbol| !is_listed(symbol)).collect(),
        };
        for context in &contexts {
            let last = context.entries.len().checked_sub(1).ok_or(Malformed)?;
            let last = u8::try_from(last).map_err(|_| Malformed)?;
            let (escape, shorter) = (context.escape, place(context.shorter)?);
            let total = totals.get(&context.others).ok_or(Malformed)?;
            model.words.push(Word::new(last, escape, *total, shorter));
            let mut below = 0;
            for entry in &context.entries {
                let next = place(entry.next)?;
                let word = Word::new(entry.symbol, entry.weight, below, next);
                model.words.push(word);
                below += entry.weight;
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

    /// What the next shorter context has without what this one lists.
    fn others(&self, context: Word) -> Option<Total> {
        self.totals.get(context.below() as usize).copied()
    }

    /// What is left behind the escape of the empty context.
    fn unlisted(&self) -> Option<Total> {
        let count = u32::try_from(self.unlisted.len()).ok()?;
        Some(Total::new(NonZero::new(count)?))
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
        let mut end = 0;
        for entry in entries {
            if entry.low() == symbol {
                encoder.encode(Share {
                    below: entry.below(),
                    weight: entry.weight(),
                });
                return Some(entry.link());
            }
            end = entry.end();
        }
        let weight = context.weight();
        encoder.encode(Share { below: end, weight });
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
        while at != ROOT {
            let (context, entries) = self.context(at)?;
            known.are_listed(entries);
            at = context.link();
            let total = self.others(context)?;
            let (shorter, entries) = self.context(at)?;
            let mut below = 0;
            for entry in entries {
                if entry.low() == symbol {
                    let weight = entry.weight();
                    encoder.encode_of(total, Share { below, weight });
                    return Some(entry.link());
                }
                if !known.has(entry.low()) {
                    below += entry.weight();
                }
            }
            let weight = shorter.weight();
            encoder.encode_of(total, Share { below, weight });
        }
        let place = self.unlisted.binary_search(&symbol).ok()?;
        let below = u32::try_from(place).ok()?;
        encoder.encode_of(self.unlisted()?, Share { below, weight: 1 });
        Some(ROOT)
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
        let unit = decoder.unit();
        let escape = context.weight();
        let listed = TOTAL - escape;
        if !decoder.is_below(unit, listed) {
            decoder.escape(unit, listed, escape)?;
            return self.decode_shorter(decoder, known, at);
        }
        let is_before = |entry: &Word| !decoder.is_below(unit, entry.end());
        let entry = if entries.len() <= LONG {
            entries.iter().find(|entry| !is_before(entry))
        } else {
            entries.get(entries.partition_point(is_before))
        }?;
        decoder.take(unit, entry.below(), entry.weight());
        Some((entry.low(), entry.link()))
    }

    fn decode_shorter(
        &self,
        decoder: &mut Decoder<'_>,
        known: &mut Known,
        mut at: u32,
    ) -> Option<(u8, u32)> {
        let before = known.round;
        while at != ROOT {
            let (context, entries) = self.context(at)?;
            known.are_listed(entries);
            at = context.link();
            let total = self.others(context)?;
            let unit = decoder.unit_of(total);
            let (shorter, entries) = self.context(at)?;
            let escape = shorter.weight();
            let listed = total.all() - escape;
            if !decoder.is_below(unit, listed) {
                decoder.escape(unit, listed, escape)?;
                continue;
            }
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
            return None;
        }
        let unit = decoder.unit_of(self.unlisted()?);
        let below = u32::try_from(decoder.units_below(unit)).ok()?;
        let symbol = *self.unlisted.get(below as usize)?;
        decoder.take(unit, below, 1);
        Some((symbol, ROOT)).filter(|_| known.is_new(symbol, before))
    }
}

/// Symbols that the context before listed, so what follows is none of them.
pub(super) struct Known {
    /// In which round a symbol was listed last: so nothing must be forgotten one by one.
    rounds: [u32; SYMBOLS],
    round: u32,
}

impl Known {
    pub(super) const fn new() -> Self {
        Self {
            rounds: [0; SYMBOLS],
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
}
