//! The peer NATS JetStream: a server of its own, and clients that do what those of the relay do.

use std::collections::VecDeque;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::{Ordered, OrderedConfig};
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::jetstream::{self, Context};
use futures_util::StreamExt as _;
use khlong_crdt::envelope::VerifiedEnvelope;

use crate::processes::{Failure, PATIENCE, PAUSE, Running};

const STREAM: &str = "timelines";
/// Messages that wait in a subscriber before the client library drops it as too slow.
const CAPACITY: usize = 1 << 20;

/// When the server fsyncs what it acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fsync {
    /// Before each ack, as a relay of Khlong does.
    Always,
    /// Every two minutes: its default. A crash of the machine loses what was acknowledged since.
    Lazy,
}

impl Fsync {
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Always => "NATS, fsync always: ",
            Self::Lazy => "NATS, lazy: ",
        }
    }
}

/// A server with an empty stream. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    running: Running,
}

impl Server {
    pub(crate) async fn start(
        program: &Path,
        folder: &Path,
        fsync: Fsync,
    ) -> Result<Self, Failure> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let store = folder.join("nats");
        let interval = match fsync {
            Fsync::Always => "  sync_interval: always\n",
            Fsync::Lazy => "",
        };
        let config = format!(
            "listen: \"{address}\"\njetstream {{\n  store_dir: \"{}\"\n{interval}}}\n",
            store.display()
        );
        let path = folder.join("nats.conf");
        fs::write(&path, config)?;
        let log = fs::File::create(folder.join("nats.log"))?;
        let child = Command::new(program)
            .arg("--config")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let running = Running(child);
        let begun = Instant::now();
        let client = loop {
            match async_nats::connect(&address).await {
                Ok(client) => break client,
                Err(error) if begun.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        let stream = Config {
            name: STREAM.to_owned(),
            subjects: vec![format!("{STREAM}.>")],
            storage: StorageType::File,
            ..Config::default()
        };
        jetstream::new(client).create_stream(stream).await?;
        Ok(Self { address, running })
    }

    pub(crate) fn end(self) -> Result<(), Failure> {
        self.running.stop()
    }
}

/// One writer with a connection and a subject of its own.
pub(crate) struct Publisher {
    context: Context,
    subject: String,
    waiting: VecDeque<Vec<PublishAckFuture>>,
}

impl Publisher {
    pub(crate) async fn connect(address: &str, number: usize) -> Result<Self, Failure> {
        let client = async_nats::connect(address).await?;
        Ok(Self {
            context: jetstream::new(client),
            subject: format!("{STREAM}.{number}"),
            waiting: VecDeque::new(),
        })
    }

    /// Publishes the bytes of each envelope without waiting.
    pub(crate) async fn offer(&mut self, envelopes: &[VerifiedEnvelope]) -> Result<(), Failure> {
        let mut acks = Vec::with_capacity(envelopes.len());
        for envelope in envelopes {
            let bytes = envelope.bytes().to_vec().into();
            acks.push(self.context.publish(self.subject.clone(), bytes).await?);
        }
        self.waiting.push_back(acks);
        Ok(())
    }

    /// Waits until the oldest offer is acknowledged.
    pub(crate) async fn acked(&mut self) -> Result<(), Failure> {
        for ack in self.waiting.pop_front().unwrap_or_default() {
            ack.await?;
        }
        Ok(())
    }
}

/// One subscriber with a connection and an ordered consumer of its own, from now on.
pub(crate) struct Subscriber(Ordered);

impl Subscriber {
    pub(crate) async fn connect(address: &str) -> Result<Self, Failure> {
        let options = async_nats::ConnectOptions::new().subscription_capacity(CAPACITY);
        let client = options.connect(address).await?;
        let config = OrderedConfig {
            deliver_subject: client.new_inbox(),
            deliver_policy: DeliverPolicy::New,
            ..OrderedConfig::default()
        };
        let context = jetstream::new(client);
        let stream = context.get_stream(STREAM).await?;
        let consumer = stream.create_consumer(config).await?;
        Ok(Self(consumer.messages().await?))
    }

    /// The bytes of the next message.
    pub(crate) async fn next(&mut self) -> Result<Vec<u8>, Failure> {
        let patience = Duration::from_secs(60);
        let message = tokio::time::timeout(patience, self.0.next()).await?;
        let message = message.ok_or("the consumer ended")??;
        Ok(message.payload.to_vec())
    }
}
