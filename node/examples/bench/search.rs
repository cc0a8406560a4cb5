//! Search on the device: how fast messages are indexed and found, and what the index takes.

use std::path::Path;
use std::time::Instant;

use khlong_crdt::id::{EpochId, MessageId, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_node::peer::{IndexKey, MasterKey};
use khlong_node::search::entry::{Entry, Filter, PageName};
use khlong_node::search::index::Index;
use khlong_node::search::query::Query;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::figures::{Figures, quantile};
use crate::processes::Failure;
use crate::texts::Texts;

const MESSAGES: usize = 100_000;
const MESSAGES_FULL: usize = 1_000_000;
/// Of a page, as in a timeline.
const PAGE_MESSAGES: usize = 1_000;
/// Pages that one commit holds, as in a node that catches up.
const COMMIT_PAGES: usize = 10;
const QUERIES: usize = 1_000;
/// As `khlong search` shows by default.
const SHOWN: usize = 20;

/// Syllables that make up words of messages where no real ones are given.
const THAI: [&str; 16] = [
    "ตลาด",
    "น้ำ",
    "เรือ",
    "คลอง",
    "ริม",
    "กิน",
    "ข้าว",
    "ไป",
    "มา",
    "เช้า",
    "เย็น",
    "ร้าน",
    "ขาย",
    "ของ",
    "บ้าน",
    "วัด",
];
const ENGLISH: [&str; 16] = [
    "boat", "market", "noon", "canal", "meet", "rice", "tea", "north", "gate", "late", "rain",
    "bridge", "ticket", "stall", "river", "open",
];

/// The texts that were given, over and over, else made up ones with more words.
pub(crate) fn measure(full: bool, texts: &Texts, figures: &mut Figures) -> Result<(), Failure> {
    let count = if full { MESSAGES_FULL } else { MESSAGES };
    let (source, texts) = match texts.given() {
        Some(given) => ("given", given.to_vec()),
        None => ("made up", made_up()),
    };
    let name = format!("search, {count} {source} messages");
    let folder = tempfile::tempdir()?;
    let key = IndexKey::of(&MasterKey::from_bytes([7; 32]));
    let mut index = Index::open(folder.path(), &key)?;
    let begun = Instant::now();
    for first in (0..count).step_by(PAGE_MESSAGES) {
        let entries: Vec<Entry> = (first..count.min(first + PAGE_MESSAGES))
            .map(|number| entry(number, &texts))
            .collect();
        let n = first / PAGE_MESSAGES;
        let page = PageName {
            timeline: TimelineId::from_bytes([1; 32]),
            n: u32::try_from(n)?,
            lineage: EpochId::ZERO,
        };
        index.put(page, [0; 16], &entries)?;
        if n % COMMIT_PAGES == COMMIT_PAGES - 1 {
            index.commit()?;
        }
    }
    index.commit()?;
    index.rest()?;
    let seconds = begun.elapsed().as_secs_f64();
    figures.add(format!("{name}: indexed"), "1/s", count as f64 / seconds);
    let bytes = bytes_in(folder.path())?;
    figures.add(
        format!("{name}: index"),
        "B/msg",
        bytes as f64 / count as f64,
    );

    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let mut micros = Vec::with_capacity(QUERIES);
    while micros.len() < QUERIES {
        let Some(query) = two_words(&mut rng, &texts) else {
            continue;
        };
        let begun = Instant::now();
        index.find(&query, &Filter::default(), SHOWN)?;
        micros.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    for (what, share) in [("p50", 0.5), ("p99", 0.99)] {
        figures.add(
            format!("{name}: AND of two words, {what}"),
            "µs",
            quantile(&micros, share),
        );
    }
    Ok(())
}

fn entry(number: usize, texts: &[String]) -> Entry {
    let body = texts.get(number % texts.len()).cloned().unwrap_or_default();
    let mut id = [0; 16];
    blake3::Hasher::new()
        .update(&number.to_be_bytes())
        .finalize_xof()
        .fill(&mut id);
    Entry {
        id: MessageId::from_bytes(id),
        body,
        author: format!("prn_{}", number % 20),
        sent_at: UnixMillis(1_780_000_000_000 + number as i64 * 1_000),
    }
}

/// Two words of one message, so that there is something to find.
fn two_words(rng: &mut ChaCha20Rng, texts: &[String]) -> Option<Query> {
    let text = texts.get(rng.next_u64() as usize % texts.len())?;
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| word.chars().count() > 1)
        .collect();
    let mut word = || words.get(rng.next_u64() as usize % words.len().max(1));
    // In quotes, so that each is a word and not the start of one.
    Query::parse(&format!("\"{}\" \"{}\"", word()?, word()?)).ok()
}

fn made_up() -> Vec<String> {
    let mut rng = ChaCha20Rng::from_seed([8; 32]);
    let mut pick = |from: &[&'static str; 16]| -> String {
        let syllables = 1 + rng.next_u64() % 2;
        let mut word = || from.get(rng.next_u64() as usize % from.len()).copied();
        (0..syllables).filter_map(|_| word()).collect()
    };
    let mut message = |number: usize| {
        let words = 3 + number % 9;
        let word = |n: usize| {
            if (n + number).is_multiple_of(3) {
                pick(&ENGLISH)
            } else {
                pick(&THAI)
            }
        };
        (0..words).map(word).collect::<Vec<_>>().join(" ")
    };
    (0..50_000).map(&mut message).collect()
}

fn bytes_in(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for file in std::fs::read_dir(folder)? {
        bytes += file?.metadata()?.len();
    }
    Ok(bytes)
}
