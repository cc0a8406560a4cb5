//! Entropy tables as they stand in a dictionary: RFC 8878 §4.1 (FSE) and §4.2.1 (Huffman).
#![expect(
    clippy::indexing_slicing,
    reason = "tables of a program that is run by hand, on text of our own"
)]

/// Bits of the longest code of a letter.
const LETTER_BITS_MAX: u32 = 11;
/// Accuracy of the table with which the weights of letters are coded.
const WEIGHT_LOG: u32 = 6;

/// Bits, the lowest first.
#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    filled: u32,
}

impl Bits {
    fn push(&mut self, value: usize, count: u32) {
        for bit in 0..count {
            if self.filled.is_multiple_of(8) {
                self.out.push(0);
            }
            let is_set = value >> bit & 1 == 1;
            if let Some(last) = self.out.last_mut().filter(|_| is_set) {
                *last |= 1 << (self.filled % 8);
            }
            self.filled += 1;
        }
    }
}

/// The description of a distribution over codes that all occur.
pub(crate) fn distribution(counts: &[u64], log: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    describe(&mut bits, &normalized(counts, log), log);
    bits.out
}

/// Shares of 2^log, none of what occurs less than one: the largest remainders are rounded up.
fn normalized(counts: &[u64], log: u32) -> Vec<usize> {
    let all = counts.iter().sum::<u64>().max(1);
    let occurring = counts.iter().filter(|count| **count > 0).count();
    let room = (1_u64 << log) - occurring as u64;
    let mut shares: Vec<usize> = Vec::new();
    let mut remainders = Vec::new();
    for (code, count) in counts.iter().enumerate() {
        shares.push((count * room / all) as usize + usize::from(*count > 0));
        remainders.push((count * room % all, code));
    }
    remainders.sort_unstable_by(|left, right| right.cmp(left));
    let missing = (1 << log) - shares.iter().sum::<usize>();
    for (_, code) in remainders.into_iter().take(missing) {
        shares[code] += 1;
    }
    shares
}

fn describe(bits: &mut Bits, shares: &[usize], log: u32) {
    bits.push(log as usize - 5, 4);
    let mut remaining = (1_usize << log) + 1;
    let mut threshold = 1_usize << log;
    let mut width = log + 1;
    let mut code = 0;
    while code < shares.len() && remaining > 1 {
        let share = shares[code];
        code += 1;
        let spare = 2 * threshold - 1 - remaining;
        remaining -= share;
        let mut value = share + 1;
        if value >= threshold {
            value += spare;
        }
        bits.push(value, width - u32::from(value < spare));
        while remaining < threshold {
            width -= 1;
            threshold >>= 1;
        }
        if share == 0 {
            code += describe_zeros(bits, &shares[code..]);
        }
    }
}

/// Behind a share of zero: how many more there are, three at a time.
fn describe_zeros(bits: &mut Bits, shares: &[usize]) -> usize {
    let zeros = shares.iter().take_while(|share| **share == 0).count();
    for _ in 0..zeros / 3 {
        bits.push(3, 2);
    }
    bits.push(zeros % 3, 2);
    zeros
}

/// The description of a Huffman code for all 256 letters.
pub(crate) fn huffman(counts: &[u64]) -> Vec<u8> {
    let lengths = code_lengths(counts);
    let longest = lengths.iter().copied().max().unwrap_or_default();
    // The last one follows from the others.
    let weights: Vec<usize> = lengths
        .iter()
        .take(counts.len() - 1)
        .map(|length| (longest + 1 - length) as usize)
        .collect();
    let mut of_weights = vec![0_u64; longest as usize + 1];
    for weight in &weights {
        of_weights[*weight] += 1;
    }
    let shares = normalized(&of_weights, WEIGHT_LOG);
    let mut described = Bits::default();
    describe(&mut described, &shares, WEIGHT_LOG);
    let mut out = vec![0];
    out.extend(described.out);
    out.extend(coded(&weights, &shares, WEIGHT_LOG));
    assert!(out.len() <= 128, "longer than its length byte can say");
    out[0] = (out.len() - 1) as u8;
    out
}

/// The best code lengths of at most [`LETTER_BITS_MAX`] bits: the coin collector's way
/// (Larmore and Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", 1990).
fn code_lengths(counts: &[u64]) -> Vec<u32> {
    let coins = |letter: usize| (counts[letter], vec![letter]);
    let mut singles: Vec<(u64, Vec<usize>)> = (0..counts.len()).map(coins).collect();
    singles.sort();
    let mut row: Vec<(u64, Vec<usize>)> = Vec::new();
    for _ in 0..LETTER_BITS_MAX {
        let pairs = row.chunks_exact(2).map(|pair| {
            let letters = pair.iter().flat_map(|(_, letters)| letters);
            (pair[0].0 + pair[1].0, letters.copied().collect())
        });
        let mut next: Vec<_> = singles.iter().cloned().chain(pairs).collect();
        next.sort();
        row = next;
    }
    let mut lengths = vec![0; counts.len()];
    for (_, letters) in row.iter().take(2 * counts.len() - 2) {
        for letter in letters {
            lengths[*letter] += 1;
        }
    }
    lengths
}

/// A state of the decoder: what it says, and how many bits lead from it to where.
#[derive(Clone, Copy, Default)]
struct State {
    code: usize,
    bits: u32,
    base: usize,
}

fn states(shares: &[usize], log: u32) -> Vec<State> {
    let size = 1_usize << log;
    let step = (size >> 1) + (size >> 3) + 3;
    let mut states = vec![State::default(); size];
    let mut at = 0;
    for (code, share) in shares.iter().enumerate() {
        for _ in 0..*share {
            states[at].code = code;
            at = (at + step) % size;
        }
    }
    let mut next = shares.to_vec();
    for state in &mut states {
        let place = next[state.code];
        next[state.code] += 1;
        state.bits = log - place.ilog2();
        state.base = (place << state.bits) - size;
    }
    states
}

/// FSE with two states in turn, as weights are coded: written from the last to the first.
fn coded(codes: &[usize], shares: &[usize], log: u32) -> Vec<u8> {
    let states = states(shares, log);
    let mut current = [None::<usize>; 2];
    let mut bits = Bits::default();
    for (place, code) in codes.iter().enumerate().rev() {
        let target = current[place % 2];
        let leads = |state: &State| match target {
            None => state.code == *code,
            Some(target) => {
                let reach = state.base..state.base + (1 << state.bits);
                state.code == *code && reach.contains(&target)
            }
        };
        let from = states.iter().position(leads);
        if let (Some(from), Some(target)) = (from, target) {
            bits.push(target - states[from].base, states[from].bits);
        }
        current[place % 2] = from;
    }
    for state in current.iter().rev().flatten() {
        bits.push(*state, log);
    }
    bits.push(1, 1);
    bits.out
}
