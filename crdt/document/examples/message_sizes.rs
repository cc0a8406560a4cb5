//! How many bytes a message takes: `message_sizes < LINES`. Of the input every tenth line is
//! taken, which no dictionary has seen (see `dictionary_samples`), if it has 90 to 110
//! letters; shorter ones are joined.
//!
//! What is told of is the body of an envelope and its signature and nonce: of the rest a
//! connection says little (`sync/PROTOCOL.md`, shadow headers).

use std::error::Error;
use std::io::{BufRead, stdin};

use khlong_crdt::admission::{History, TimelineKind};
use khlong_crdt::time::UnixMillis;
use khlong_document::membership::opening::open_timeline;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

const START: i64 = 1_795_500_000_000;
const MESSAGES_MAX: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let lines: Result<Vec<_>, _> = stdin().lock().split(b'\n').collect();
    let lines = lines?;
    let held_out = lines.iter().skip(9).step_by(10);
    let texts = of_about_a_hundred(held_out.map(|line| String::from_utf8_lossy(line)));
    println!(
        "{:>9} {:>9} {:>9} {:>9} {:>9}",
        "in one", "messages", "mean", "least", "most"
    );
    for count in [1, 10] {
        let mut sizes = sizes(&texts, count)?;
        sizes.sort_unstable();
        let mean = sizes.iter().sum::<usize>() / sizes.len().max(1);
        let (least, most) = (sizes.first().unwrap_or(&0), sizes.last().unwrap_or(&0));
        println!(
            "{count:>9} {:>9} {mean:>9} {least:>9} {most:>9}",
            sizes.len() * count
        );
    }
    Ok(())
}

fn of_about_a_hundred(lines: impl Iterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut texts = Vec::new();
    let mut joined = String::new();
    for line in lines {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(line.as_ref());
        match joined.chars().count() {
            0..90 => {}
            90..=110 => texts.push(std::mem::take(&mut joined)),
            _ => joined.clear(),
        }
    }
    texts.truncate(MESSAGES_MAX);
    texts
}

/// Bytes a message, of envelopes of `count` messages.
fn sizes(texts: &[String], count: usize) -> Result<Vec<usize>, Box<dyn Error>> {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let opened = open_timeline(TimelineKind::Group, History::Full, &mut rng);
    let mut timeline = Timeline::new(opened.timeline, opened.secrets);
    timeline.receive_all(opened.envelopes);
    let mut sizes = Vec::new();
    for (place, texts) in (0..).zip(texts.chunks_exact(count)) {
        let now = START + 97_003 * place;
        let drafts: Vec<_> = (0..)
            .zip(texts)
            .map(|(n, text)| draft(text, now + 1_907 * n))
            .collect();
        let envelope = timeline.write(&drafts, UnixMillis(now), &mut rng)?;
        let body = envelope.body().map_or(0, <[u8]>::len);
        sizes.push((24 + 64 + body) / count);
    }
    Ok(sizes)
}

fn draft(text: &str, sent_at: i64) -> Draft {
    Draft::Message {
        body: text.to_owned(),
        reply_to: None,
        attachments: Vec::new(),
        origin: None,
        import_key: None,
        sent_at: UnixMillis(sent_at),
    }
}
