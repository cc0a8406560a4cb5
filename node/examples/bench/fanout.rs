//! Fan-out: one writer, many subscribers on live connections, the rate raised until it is too much.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use khlong_crdt::admission::TimelineKind;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_sync::limits::APPEND_ENVELOPES_MAX;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::sync::Barrier;

use crate::disk;
use crate::figures::{Figures, quantile};
use crate::memory::{MIB, resident_bytes_of};
use crate::processes::Failure;
use crate::sealed::Writer;
use crate::side::{Contender, Ear, Known, Mouth, Side};

/// Subscribers and messages an envelope.
pub(crate) const CASES: [(usize, usize); 8] = [
    (1, 1),
    (10, 1),
    (100, 1),
    (1_000, 1),
    (1, 16),
    (10, 16),
    (100, 16),
    (1_000, 16),
];
/// What a conversation of ten must bear in any case, messages a second.
const BASELINE: (usize, f64) = (10, 5_000.0);
/// Beyond it a rate is too much.
const P99_MAX_MS: f64 = 1_000.0;
/// The first rate, in deliveries a second, as far as the writer's part of it is sensible.
const DELIVERIES_FIRST: f64 = 10_000.0;
const RATE_FIRST: std::ops::RangeInclusive<f64> = 20.0..=2_000.0;
/// Halvings of the interval between the last rate that was borne and the first that was not.
const BISECTIONS: usize = 2;
const APPENDS_AT_ONCE: usize = 2;

/// On a fresh server.
pub(crate) async fn measure(
    contender: &Contender,
    (subscribers, messages): (usize, usize),
    binaries: &Path,
    full: bool,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let lasting = Duration::from_secs(if full { 5 } else { 1 });
    let name = name(contender, subscribers, messages);
    let side = Side::start(contender, binaries).await?;
    figures.add(
        format!("{name}: fdatasync of 4 KiB before it"),
        "1/s",
        disk::syncs_per_second(side.folder.path())?,
    );
    let mut audience = Audience::gather(&side, subscribers).await?;
    let best = audience.best(messages, lasting).await?;
    // What arrived, not what was offered: a rate that is too high passes for a short while.
    let half = best.deliveries / subscribers as f64 / 2.0;
    let deliveries = |step: &Step| step.deliveries * messages as f64;
    figures.add(
        format!("{name}: deliveries"),
        "messages/s",
        deliveries(&best),
    );
    figures.add(format!("{name}: p99 there"), "ms", best.p99());
    let half = audience.step(half, messages, lasting).await?;
    figures.add(
        format!("{name}: at half of it"),
        "messages/s",
        deliveries(&half),
    );
    figures.add(format!("{name}: p50 at half"), "ms", half.p50());
    figures.add(format!("{name}: p99 at half"), "ms", half.p99());
    if (subscribers, messages) == (BASELINE.0, 1) {
        let baseline = audience.step(BASELINE.1, messages, lasting).await?;
        let name = format!("{name}: {} messages/s", BASELINE.1);
        figures.add(format!("{name}, p99"), "ms", baseline.p99());
    }
    if let Some(pid) = side.pid() {
        let mib = resident_bytes_of(pid)? as f64 / MIB;
        figures.add(format!("{name}: relay's memory"), "MiB", mib);
    }
    side.end()
}

/// What the figures of a case begin with.
pub(crate) fn name(contender: &Contender, subscribers: usize, messages: usize) -> String {
    let whose = contender.prefix();
    format!("{whose}fan-out, {subscribers} subscribers, {messages} messages an envelope")
}

/// What one rate did.
struct Step {
    /// Envelopes that subscribers received, a second.
    deliveries: f64,
    /// Milliseconds from when an envelope was due to its arrival at a subscriber, ascending.
    waits: Vec<f64>,
}

impl Step {
    fn p50(&self) -> f64 {
        quantile(&self.waits, 0.5)
    }

    fn p99(&self) -> f64 {
        quantile(&self.waits, 0.99)
    }
}

/// One writer and those who listen, all connected.
struct Audience {
    random: ChaCha20Rng,
    writer: Writer,
    mouth: Mouth,
    ears: Vec<Ear>,
    known: Arc<Known>,
}

impl Audience {
    async fn gather(side: &Side, subscribers: usize) -> Result<Self, Failure> {
        let mut random = ChaCha20Rng::seed_from_u64(3);
        let writer = Writer::open(TimelineKind::Public, &mut random);
        let known = Arc::new(Known::default());
        let mut mouths = side.mouths(std::slice::from_ref(&writer)).await?;
        let ears = side.ears(subscribers, &writer, &known).await?;
        Ok(Self {
            random,
            mouth: mouths.pop().ok_or("no writer")?,
            writer,
            ears,
            known,
        })
    }

    /// What the highest rate that is borne did.
    async fn best(&mut self, messages: usize, lasting: Duration) -> Result<Step, Failure> {
        let first = DELIVERIES_FIRST / self.ears.len() as f64;
        let mut rate = first.clamp(*RATE_FIRST.start(), *RATE_FIRST.end());
        let mut best: Option<(Step, f64)> = None;
        let mut too_much = f64::INFINITY;
        let mut bisections = 0;
        loop {
            let step = self.step(rate, messages, lasting).await?;
            if step.p99() <= P99_MAX_MS {
                best = Some((step, rate));
            } else {
                too_much = rate;
            }
            let borne = best.as_ref().map_or(0.0, |(_, rate)| *rate);
            rate = if too_much.is_infinite() {
                borne * 2.0
            } else {
                bisections += 1;
                f64::midpoint(borne, too_much)
            };
            if bisections > BISECTIONS
                && let Some((step, _)) = best
            {
                return Ok(step);
            }
            if rate < 1.0 {
                return Err("not even one envelope a second is borne".into());
            }
        }
    }

    /// Has the writer hold what the next step sends. A relay takes an envelope once; a peer takes
    /// bytes as often as they come, and sealing its many would take longer than measuring it.
    fn make(&mut self, count: usize, messages: usize) -> Result<(), Failure> {
        let made = match &self.mouth {
            Mouth::Khlong(_) => 0,
            Mouth::Nats(_) => self.writer.envelopes.len(),
        };
        if made == 0 {
            self.writer.envelopes.clear();
        }
        let missing = count.saturating_sub(made);
        self.writer.seal_more(missing, messages, &mut self.random)?;
        Ok(())
    }

    /// Sends at `rate` envelopes a second. Every subscriber gets all of it, in order, however
    /// long it takes, or the run ends.
    async fn step(
        &mut self,
        rate: f64,
        messages: usize,
        lasting: Duration,
    ) -> Result<Step, Failure> {
        let count = ((rate * lasting.as_secs_f64()) as usize).max(10);
        let pause = Duration::from_secs_f64(1.0 / rate);
        self.make(count, messages)?;
        let expected = self.writer.envelopes.get(..count);
        let expected: Arc<[VerifiedEnvelope]> = expected.unwrap_or_default().into();
        self.known.learn(&expected);
        let begin = Arc::new(Barrier::new(self.ears.len() + 1));
        let ears = std::mem::take(&mut self.ears);
        let listening: Vec<_> = ears
            .into_iter()
            .map(|ear| {
                let (expected, begin) = (Arc::clone(&expected), Arc::clone(&begin));
                let known = Arc::clone(&self.known);
                tokio::spawn(listen(ear, known, expected, pause, begin))
            })
            .collect();
        begin.wait().await;
        let begun = Instant::now();
        speak(&mut self.mouth, &expected, pause, begun).await?;
        let mut waits = Vec::new();
        for listener in listening {
            let (ear, waited) = listener.await??;
            self.ears.push(ear);
            waits.extend(waited);
        }
        let took = begun.elapsed().as_secs_f64();
        let deliveries = waits.len() as f64 / took;
        waits.sort_by(f64::total_cmp);
        Ok(Step { deliveries, waits })
    }
}

/// What is due is appended at once, two appends on their way at most.
async fn speak(
    mouth: &mut Mouth,
    envelopes: &[VerifiedEnvelope],
    pause: Duration,
    begun: Instant,
) -> Result<(), Failure> {
    let due = |number: usize| begun + pause.mul_f64(number as f64);
    let (mut sent, mut waiting) = (0, 0);
    while sent < envelopes.len() {
        tokio::time::sleep_until(due(sent).into()).await;
        if waiting == APPENDS_AT_ONCE {
            mouth.acked().await?;
            waiting -= 1;
        }
        let now = Instant::now();
        let gathered = (sent..envelopes.len()).take_while(|number| due(*number) <= now);
        let gathered = gathered.count().clamp(1, APPEND_ENVELOPES_MAX);
        let portion = envelopes.get(sent..sent + gathered).unwrap_or_default();
        mouth.offer(portion).await?;
        waiting += 1;
        sent += gathered;
    }
    for _ in 0..waiting {
        mouth.acked().await?;
    }
    Ok(())
}

/// Receives all of `expected` in order; the milliseconds that each was late.
async fn listen(
    mut ear: Ear,
    known: Arc<Known>,
    expected: Arc<[VerifiedEnvelope]>,
    pause: Duration,
    begin: Arc<Barrier>,
) -> Result<(Ear, Vec<f64>), Failure> {
    begin.wait().await;
    let begun = Instant::now();
    let mut waits = Vec::with_capacity(expected.len());
    while waits.len() < expected.len() {
        let heard = ear.heard(&known).await?;
        let now = Instant::now();
        for id in heard {
            let number = waits.len();
            if expected.get(number).map(VerifiedEnvelope::id) != Some(id) {
                return Err(format!("delivery {number} is another envelope than was sent").into());
            }
            let due = begun + pause.mul_f64(number as f64);
            waits.push(now.saturating_duration_since(due).as_secs_f64() * 1_000.0);
        }
    }
    Ok((ear, waits))
}
