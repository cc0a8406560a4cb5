//! Durable ingest: each writer has a connection and a timeline of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use khlong_crdt::address::RelayAddress;
use khlong_sync::limits::APPEND_ENVELOPES_MAX;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::limits::QuicLimits;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::sync::Barrier;

use crate::client::Client;
use crate::disk;
use crate::figures::{Figures, quantile};
use crate::processes::{Failure, Relay};
use crate::sealed::{Writer, writer};

/// Envelopes of one append at full speed, as a node sends what has gathered meanwhile.
const ENVELOPES_AT_ONCE: usize = 64;
/// Appends of one writer that wait for their acks at full speed.
const APPENDS_AT_ONCE: usize = 2;
/// In all, small and `--full`, shared by the writers.
const ENVELOPES: usize = 6_400;
const ENVELOPES_FULL: usize = 64_000;
/// Of `/metrics`.
const COMMITS: &str = "khlong_commit_seconds_count";
/// Long enough for the rate at half load to be one, short enough for many runs.
const HALF_LOAD: Duration = Duration::from_secs(2);
/// The measured rate is what the machine does, not what the relay's policy lets one connection do.
const SETTINGS: [(&str, &str); 1] = [("KHLONG_POLICY__ENVELOPES_PER_MINUTE", "100000000")];

/// Each case on a fresh relay, with the disk measured before.
pub(crate) async fn measure(
    binaries: &Path,
    full: bool,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let envelopes = if full { ENVELOPES_FULL } else { ENVELOPES };
    for (writers, messages) in [(1, 1), (10, 1), (100, 1), (1, 16), (10, 16), (100, 16)] {
        let name = format!("ingest, {writers} writers, {messages} messages an envelope");
        let folder = tempfile::Builder::new()
            .prefix("khlong-bench-")
            .tempdir_in(binaries)?;
        figures.add(
            "fdatasync of 4 KiB".to_owned(),
            "1/s",
            disk::syncs_per_second(folder.path())?,
        );
        let relay = Relay::create(binaries, folder.path(), &SETTINGS)?;
        let running = relay.start()?;
        let address: RelayAddress = relay.address.parse()?;
        let case = Case {
            address,
            writers,
            messages,
        };
        let commits = relay.metric(COMMITS)?;
        let rate = case.full_speed(envelopes).await?;
        // Each writer's opening is a commit too, before the clock starts.
        let openings = writers as u64;
        let commits = relay.metric(COMMITS)?.saturating_sub(commits + openings);
        figures.add(
            format!("{name}: envelopes a commit"),
            "1",
            envelopes as f64 / commits.max(1) as f64,
        );
        figures.add(format!("{name}: envelopes"), "acked/s", rate);
        figures.add(
            format!("{name}: messages"),
            "acked/s",
            rate * messages as f64,
        );
        let waits = case.half_load(rate / 2.0).await?;
        figures.add(format!("{name}: ack p50"), "ms", quantile(&waits, 0.5));
        figures.add(format!("{name}: ack p99"), "ms", quantile(&waits, 0.99));
        running.stop()?;
    }
    Ok(())
}

struct Case {
    address: RelayAddress,
    writers: usize,
    messages: usize,
}

impl Case {
    /// Acknowledged envelopes a second with all writers at full speed.
    async fn full_speed(&self, envelopes: usize) -> Result<f64, Failure> {
        let each = envelopes / self.writers;
        let ready = self.ready(each, 1).await?;
        let begin = Arc::new(Barrier::new(ready.len() + 1));
        let tasks: Vec<_> = ready
            .into_iter()
            .map(|(client, writer)| tokio::spawn(push(client, writer, Arc::clone(&begin))))
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
    async fn half_load(&self, rate: f64) -> Result<Vec<f64>, Failure> {
        let each = ((rate * HALF_LOAD.as_secs_f64()) as usize / self.writers).max(1);
        let pause = Duration::from_secs_f64(self.writers as f64 / rate);
        let ready = self.ready(each, 2).await?;
        let begin = Arc::new(Barrier::new(ready.len()));
        let tasks: Vec<_> = ready
            .into_iter()
            .enumerate()
            .map(|(number, (client, writer))| {
                // Spread over the pause, as people are.
                let offset = pause.mul_f64(number as f64 / self.writers as f64);
                tokio::spawn(pace(client, writer, pause, offset, Arc::clone(&begin)))
            })
            .collect();
        let mut waits = Vec::new();
        for task in tasks {
            waits.extend(task.await??);
        }
        waits.sort_by(f64::total_cmp);
        Ok(waits)
    }

    /// Connected writers whose timelines are open, with what they will append.
    async fn ready(&self, each: usize, seed: u64) -> Result<Vec<(Client, Writer)>, Failure> {
        let dialer = Dialer::bind(QuicLimits::default())?;
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let mut ready = Vec::new();
        for _ in 0..self.writers {
            let writer = writer(each, self.messages, &mut random)?;
            let mut client = Client::connect(&dialer, &self.address).await?;
            client.prove(&writer.secrets).await?;
            client.append(&writer.opening).await?;
            ready.push((client, writer));
        }
        Ok(ready)
    }
}

async fn push(mut client: Client, writer: Writer, begin: Arc<Barrier>) -> Result<(), Failure> {
    begin.wait().await;
    let mut waiting = 0;
    for portion in writer.envelopes.chunks(ENVELOPES_AT_ONCE) {
        if waiting == APPENDS_AT_ONCE {
            client.acked().await?;
            waiting -= 1;
        }
        client.offer(portion).await?;
        waiting += 1;
    }
    for _ in 0..waiting {
        client.acked().await?;
    }
    Ok(())
}

/// As a node does: one append is on its way, and the next one takes what has gathered meanwhile.
async fn pace(
    mut client: Client,
    writer: Writer,
    pause: Duration,
    offset: Duration,
    begin: Arc<Barrier>,
) -> Result<Vec<f64>, Failure> {
    begin.wait().await;
    let begun = Instant::now() + offset;
    let due = |number: usize| begun + pause * number as u32;
    let mut waits = Vec::new();
    while waits.len() < writer.envelopes.len() {
        let sent = waits.len();
        tokio::time::sleep_until(due(sent).into()).await;
        let now = Instant::now();
        let is_due = |number: &usize| due(*number) <= now;
        let gathered = (sent..writer.envelopes.len()).take_while(is_due).count();
        let gathered = gathered.clamp(1, APPEND_ENVELOPES_MAX);
        let portion = writer.envelopes.get(sent..sent + gathered);
        client.append(portion.unwrap_or_default()).await?;
        let acked = Instant::now();
        // From when each was due: what waited here waits as well.
        let waited = |number| (acked - due(number)).as_secs_f64() * 1_000.0;
        waits.extend((sent..sent + gathered).map(waited));
    }
    Ok(waits)
}
