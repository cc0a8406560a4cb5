//! How many bytes a message takes: `message_sizes < LINES`. Lines are joined until they have
//! 90 to 110 letters.
//!
//! What is told of is the body of an envelope, its nonce and its signature, in a timeline of
//! two: of the rest a connection says little. No line was seen by a dictionary or a model,
//! unless it is one that `dictionaries/README.md` names.

use std::error::Error;
use std::io::{BufRead, stdin};

use khlong_crdt::admission::{History, Rights, TimelineKind};
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::membership::joining::join;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::write::InviteTerms;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

const START: i64 = 1_795_500_000_000;
const MESSAGES_MAX: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let lines: Result<Vec<_>, _> = stdin().lock().split(b'\n').collect();
    let texts = of_about_a_hundred(lines?.iter().map(|line| String::from_utf8_lossy(line)));
    let letters: usize = texts.iter().map(|text| text.chars().count()).sum();
    println!(
        "{} texts of {} letters",
        texts.len(),
        letters / texts.len().max(1)
    );
    println!("in one envelope, behind      n   mean  least   most  bytes a message");
    for (count, whose, answers) in [
        (1, "its own", false),
        (1, "another's", true),
        (10, "its own", false),
    ] {
        let mut sizes = sizes(&texts, count, answers)?;
        sizes.sort_unstable();
        let mean = sizes.iter().sum::<usize>() / sizes.len().max(1);
        let (least, most) = (sizes.first().unwrap_or(&0), sizes.last().unwrap_or(&0));
        println!(
            "{count:>15}, {whose:<10} {:>4} {mean:>6} {least:>6} {most:>6}",
            sizes.len()
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

/// Bytes a message, of envelopes of `count` messages, each behind one of the same author or
/// of the other one.
fn sizes(texts: &[String], count: usize, answers: bool) -> Result<Vec<usize>, Box<dyn Error>> {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut members = two(&mut rng)?;
    let mut sizes = Vec::new();
    for (place, texts) in (0..).zip(texts.chunks_exact(count)) {
        let now = START + 97_003 * place;
        let drafts: Vec<_> = (0..)
            .zip(texts)
            .map(|(n, text)| draft(text, now + 1_907 * n))
            .collect();
        let [first, second] = &mut members;
        let envelope = first.write(&drafts, UnixMillis(now), &mut rng)?;
        second.receive(&envelope);
        let body = envelope.body().map_or(0, <[u8]>::len);
        sizes.push((24 + 64 + body) / count);
        if answers {
            members.reverse();
        }
    }
    // Before the first ones nothing stands.
    Ok(sizes.split_off(1.min(sizes.len())))
}

fn two(rng: &mut ChaCha12Rng) -> Result<[Timeline; 2], Box<dyn Error>> {
    let opened = open_timeline(TimelineKind::Direct, History::Full, rng);
    let mut first = Timeline::new(opened.timeline, opened.secrets);
    first.receive_all(opened.envelopes.iter().cloned());
    let terms = InviteTerms {
        rights: Rights::MEMBER,
        role: Role::Member,
        expiry: UnixMillis(0),
        quota_class: 0,
        target: None,
    };
    let (invited, payload) = first.invite(&terms, UnixMillis(START), rng)?;
    let invite = InviteSecret::from_payload(opened.timeline, &payload, None)?;
    let joined = join(opened.timeline, &invite, rng);
    first.receive_all(joined.envelopes.iter().cloned());
    let mut second = Timeline::new(opened.timeline, joined.secrets);
    second.receive_all([opened.envelopes, invited, joined.envelopes].concat());
    Ok([first, second])
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
