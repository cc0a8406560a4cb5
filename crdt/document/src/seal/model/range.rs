//! A range coder: a text becomes one number in a range that each symbol makes smaller, by as
//! much as the symbol is probable. Integers alone, so every machine writes the same bytes.
//!
//! A code has no trailing zeros: what lies behind it reads as zero. Of all numbers in the last
//! range the one with the fewest bytes is written, of those the lowest, and a reader refuses
//! every other one. So a text has one code, and nothing can be hidden behind it.

use zeroize::Zeroizing;

/// Below it the range grows by [`STEP_BITS`] again.
const RANGE_MIN: u64 = 1 << 32;
const RANGE_START: u64 = u64::MAX;
const STEP_BITS: u32 = 32;
const STEP_BYTES: usize = 4;
/// Bytes of the window in which the range lies.
const WINDOW_BYTES: usize = 8;
/// The weights by which symbols share a range, at most: what is lost by rounding is nothing.
pub(super) const TOTAL: u32 = 1 << 15;

/// A share of the range: `weight` of `total`, behind what lies `below`.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) below: u32,
    pub(super) weight: u32,
    pub(super) total: u32,
}

pub(super) struct Encoder {
    written: Zeroizing<Vec<u8>>,
    /// The range begins here, behind what was written.
    low: u64,
    range: u64,
}

impl Encoder {
    /// With room for so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            written: Zeroizing::new(Vec::with_capacity(bytes)),
            low: 0,
            range: RANGE_START,
        }
    }

    /// Bytes of the code, but for the last few.
    pub(super) fn written(&self) -> usize {
        self.written.len()
    }

    #[inline]
    pub(super) fn encode(&mut self, share: Share) {
        let unit = self.range / u64::from(share.total);
        let (low, is_carried) = self.low.overflowing_add(unit * u64::from(share.below));
        self.low = low;
        self.range = unit * u64::from(share.weight);
        if is_carried {
            self.carry();
        }
        if self.range < RANGE_MIN {
            let [first, second, third, fourth, ..] = self.low.to_be_bytes();
            self.written.extend([first, second, third, fourth]);
            self.low <<= STEP_BITS;
            self.range <<= STEP_BITS;
        }
    }

    fn carry(&mut self) {
        for byte in self.written.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }

    /// The one code of all that was encoded.
    pub(super) fn finish(mut self) -> Zeroizing<Vec<u8>> {
        let low = u128::from(self.low);
        let end = low + u128::from(self.range);
        for bytes in 0..=WINDOW_BYTES {
            let step = 1_u128 << (8 * (WINDOW_BYTES - bytes));
            let first = low.div_ceil(step) * step;
            if first < end {
                if first > u128::from(u64::MAX) {
                    self.carry();
                }
                let [_, _, _, _, _, _, _, _, window @ ..] = first.to_be_bytes();
                self.written.extend(window.iter().take(bytes));
                break;
            }
        }
        while self.written.last() == Some(&0) {
            self.written.pop();
        }
        self.written
    }
}

pub(super) struct Decoder<'a> {
    code: &'a [u8],
    /// Bytes of the code in the window or before it, zeros behind its end included.
    read: usize,
    /// How far into the range the code lies.
    offset: u64,
    range: u64,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(code: &'a [u8]) -> Self {
        let mut decoder = Self {
            code,
            read: 0,
            offset: 0,
            range: RANGE_START,
        };
        for _ in 0..WINDOW_BYTES / STEP_BYTES {
            decoder.step();
        }
        decoder
    }

    fn step(&mut self) {
        let rest = self.code.get(self.read..).unwrap_or_default();
        let next = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut last = [0; STEP_BYTES];
            for (last, byte) in last.iter_mut().zip(rest) {
                *last = *byte;
            }
            last
        });
        self.offset = self.offset << STEP_BITS | u64::from(u32::from_be_bytes(next));
        self.read += STEP_BYTES;
    }

    /// How much of the range a weight of one has.
    #[inline]
    pub(super) fn unit(&self, total: u32) -> u64 {
        self.range / u64::from(total)
    }

    /// Whether the code lies in the first `weight` units.
    #[inline]
    pub(super) const fn is_below(&self, unit: u64, weight: u32) -> bool {
        self.offset < unit * weight as u64
    }

    /// Goes on with the share in which the code lies.
    #[inline]
    pub(super) fn take(&mut self, unit: u64, below: u32, weight: u32) {
        self.offset -= unit * u64::from(below);
        self.range = unit * u64::from(weight);
        if self.range < RANGE_MIN {
            self.step();
            self.range <<= STEP_BITS;
        }
    }

    /// As [`Self::take`], where it lies in no share before; None if not in this one either, but
    /// in what rounding left to nobody.
    #[inline]
    pub(super) fn escape(&mut self, unit: u64, below: u32, weight: u32) -> Option<()> {
        self.is_below(unit, below + weight)
            .then(|| self.take(unit, below, weight))
    }

    /// Whether the code is the one that [`Encoder::finish`] gives.
    pub(super) fn is_finished(&self) -> bool {
        let Some(last) = self.code.last() else {
            return true;
        };
        // The last byte counts in steps of so many bytes; some of the window may be unread.
        let Some(behind) = self.read.checked_sub(self.code.len()) else {
            return false; // bytes that nothing depends on
        };
        // Beyond the window the same is true of all.
        let step = 1_u128 << (8 * behind.min(WINDOW_BYTES + 1));
        let (offset, range) = (u128::from(self.offset), u128::from(self.range));
        let is_lowest = offset < step;
        let is_shortest = offset + (256 - u128::from(*last)) * step >= range;
        *last != 0 && is_lowest && is_shortest
    }
}
