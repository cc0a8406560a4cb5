//! Bytes of one message on the wire: between a writer, a relay and a reader on live connections.

use std::path::Path;
use std::time::Duration;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::admission::TimelineKind;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::transport::quic::link::LinkStats;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::Client;
use crate::figures::Figures;
use crate::processes::Failure;
use crate::sealed::Writer;
use crate::side::{Contender, Side};
use crate::texts::{Language, Texts};

const CHARACTERS: usize = 100;
/// Of IPv4 and UDP, for each datagram.
const HEADER_BYTES: u64 = 28;
/// So long that nothing of one message is still on its way when the next one leaves.
const QUIET: Duration = Duration::from_secs(1);
const STREAM: Duration = Duration::from_millis(20);
/// Before anything is counted: what a new connection does once (path probes, first round trips).
const WARM_UP_ENVELOPES: usize = 5;

/// How messages leave.
struct Case {
    name: &'static str,
    /// In an envelope.
    messages: usize,
    pause: Duration,
    envelopes: usize,
    envelopes_full: usize,
}

const CASES: [Case; 3] = [
    Case {
        name: "alone",
        messages: 1,
        pause: QUIET,
        envelopes: 10,
        envelopes_full: 60,
    },
    Case {
        name: "50 a second",
        messages: 1,
        pause: STREAM,
        envelopes: 100,
        envelopes_full: 1_000,
    },
    Case {
        name: "ten in a batch",
        messages: 10,
        pause: QUIET,
        envelopes: 10,
        envelopes_full: 60,
    },
];

/// On a fresh relay for each case.
pub(crate) async fn measure(
    binaries: &Path,
    folder: Option<&Path>,
    full: bool,
    figures: &mut Figures,
) -> Result<(), Failure> {
    for language in [Language::Thai, Language::English] {
        let texts = Texts::cut(folder, language, CHARACTERS)?;
        for case in &CASES {
            let count = match full {
                true => case.envelopes_full,
                false => case.envelopes,
            };
            let mut run = Run::begin(binaries, texts.clone()).await?;
            run.send(WARM_UP_ENVELOPES, case.messages, QUIET).await?;
            let costs = run.send(count, case.messages, case.pause).await?;
            let each = (count * case.messages) as f64;
            let name = format!("wire, {language:?}, {}", case.name);
            figures.add(
                format!("{name}: text"),
                "B/message",
                costs.text_bytes as f64 / each,
            );
            figures.add(
                format!("{name}: envelope"),
                "B/message",
                costs.envelope_bytes as f64 / each,
            );
            costs
                .writer
                .add(figures, &name, ["writer to relay", "relay to writer"], each);
            costs
                .reader
                .add(figures, &name, ["reader to relay", "relay to reader"], each);
            run.side.end()?;
        }
    }
    once(binaries, figures).await
}

/// What a connection costs, apart from messages.
async fn once(binaries: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let mut run = Run::begin(binaries, Texts::own()).await?;
    sleep(QUIET).await;
    let began = Cost::between(LinkStats::default(), run.reader.stats());
    let name = "wire, handshake, proof and subscription";
    began.add(figures, name, ["to relay", "from relay"], 1.0);
    let before = run.reader.stats();
    run.reader.ping().await?;
    sleep(QUIET).await;
    let kept = Cost::between(before, run.reader.stats());
    kept.add(figures, "wire, keep-alive", ["to relay", "from relay"], 1.0);
    run.side.end()
}

/// A relay, who writes, and who reads.
struct Run {
    side: Side,
    timeline: Writer,
    random: ChaCha20Rng,
    writer: Client,
    reader: Client,
    _dialer: Dialer,
}

/// Of a portion of messages.
struct Costs {
    text_bytes: usize,
    envelope_bytes: usize,
    writer: Cost,
    reader: Cost,
}

impl Run {
    async fn begin(binaries: &Path, texts: Texts) -> Result<Self, Failure> {
        let side = Side::start(&Contender::Khlong, binaries).await?;
        let address: RelayAddress = side.address().ok_or("a relay has an address")?.parse()?;
        let mut random = ChaCha20Rng::seed_from_u64(5);
        let timeline = Writer::open(TimelineKind::Group, &mut random).with(texts);
        let dialer = Dialer::bind(QuicLimits::default())?;
        let mut writer = Client::connect(&dialer, &address).await?;
        writer.prove(&timeline.secrets).await?;
        writer.append(&timeline.opening).await?;
        let mut reader = Client::connect(&dialer, &address).await?;
        reader.prove(&timeline.secrets).await?;
        reader.subscribe(timeline.secrets.timeline).await?;
        Ok(Self {
            side,
            timeline,
            random,
            writer,
            reader,
            _dialer: dialer,
        })
    }

    /// Sends `count` envelopes, one each `pause`, and counts until all is quiet.
    async fn send(
        &mut self,
        count: usize,
        messages: usize,
        pause: Duration,
    ) -> Result<Costs, Failure> {
        let text_bytes = self.timeline.seal(count, messages, &mut self.random)?;
        sleep(QUIET).await;
        let before = (self.writer.stats(), self.reader.stats());
        let mut due = Instant::now();
        for envelope in &self.timeline.envelopes {
            sleep_until(due).await;
            due += pause;
            self.writer.offer(std::slice::from_ref(envelope)).await?;
            self.writer.acked().await?;
            let entries = self.reader.pushed().await?;
            let came: Vec<_> = entries.iter().map(|entry| entry.envelope.id()).collect();
            if came != [envelope.id()] {
                return Err(format!("the relay pushed {} other entries", came.len()).into());
            }
        }
        sleep(QUIET).await;
        let bytes = self.timeline.envelopes.iter();
        Ok(Costs {
            text_bytes,
            envelope_bytes: bytes.map(|envelope| envelope.bytes().len()).sum(),
            writer: Cost::between(before.0, self.writer.stats()),
            reader: Cost::between(before.1, self.reader.stats()),
        })
    }
}

/// Bytes and datagrams of one connection, from its client's side.
struct Cost {
    sent: (u64, u64),
    received: (u64, u64),
}

impl Cost {
    fn between(before: LinkStats, after: LinkStats) -> Self {
        Self {
            sent: (
                after.udp_sent_bytes - before.udp_sent_bytes,
                after.udp_sent_datagrams - before.udp_sent_datagrams,
            ),
            received: (
                after.udp_received_bytes - before.udp_received_bytes,
                after.udp_received_datagrams - before.udp_received_datagrams,
            ),
        }
    }

    /// As UDP payload, and with the headers below it.
    fn add(&self, figures: &mut Figures, name: &str, ways: [&str; 2], messages: f64) {
        let unit = if messages > 1.0 { "B/message" } else { "B" };
        for (way, (bytes, datagrams)) in ways.into_iter().zip([self.sent, self.received]) {
            let whole = bytes + datagrams * HEADER_BYTES;
            figures.add(format!("{name}: {way}"), unit, bytes as f64 / messages);
            let headers = format!("{name}: {way}, IP");
            figures.add(headers, unit, whole as f64 / messages);
        }
    }
}
