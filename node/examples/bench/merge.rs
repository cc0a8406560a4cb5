//! Merging, opening and memory of a timeline, without a disk and without a network.

use std::time::Instant;

use khlong_crdt::admission::TimelineKind;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_document::keys::author::AuthorSecret;
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::timeline::Timeline;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::figures::Figures;
use crate::memory;
use crate::processes::Failure;
use crate::sealed::Writer;
use crate::texts::Texts;

const HISTORIES: [usize; 2] = [1_000, 10_000];
const HISTORIES_FULL: [usize; 3] = [1_000, 10_000, 100_000];
/// What comes on top of a history, in messages.
const ARRIVING: usize = 8_000;
/// Messages before memory is counted: open pages and buffers.
const WARM: usize = 10_000;
/// What a screen shows.
const SCREEN: usize = 50;

/// How a member who is not the writer takes it.
pub(crate) fn measure(full: bool, texts: &Texts, figures: &mut Figures) -> Result<(), Failure> {
    let histories: &[usize] = if full { &HISTORIES_FULL } else { &HISTORIES };
    for &history in histories {
        for messages in [1, 16] {
            let name = format!("merge, history of {history}, {messages} messages an envelope");
            let mut random = ChaCha20Rng::seed_from_u64(5);
            let writer = Writer::open(TimelineKind::Public, &mut random);
            let mut writer = writer.with(texts.clone());
            let mut member = member(&writer, &mut random);
            member.receive_all(writer.opening.iter().cloned());
            let mut merging = 0.0;
            for part in portions(history / messages) {
                writer.seal(part, messages, &mut random)?;
                merging += merge(&mut member, &writer.envelopes);
            }
            writer.envelopes.clear();
            let shown = member.message_count();
            if shown != history / messages * messages {
                return Err(format!("{shown} of {history} messages show").into());
            }
            figures.add(
                format!("{name}: from nothing"),
                "messages/s",
                shown as f64 / merging,
            );
            writer.seal(ARRIVING / messages, messages, &mut random)?;
            let seconds = merge(&mut member, &writer.envelopes);
            figures.add(
                format!("{name}: more"),
                "messages/s",
                ARRIVING as f64 / seconds,
            );
            let begun = Instant::now();
            let seen = member.messages(shown - SCREEN..shown);
            let newest = begun.elapsed().as_secs_f64() * 1_000.0;
            let begun = Instant::now();
            let old = member.messages(shown / 2 - SCREEN..shown / 2);
            let middle = begun.elapsed().as_secs_f64() * 1_000.0;
            if seen.len() + old.len() != 2 * SCREEN {
                return Err("a screen is not full".into());
            }
            figures.add(format!("{name}: the newest {SCREEN}"), "ms", newest);
            figures.add(format!("{name}: {SCREEN} of the middle"), "ms", middle);
        }
    }
    Ok(())
}

/// What a process holds that has only this: bytes a message. The writer holds the same
/// timeline once more, so it is half of what came. To be called in a process of its own.
pub(crate) fn memory(history: usize, texts: Texts) -> Result<f64, Failure> {
    let mut random = ChaCha20Rng::seed_from_u64(5);
    let mut writer = Writer::open(TimelineKind::Public, &mut random).with(texts);
    let mut member = member(&writer, &mut random);
    member.receive_all(writer.opening.iter().cloned());
    let mut before = None;
    for part in portions(history + WARM) {
        writer.seal(part, 1, &mut random)?;
        merge(&mut member, &writer.envelopes);
        // What a portion takes while it is read is there from now on.
        if before.is_none() && member.message_count() >= WARM {
            before = Some(memory::resident_bytes()?);
        }
    }
    let held = memory::resident_bytes()?.saturating_sub(before.unwrap_or_default());
    Ok(held as f64 / history as f64 / 2.0)
}

/// A device of somebody else: the writer's timeline is public.
fn member(writer: &Writer, random: &mut ChaCha20Rng) -> Timeline {
    let mut seed = [0; 32];
    random.fill_bytes(&mut seed);
    let secrets = TimelineSecrets {
        author: AuthorSecret::from_seed(seed),
        ..writer.secrets.clone()
    };
    Timeline::new(secrets.timeline, secrets)
}

/// Seconds.
fn merge(member: &mut Timeline, envelopes: &[VerifiedEnvelope]) -> f64 {
    let begun = Instant::now();
    member.receive_all(envelopes.iter().cloned());
    begun.elapsed().as_secs_f64()
}

/// As many envelopes at a time as a client that catches up takes.
fn portions(mut left: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let part = left.min(1_000);
        left -= part;
        (part > 0).then_some(part)
    })
}
