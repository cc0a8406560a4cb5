//! The file of a model (`DOCUMENT.md` §2).

use std::cmp::Reverse;

use super::choosing::{Choice, Said, log2};
use super::counting::{Run, Runs};

const IS_LAST: u8 = 0x80;
const HAS_CONTEXT: u8 = 0x40;
const CODES: u8 = 64;
/// Codes of an escape from here on say what all others have together.
const ESCAPES_BELOW_HALF: u8 = 52;
/// What the weights of a context are together.
const TOTAL: u64 = 1 << 15;

/// All contexts, in the order in which shorter ones announce them.
pub(crate) fn file(choice: Choice, runs: &[Runs], said: &[Vec<Said>]) -> Vec<u8> {
    let mut out = Vec::new();
    // How long each is, and its bytes; the empty one first.
    let mut contexts = vec![(0, 0)];
    let mut written = 0;
    while let Some((length, context)) = contexts.get(written).copied() {
        let mut followers = behind(runs, said, length, context);
        let total: u64 = followers.iter().map(|(_, said)| said.left).sum();
        let share = |weight: u64| weight * TOTAL / total.max(1);
        let weight = |said: &Said| share(said.left - choice.passed_on(*said));
        let escape = followers.iter().map(|(_, said)| choice.passed_on(**said));
        let escape = share(escape.sum());
        followers.retain(|(_, said)| said.is_listed);
        followers.sort_by_key(|(run, said)| (Reverse(said.left), run.key));
        let codes: Vec<u8> = followers
            .iter()
            .map(|(_, said)| code(weight(said)))
            .collect();
        let others = codes.iter().skip(1).map(|code| number(*code)).sum();
        let most_frequent = followers.first().map_or(0, |(_, said)| weight(said));
        let first = first_code(escape, most_frequent, others);
        let last = followers.len() - 1;
        for (place, ((run, _), code)) in followers.into_iter().zip(codes).enumerate() {
            let mut marks = if place == last { IS_LAST } else { 0 };
            let longer = behind(runs, said, length + 1, run.key);
            if longer.iter().any(|(_, said)| said.is_listed) {
                marks |= HAS_CONTEXT;
                contexts.push((length + 1, run.key));
            }
            let [.., symbol] = run.key.to_be_bytes();
            out.extend([symbol, marks | if place == 0 { first } else { code }]);
        }
        written += 1;
    }
    out
}

/// What was seen in a context of so many bytes.
fn behind<'a>(
    runs: &'a [Runs],
    said: &'a [Vec<Said>],
    length: usize,
    context: u64,
) -> Vec<(&'a Run, &'a Said)> {
    let (Some(runs), Some(said)) = (runs.get(length), said.get(length)) else {
        return Vec::new(); // nothing longer was counted
    };
    let first = runs.partition_point(|run| run.context() < context);
    let all = runs.iter().zip(said).skip(first);
    all.take_while(|(run, _)| run.context() == context)
        .collect()
}

/// The number of six bits that is nearest, of those above zero.
fn code(weight: u64) -> u8 {
    let nearest = (1..CODES).min_by_key(|code| number(*code).abs_diff(weight));
    nearest.unwrap_or(1)
}

/// Of the weight of the escape: what it and the others leave is that of the most frequent one,
/// so the code is taken that costs both the fewest bits.
fn first_code(escape: u64, most_frequent: u64, others: u64) -> u8 {
    let saved = |code: u8| {
        let left = TOTAL.checked_sub(others + escape_number(code));
        let left = left.filter(|left| *left > 0)?;
        let bits = |times: u64, weight| i128::from(times) * i128::from(log2(weight));
        Some(bits(escape, escape_number(code)) + bits(most_frequent, left))
    };
    // Far from what it should be none is best.
    let near = (1..CODES).filter(|code| {
        let number = escape_number(*code);
        number <= 2 * escape.max(1) && escape <= 2 * number
    });
    let best = near.max_by_key(|code| saved(*code));
    best.filter(|code| saved(*code).is_some())
        .expect("rounding leaves something to the most frequent one")
}

const fn escape_number(code: u8) -> u64 {
    match code {
        0..ESCAPES_BELOW_HALF => number(code),
        above => TOTAL - number(2 * ESCAPES_BELOW_HALF - 1 - above),
    }
}

/// What the code stands for.
const fn number(code: u8) -> u64 {
    match code {
        small @ 0..4 => small as u64,
        code => (4 + code as u64 % 4) << (code / 4 - 1),
    }
}
