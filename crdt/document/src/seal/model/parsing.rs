//! The file of a model (`DOCUMENT.md` §2): contexts, shorter ones first, in pairs of bytes.

use super::contexts::{Context, Entry, ROOT};
use super::range::TOTAL;

const IS_LAST: u8 = 0x80;
const HAS_CONTEXT: u8 = 0x40;
const NUMBER: u8 = 0x3f;
const ESCAPES_BELOW_HALF: u8 = 52;

/// Bytes that are no model.
#[derive(Debug)]
pub(super) struct Malformed;

/// All contexts by the order in the file, which is what they call each other by here.
pub(super) fn contexts(mut bytes: &[u8]) -> Result<Vec<Context>, Malformed> {
    let mut contexts = Vec::new();
    // The next shorter ones of the contexts that follow.
    let mut announced = vec![ROOT];
    while let Some(shorter) = announced.get(contexts.len()).copied() {
        let context = context(&mut bytes, &contexts, shorter, &mut announced)?;
        contexts.push(context);
    }
    if bytes.is_empty() {
        return Ok(contexts);
    }
    Err(Malformed)
}

fn context(
    bytes: &mut &[u8],
    before: &[Context],
    shorter: u32,
    announced: &mut Vec<u32>,
) -> Result<Context, Malformed> {
    let mut entries = Vec::new();
    let (mut escape, mut taken, mut others) = (0, 0, TOTAL);
    loop {
        let ([symbol, code], rest) = bytes.split_first_chunk().ok_or(Malformed)?;
        *bytes = rest;
        let mut weight = number(*code);
        if entries.is_empty() {
            escape = escape_number(*code);
            weight = escape;
        }
        taken += weight;
        if weight == 0 || taken >= TOTAL {
            return Err(Malformed);
        }
        let known = listed(before, shorter, *symbol).map_or(0, |entry| entry.weight);
        others = others.checked_sub(known).ok_or(Malformed)?;
        let mut next = behind(before, shorter, *symbol);
        if code & HAS_CONTEXT != 0 {
            announced.push(next);
            next = u32::try_from(announced.len() - 1).map_err(|_| Malformed)?;
        }
        entries.push(Entry {
            symbol: *symbol,
            weight,
            next,
        });
        if code & IS_LAST != 0 {
            break;
        }
    }
    // In the place of its weight lay that of the escape: it has what is left by all others.
    if let Some(most_frequent) = entries.first_mut() {
        most_frequent.weight = TOTAL - taken;
    }
    Ok(Context {
        entries,
        escape,
        shorter,
        others,
    })
}

fn listed(contexts: &[Context], at: u32, symbol: u8) -> Option<&Entry> {
    let mut entries = contexts.get(at as usize)?.entries.iter();
    entries.find(|entry| entry.symbol == symbol)
}

/// The longest context that the one of `at` and `symbol` end with.
pub(super) fn behind(contexts: &[Context], mut at: u32, symbol: u8) -> u32 {
    loop {
        if let Some(entry) = listed(contexts, at, symbol) {
            return entry.next;
        }
        match contexts.get(at as usize) {
            Some(context) if at != ROOT => at = context.shorter,
            Some(_) | None => return ROOT,
        }
    }
}

/// What a code stands for: 0 to 3, then three bits that count and how far they are shifted.
const fn number(code: u8) -> u32 {
    match code & NUMBER {
        small @ 0..4 => small as u32,
        code => (4 + code as u32 % 4) << (code / 4 - 1),
    }
}

/// Of an escape: where it is more than half of [`TOTAL`], what all others have together is the
/// finer number.
const fn escape_number(code: u8) -> u32 {
    match code & NUMBER {
        code @ 0..ESCAPES_BELOW_HALF => number(code),
        code => TOTAL - number(2 * ESCAPES_BELOW_HALF - 1 - code),
    }
}
