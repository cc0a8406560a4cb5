//! How zstd would say a text: letters, and matches with what was before. Counts both.
#![expect(
    clippy::indexing_slicing,
    reason = "tables of a program that is run by hand, on text of our own"
)]

use std::collections::BTreeMap;

/// Of what a code costs, in parts of a bit.
const BIT: u64 = 256;
const MATCH_MIN: usize = 3;
/// What a sequence costs beside its match: the number of letters before it.
const LITERAL_LENGTH_COST: u64 = 3 * BIT;
/// One occurrence counts so often; what never occurs counts once, so that it has a code.
const WEIGHT: u64 = 8;

/// Lengths from which codes above 15 and 31 begin (RFC 8878 §3.1.1.3.2.1.1); the code itself is
/// the length, or the length less three, below.
const LITERAL_LENGTHS: [usize; 20] = [
    16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384,
    32_768, 65_536,
];
const MATCH_LENGTHS: [usize; 21] = [
    35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1_027, 2_051, 4_099, 8_195, 16_387,
    32_771, 65_539,
];
/// A block has at most this many bytes, so offsets reach so far beyond the content.
const BLOCK_BYTES_MAX: usize = 128 * 1024;

/// How often each code occurs.
pub(crate) struct Counts {
    pub(crate) literals: Vec<u64>,
    pub(crate) offsets: Vec<u64>,
    pub(crate) match_lengths: Vec<u64>,
    pub(crate) literal_lengths: Vec<u64>,
}

impl Counts {
    /// All codes once, so that each can be used.
    pub(crate) fn new(content_bytes: usize) -> Self {
        let offset_codes = (content_bytes + BLOCK_BYTES_MAX).ilog2() as usize + 1;
        Self {
            literals: vec![1; 256],
            offsets: vec![1; offset_codes],
            match_lengths: vec![1; 32 + MATCH_LENGTHS.len()],
            literal_lengths: vec![1; 16 + LITERAL_LENGTHS.len()],
        }
    }
}

/// A step of a parse: one letter, or a match.
#[derive(Clone, Copy)]
struct Step {
    length: usize,
    /// 0 for a letter.
    offset: usize,
}

/// Finds the cheapest way to say `sample` behind `history`, and counts it.
pub(crate) fn parse(history: &[u8], sample: &[u8], costs: &Counts, counts: &mut Counts) {
    let all = [history, sample].concat();
    let mut seen: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    let mut known = 0;
    let mut best: Vec<(u64, Step)> = vec![
        (
            u64::MAX,
            Step {
                length: 0,
                offset: 0
            }
        );
        sample.len() + 1
    ];
    best[0].0 = 0;
    for at in 0..sample.len() {
        let place = history.len() + at;
        while known + MATCH_MIN <= place {
            seen.entry(&all[known..known + MATCH_MIN])
                .or_default()
                .push(known);
            known += 1;
        }
        let mut reach = |length: usize, offset: usize, cost: u64| {
            let total = best[at].0 + cost;
            if total < best[at + length].0 {
                best[at + length] = (total, Step { length, offset });
            }
        };
        reach(1, 0, cost(&costs.literals, usize::from(all[place])));
        let mut longest = MATCH_MIN - 1;
        let start = all.get(place..place + MATCH_MIN).unwrap_or_default();
        for from in seen.get(start).into_iter().flatten().rev() {
            let same = all[*from..].iter().zip(&all[place..]);
            let length = same.take_while(|(left, right)| left == right).count();
            for length in longest + 1..=length {
                reach(
                    length,
                    place - from,
                    match_cost(costs, length, place - from),
                );
            }
            longest = longest.max(length);
        }
    }
    count(sample, &best, counts);
}

fn match_cost(costs: &Counts, length: usize, offset: usize) -> u64 {
    let (length_code, length_bits) = match_length(length);
    let offset_code = (offset + 3).ilog2();
    LITERAL_LENGTH_COST
        + cost(&costs.match_lengths, length_code)
        + cost(&costs.offsets, offset_code as usize)
        + BIT * u64::from(length_bits + offset_code)
}

fn count(sample: &[u8], best: &[(u64, Step)], counts: &mut Counts) {
    let mut steps = Vec::new();
    let mut at = sample.len();
    while at > 0 {
        let step = best[at].1;
        at -= step.length;
        steps.push((at, step));
    }
    let mut literals = 0;
    for (at, step) in steps.into_iter().rev() {
        if step.offset == 0 {
            counts.literals[usize::from(sample[at])] += WEIGHT;
            literals += 1;
            continue;
        }
        counts.literal_lengths[literal_length(literals)] += WEIGHT;
        counts.match_lengths[match_length(step.length).0] += WEIGHT;
        counts.offsets[(step.offset + 3).ilog2() as usize] += WEIGHT;
        literals = 0;
    }
}

/// The code of a match's length, and the bits behind it.
fn match_length(length: usize) -> (usize, u32) {
    let above = MATCH_LENGTHS.partition_point(|base| *base <= length);
    let next = MATCH_LENGTHS.get(above);
    match above.checked_sub(1).map(|at| MATCH_LENGTHS[at]) {
        None => (length - MATCH_MIN, 0),
        Some(base) => (31 + above, next.map_or(16, |next| (next - base).ilog2())),
    }
}

fn literal_length(length: usize) -> usize {
    match LITERAL_LENGTHS.partition_point(|base| *base <= length) {
        0 => length,
        above => 15 + above,
    }
}

/// Of one of several codes, by how often they occur.
fn cost(counts: &[u64], code: usize) -> u64 {
    let all = counts.iter().sum::<u64>();
    logarithm(all) - logarithm(counts[code])
}

/// To the base of two, in parts of a bit, straight between powers.
fn logarithm(value: u64) -> u64 {
    let whole = u64::from(value.ilog2());
    whole * BIT + ((value * BIT) >> whole) - BIT
}
