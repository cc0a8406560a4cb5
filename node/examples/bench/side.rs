//! Who is measured: a relay of Khlong, or a peer that gets the same bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use khlong_crdt::address::RelayAddress;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::EnvelopeId;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::wire;
use tempfile::TempDir;

use crate::client::Client;
use crate::nats;
use crate::processes::{Failure, Relay, Running};
use crate::sealed::Writer;

/// Clients of one UDP socket: as many as one socket's buffer serves without losing datagrams.
const CLIENTS_A_SOCKET: usize = 10;
/// The measured rate is what the machine does, not what the relay's policy lets one connection do.
const SETTINGS: [(&str, &str); 3] = [
    ("KHLONG_POLICY__ENVELOPES_PER_MINUTE", "100000000"),
    ("KHLONG_LIMITS__CONNECTIONS", "20000"),
    ("KHLONG_LIMITS__CONNECTIONS_PER_ADDRESS", "20000"),
];

/// Whom to measure.
#[derive(Clone, Debug)]
pub(crate) enum Contender {
    Khlong,
    /// With the program of the server.
    Nats(PathBuf, nats::Fsync),
}

impl Contender {
    /// What its figures begin with.
    pub(crate) fn prefix(&self) -> &'static str {
        match self {
            Self::Khlong => "",
            Self::Nats(_, fsync) => fsync.prefix(),
        }
    }
}

/// A fresh server of a contender, in a folder that goes with it.
pub(crate) struct Side {
    server: Server,
    pub(crate) folder: TempDir,
}

enum Server {
    Khlong {
        relay: Relay,
        address: RelayAddress,
        running: Running,
    },
    Nats(nats::Server),
}

impl Side {
    pub(crate) async fn start(contender: &Contender, binaries: &Path) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("khlong-bench-")
            .tempdir_in(binaries)?;
        let server = match contender {
            Contender::Khlong => {
                let relay = Relay::create(binaries, folder.path(), &SETTINGS)?;
                let running = relay.start()?;
                Server::Khlong {
                    address: relay.address.parse()?,
                    relay,
                    running,
                }
            }
            Contender::Nats(program, fsync) => {
                Server::Nats(nats::Server::start(program, folder.path(), *fsync).await?)
            }
        };
        Ok(Self { server, folder })
    }

    /// Ends the server as an operator does.
    pub(crate) fn end(self) -> Result<(), Failure> {
        match self.server {
            Server::Khlong { running, .. } => running.stop(),
            Server::Nats(server) => server.end(),
        }
    }

    /// The relay's address, as people hand it on; peers have none.
    pub(crate) fn address(&self) -> Option<String> {
        match &self.server {
            Server::Khlong { relay, .. } => Some(relay.address.clone()),
            Server::Nats(_) => None,
        }
    }

    /// The relay's process.
    pub(crate) fn pid(&self) -> Option<u32> {
        match &self.server {
            Server::Khlong { running, .. } => Some(running.0.id()),
            Server::Nats(_) => None,
        }
    }

    /// Stops the relay and starts it on its folder; how long the stop took.
    pub(crate) fn restart(self) -> Result<(Self, Duration), Failure> {
        match self.server {
            Server::Khlong {
                relay,
                address,
                running,
            } => {
                let begun = Instant::now();
                running.stop()?;
                let stopping = begun.elapsed();
                let running = relay.start()?;
                let server = Server::Khlong {
                    relay,
                    address,
                    running,
                };
                let folder = self.folder;
                Ok((Self { server, folder }, stopping))
            }
            Server::Nats(_) => Err("a peer is not restarted".into()),
        }
    }

    /// One number of a relay's `/metrics`; peers have none of these.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        match &self.server {
            Server::Khlong { relay, .. } => relay.metric(name).ok(),
            Server::Nats(_) => None,
        }
    }

    /// Connected writers, one for each of `writers`, whose timelines are open.
    pub(crate) async fn mouths(&self, writers: &[Writer]) -> Result<Vec<Mouth>, Failure> {
        let mut mouths = Vec::with_capacity(writers.len());
        let dialer = Dialer::bind(QuicLimits::default())?;
        for (number, writer) in writers.iter().enumerate() {
            mouths.push(match &self.server {
                Server::Khlong { address, .. } => {
                    let mut client = Client::connect(&dialer, address).await?;
                    client.prove(&writer.secrets).await?;
                    client.append(&writer.opening).await?;
                    Mouth::Khlong(Box::new(client))
                }
                Server::Nats(server) => {
                    let publisher = nats::Publisher::connect(&server.address, number).await?;
                    Mouth::Nats(Box::new(publisher))
                }
            });
        }
        Ok(mouths)
    }

    /// Connected subscribers of a timeline that is open. They know `known` and do not check its
    /// signatures again.
    pub(crate) async fn ears(
        &self,
        count: usize,
        writer: &Writer,
        known: &Arc<Known>,
    ) -> Result<Vec<Ear>, Failure> {
        let mut ears = Vec::with_capacity(count);
        let mut dialer = None;
        for number in 0..count {
            ears.push(match &self.server {
                Server::Khlong { address, .. } => {
                    if number % CLIENTS_A_SOCKET == 0 {
                        dialer = Some(known.dialer()?);
                    }
                    let dialer = dialer.as_ref().ok_or("no socket")?;
                    let mut client = Client::connect(dialer, address).await?;
                    client.prove(&writer.secrets).await?;
                    client.subscribe(writer.secrets.timeline).await?;
                    Ear::Khlong(Box::new(client))
                }
                Server::Nats(server) => {
                    Ear::Nats(Box::new(nats::Subscriber::connect(&server.address).await?))
                }
            });
        }
        Ok(ears)
    }
}

/// A writer's connection.
pub(crate) enum Mouth {
    Khlong(Box<Client>),
    Nats(Box<nats::Publisher>),
}

impl Mouth {
    /// Sends without waiting.
    pub(crate) async fn offer(&mut self, envelopes: &[VerifiedEnvelope]) -> Result<(), Failure> {
        match self {
            Self::Khlong(client) => client.offer(envelopes).await,
            Self::Nats(publisher) => publisher.offer(envelopes).await,
        }
    }

    /// Waits until the oldest offer that is on its way was acknowledged.
    pub(crate) async fn acked(&mut self) -> Result<(), Failure> {
        match self {
            Self::Khlong(client) => client.acked().await,
            Self::Nats(publisher) => publisher.acked().await,
        }
    }
}

/// A subscriber's connection.
pub(crate) enum Ear {
    Khlong(Box<Client>),
    Nats(Box<nats::Subscriber>),
}

impl Ear {
    /// What comes next, by the ids that their bytes have.
    pub(crate) async fn heard(&mut self, known: &Known) -> Result<Vec<EnvelopeId>, Failure> {
        match self {
            Self::Khlong(client) => {
                let entries = client.pushed().await?;
                Ok(entries.iter().map(|entry| entry.envelope.id()).collect())
            }
            Self::Nats(subscriber) => {
                let bytes = subscriber.next().await?;
                let found = known.find(&bytes).ok_or("a message that nobody sent")?;
                Ok(vec![found.id()])
            }
        }
    }
}

/// What was sealed here, by its last bytes: subscribers compare, and check order and number.
#[derive(Default)]
pub(crate) struct Known(RwLock<HashMap<[u8; 16], VerifiedEnvelope>>);

impl Known {
    /// Knows these and no others.
    pub(crate) fn learn(&self, envelopes: &[VerifiedEnvelope]) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.clear();
        let tagged = envelopes.iter().filter_map(|envelope| {
            let tag = envelope.bytes().last_chunk()?;
            Some((*tag, envelope.clone()))
        });
        known.extend(tagged);
    }

    fn find(&self, bytes: &[u8]) -> Option<VerifiedEnvelope> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(bytes.last_chunk()?)?;
        (found.bytes() == bytes).then(|| found.clone())
    }

    fn dialer(self: &Arc<Self>) -> Result<Dialer, Failure> {
        let known = Arc::clone(self);
        let check = move |bytes: &[u8]| match known.find(bytes) {
            Some(envelope) => Ok(envelope),
            None => wire::verify(bytes),
        };
        Ok(Dialer::bind(QuicLimits::default())?.checking(Arc::new(check)))
    }
}
