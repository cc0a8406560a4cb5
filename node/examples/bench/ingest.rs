//! Durable ingest: each writer has a connection and a timeline of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use khlong_crdt::admission::TimelineKind;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_sync::limits::APPEND_ENVELOPES_MAX;
use khlong_sync::wire;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::sync::Barrier;

use crate::disk;
use crate::figures::{Figures, quantile};
use crate::memory::{MIB, resident_bytes_of};
use crate::processes::Failure;
use crate::processor::processor_time_of;
use crate::sealed::Writer;
use crate::side::{Contender, Mouth, Side};

/// Envelopes of one append at full speed, as a node sends what has gathered meanwhile.
const ENVELOPES_AT_ONCE: usize = 64;
/// Appends of one writer that wait for their acks at full speed.
const APPENDS_AT_ONCE: usize = 2;
/// In all, small and `--full`, shared by the writers.
const ENVELOPES: usize = 6_400;
const ENVELOPES_FULL: usize = 64_000;
/// A figure's name.
const CHECKED: &str = "envelopes that one core checks";
/// Of `/metrics`.
const COMMITS: &str = "khlong_commit_seconds_count";
/// A rate that whoever fsyncs each envelope bears, so that the waits can be compared.
const STEADY: f64 = 1_500.0;
/// Long enough for the rate at half load to be one, short enough for many runs.
const HALF_LOAD: Duration = Duration::from_secs(2);

/// Writers and messages an envelope.
pub(crate) const CASES: [(usize, usize); 6] =
    [(1, 1), (10, 1), (100, 1), (1, 16), (10, 16), (100, 16)];

/// Each case on a fresh server, with the disk measured before.
pub(crate) async fn measure(
    contender: &Contender,
    (writers, messages): (usize, usize),
    binaries: &Path,
    full: bool,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let envelopes = if full { ENVELOPES_FULL } else { ENVELOPES };
    let name = name(contender, writers, messages);
    let side = Side::start(contender, binaries).await?;
    figures.add(
        format!("{name}: fdatasync of 4 KiB before it"),
        "1/s",
        disk::syncs_per_second(side.folder.path())?,
    );
    let case = Case {
        side: &side,
        writers,
        messages,
    };
    let commits = side.metric(COMMITS);
    let before = processor_time(&side)?;
    let rate = case.full_speed(envelopes).await?;
    if let (Some(before), Some(after)) = (before, processor_time(&side)?) {
        shares(
            after.saturating_sub(before) / envelopes as u32,
            &name,
            figures,
        );
    }
    if let (Some(before), Some(after)) = (commits, side.metric(COMMITS)) {
        // Each writer's opening is a commit too, before the clock starts.
        let openings = writers as u64;
        let commits = after.saturating_sub(before + openings);
        figures.add(
            format!("{name}: envelopes a commit"),
            "1",
            envelopes as f64 / commits.max(1) as f64,
        );
    }
    figures.add(format!("{name}: envelopes"), "acked/s", rate);
    figures.add(
        format!("{name}: messages"),
        "acked/s",
        rate * messages as f64,
    );
    let waits = case.paced(rate / 2.0, 2).await?;
    figures.add(format!("{name}: ack p50"), "ms", quantile(&waits, 0.5));
    figures.add(format!("{name}: ack p99"), "ms", quantile(&waits, 0.99));
    let waits = case.paced(STEADY, 3).await?;
    if let Some(pid) = side.pid() {
        let mib = resident_bytes_of(pid)? as f64 / MIB;
        figures.add(format!("{name}: relay's memory"), "MiB", mib);
    }
    let name = format!("{name}: {STEADY} envelopes/s");
    figures.add(format!("{name}, ack p50"), "ms", quantile(&waits, 0.5));
    figures.add(format!("{name}, ack p99"), "ms", quantile(&waits, 0.99));
    side.end()
}

fn processor_time(side: &Side) -> Result<Option<Duration>, Failure> {
    side.pid().map(processor_time_of).transpose()
}

/// What the relay takes for an envelope, opening the timelines included, and how much of it
/// checking its signature is.
fn shares(each: Duration, name: &str, figures: &mut Figures) {
    let microseconds = each.as_secs_f64() * 1e6;
    figures.add(
        format!("{name}: relay's processor time an envelope"),
        "µs",
        microseconds,
    );
    if let Some([.., checked]) = figures.samples(CHECKED) {
        let share = 100.0 * 1e6 / checked / microseconds;
        figures.add(format!("{name}: of it the signature's check"), "%", share);
    }
}

/// What the figures of a case begin with.
pub(crate) fn name(contender: &Contender, writers: usize, messages: usize) -> String {
    let whose = contender.prefix();
    format!("{whose}ingest, {writers} writers, {messages} messages an envelope")
}

/// How many signatures one core checks in a second, strictly, beside an otherwise idle machine.
pub(crate) fn signatures(figures: &mut Figures) -> Result<(), Failure> {
    let mut random = ChaCha20Rng::seed_from_u64(4);
    let mut writer = Writer::open(TimelineKind::Group, &mut random);
    writer.seal(2_000, 1, &mut random)?;
    let begun = Instant::now();
    for envelope in &writer.envelopes {
        wire::verify(envelope.bytes())?;
    }
    let rate = writer.envelopes.len() as f64 / begun.elapsed().as_secs_f64();
    figures.add(CHECKED.to_owned(), "1/s", rate);
    Ok(())
}

struct Case<'a> {
    side: &'a Side,
    writers: usize,
    messages: usize,
}

impl Case<'_> {
    /// Acknowledged envelopes a second with all writers at full speed.
    async fn full_speed(&self, envelopes: usize) -> Result<f64, Failure> {
        let each = envelopes / self.writers;
        let ready = self.ready(each, 1).await?;
        let begin = Arc::new(Barrier::new(ready.len() + 1));
        let tasks: Vec<_> = ready
            .into_iter()
            .map(|(mouth, envelopes)| tokio::spawn(push(mouth, envelopes, Arc::clone(&begin))))
            .collect();
        begin.wait().await;
        let begun = Instant::now();
        for task in tasks {
            task.await??;
        }
        Ok((each * self.writers) as f64 / begun.elapsed().as_secs_f64())
    }

    /// Milliseconds from when an envelope was due to its ack, ascending, at `rate` envelopes a
    /// second in all.
    async fn paced(&self, rate: f64, seed: u64) -> Result<Vec<f64>, Failure> {
        let each = ((rate * HALF_LOAD.as_secs_f64()) as usize / self.writers).max(1);
        let pause = Duration::from_secs_f64(self.writers as f64 / rate);
        let ready = self.ready(each, seed).await?;
        let begin = Arc::new(Barrier::new(ready.len()));
        let tasks: Vec<_> = ready
            .into_iter()
            .enumerate()
            .map(|(number, (mouth, envelopes))| {
                // Spread over the pause, as people are.
                let offset = pause.mul_f64(number as f64 / self.writers as f64);
                tokio::spawn(pace(mouth, envelopes, pause, offset, Arc::clone(&begin)))
            })
            .collect();
        let mut waits = Vec::new();
        for task in tasks {
            waits.extend(task.await??);
        }
        waits.sort_by(f64::total_cmp);
        Ok(waits)
    }

    /// Connected writers whose timelines are open, with what they will send. Another seed
    /// makes other timelines.
    async fn ready(
        &self,
        each: usize,
        seed: u64,
    ) -> Result<Vec<(Mouth, Vec<VerifiedEnvelope>)>, Failure> {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let mut writers = Vec::with_capacity(self.writers);
        for _ in 0..self.writers {
            let mut writer = Writer::open(TimelineKind::Group, &mut random);
            writer.seal(each, self.messages, &mut random)?;
            writers.push(writer);
        }
        let mouths = self.side.mouths(&writers).await?;
        let envelopes = writers.into_iter().map(|writer| writer.envelopes);
        Ok(mouths.into_iter().zip(envelopes).collect())
    }
}

async fn push(
    mut mouth: Mouth,
    envelopes: Vec<VerifiedEnvelope>,
    begin: Arc<Barrier>,
) -> Result<(), Failure> {
    begin.wait().await;
    let mut waiting = 0;
    for portion in envelopes.chunks(ENVELOPES_AT_ONCE) {
        if waiting == APPENDS_AT_ONCE {
            mouth.acked().await?;
            waiting -= 1;
        }
        mouth.offer(portion).await?;
        waiting += 1;
    }
    for _ in 0..waiting {
        mouth.acked().await?;
    }
    Ok(())
}

/// As a node does: one append is on its way, and the next one takes what has gathered meanwhile.
async fn pace(
    mut mouth: Mouth,
    envelopes: Vec<VerifiedEnvelope>,
    pause: Duration,
    offset: Duration,
    begin: Arc<Barrier>,
) -> Result<Vec<f64>, Failure> {
    begin.wait().await;
    let begun = Instant::now() + offset;
    let due = |number: usize| begun + pause * number as u32;
    let mut waits = Vec::new();
    while waits.len() < envelopes.len() {
        let sent = waits.len();
        tokio::time::sleep_until(due(sent).into()).await;
        let now = Instant::now();
        let is_due = |number: &usize| due(*number) <= now;
        let gathered = (sent..envelopes.len()).take_while(is_due).count();
        let gathered = gathered.clamp(1, APPEND_ENVELOPES_MAX);
        let portion = envelopes.get(sent..sent + gathered);
        mouth.offer(portion.unwrap_or_default()).await?;
        mouth.acked().await?;
        let acked = Instant::now();
        // From when each was due: what waited here waits as well.
        let waited = |number| (acked - due(number)).as_secs_f64() * 1_000.0;
        waits.extend((sent..sent + gathered).map(waited));
    }
    Ok(waits)
}
