//! A client that appends and listens: sync's session over real QUIC, without a store of its own.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use khlong_crdt::address::RelayAddress;
use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, LogId, TimelineId};
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role as StoreRole;
use khlong_store::store::{OpenOptions, Store};
use khlong_sync::replica::Arrival;
use khlong_sync::session::Session;
use khlong_sync::session::config::{Role, SessionConfig};
use khlong_sync::session::input::Input;
use khlong_sync::session::output::{Event, Output};
use khlong_sync::session::proof::proof_bytes;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::link::{Link, LinkEvent, LinkStats};
use khlong_sync::wire::frame::{AppendOutcome, TimelineSubscription};

use crate::processes::Failure;

/// Nothing on loopback takes so long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    link: Link,
    session: Session,
    /// A client's session asks its replica nothing; it takes one all the same.
    replica: Store,
    began: Instant,
    events: VecDeque<Event>,
    requests: u64,
}

impl Client {
    pub(crate) async fn connect(dialer: &Dialer, relay: &RelayAddress) -> Result<Self, Failure> {
        let link = dialer.connect(relay).await?;
        let role = Role::Client {
            relay: relay.key,
            token: None,
        };
        let session = Session::new(role, SessionConfig::default(), Monotonic(0));
        let options = OpenOptions {
            role: StoreRole::Node,
            fresh_log_id: LogId::from_bytes([1; 16]),
            accept_loss: false,
            sizes: RocksOptions::default(),
        };
        let exporter = link.exporter();
        let mut client = Self {
            link,
            session,
            replica: Store::in_memory(&MemoryDisk::new(), &options)?,
            began: Instant::now(),
            events: VecDeque::new(),
            requests: 0,
        };
        client.give(Input::Connected { exporter }).await?;
        while !client.session.is_ready() {
            client.read().await?;
        }
        Ok(client)
    }

    /// Proves the author key, which every append needs.
    pub(crate) async fn prove(&mut self, secrets: &TimelineSecrets) -> Result<(), Failure> {
        let (timeline, author) = (secrets.timeline, secrets.author.public());
        let statement = proof_bytes(&self.link.exporter(), &timeline, &author);
        let signature = secrets.author.sign(&statement);
        self.give(Input::Prove {
            timeline,
            author,
            signature,
        })
        .await
    }

    /// Appends and waits until the relay says that all of it is durable.
    pub(crate) async fn append(&mut self, envelopes: &[VerifiedEnvelope]) -> Result<(), Failure> {
        self.offer(envelopes).await?;
        self.acked().await
    }

    /// Appends without waiting.
    pub(crate) async fn offer(&mut self, envelopes: &[VerifiedEnvelope]) -> Result<(), Failure> {
        self.requests += 1;
        self.give(Input::Append {
            request: self.requests,
            envelopes: envelopes.to_vec(),
        })
        .await
    }

    /// Waits for the next ack. An outcome other than *stored* ends the run.
    pub(crate) async fn acked(&mut self) -> Result<(), Failure> {
        loop {
            while let Some(event) = self.events.pop_front() {
                match event {
                    Event::Acked { outcomes, .. } => {
                        let is_stored = |outcome: &AppendOutcome| {
                            matches!(outcome, AppendOutcome::Stored { .. })
                        };
                        if !outcomes.iter().all(is_stored) {
                            return Err(format!("the relay did not store all: {outcomes:?}").into());
                        }
                        return Ok(());
                    }
                    other => pass_over(&other)?,
                }
            }
            self.read().await?;
        }
    }

    /// Subscribes to all of a timeline whose author key was proved, and waits for the answer.
    pub(crate) async fn subscribe(&mut self, timeline: TimelineId) -> Result<(), Failure> {
        self.requests += 1;
        let backfill = Class::ALL.map(|class| (class, ArrivalSeq(0))).to_vec();
        self.give(Input::Subscribe {
            request: self.requests,
            cursors: Vec::new(),
            timelines: vec![TimelineSubscription { timeline, backfill }],
            wake_up: None,
        })
        .await?;
        let mut merged = 0;
        while merged < Class::ALL.len() {
            match self.events.pop_front() {
                Some(Event::BackfillDone { .. }) => merged += 1,
                Some(Event::Pushed {
                    class,
                    backfill,
                    cursor,
                    ..
                }) => self.pulled(class, backfill, cursor.seq).await?,
                Some(other) => pass_over(&other)?,
                None => self.read().await?,
            }
        }
        Ok(())
    }

    /// What the relay pushes next; makes room for more at once.
    pub(crate) async fn pushed(&mut self) -> Result<Vec<Arrival>, Failure> {
        loop {
            match self.events.pop_front() {
                Some(Event::Pushed {
                    class,
                    backfill,
                    entries,
                    cursor,
                }) => {
                    self.pulled(class, backfill, cursor.seq).await?;
                    return Ok(entries);
                }
                Some(other) => pass_over(&other)?,
                None => self.read().await?,
            }
        }
    }

    /// Asks the relay whether it is there, as a keep-alive does, and waits for the answer.
    pub(crate) async fn ping(&mut self) -> Result<(), Failure> {
        self.give(Input::Probe).await?;
        self.read().await
    }

    /// What the connection has cost so far.
    pub(crate) fn stats(&self) -> LinkStats {
        self.link.stats()
    }

    async fn pulled(
        &mut self,
        class: Class,
        backfill: Option<TimelineId>,
        cursor: ArrivalSeq,
    ) -> Result<(), Failure> {
        self.give(Input::Pulled {
            class,
            backfill,
            cursor,
        })
        .await
    }

    async fn read(&mut self) -> Result<(), Failure> {
        match tokio::time::timeout(PATIENCE, self.link.recv()).await? {
            LinkEvent::Frame(frame) => self.give(Input::Frame(frame)).await,
            LinkEvent::Closed(closed) => Err(format!("the connection ended: {closed:?}").into()),
            LinkEvent::Undecodable(error) => Err(error.into()),
        }
    }

    async fn give(&mut self, input: Input) -> Result<(), Failure> {
        let micros = self.began.elapsed().as_micros() as u64;
        let now = Now {
            monotonic: Monotonic(micros),
            wall: UnixMillis(0),
        };
        self.session.handle(now, input, &self.replica)?;
        let sender = self.link.sender();
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(lane, frame) => sender.send(lane, frame).await?,
                Output::Event(event) => self.events.push_back(event),
                Output::Close { .. } => {}
            }
        }
        Ok(())
    }
}

/// Passes over what nobody waits for; a refusal ends the run.
fn pass_over(event: &Event) -> Result<(), Failure> {
    match event {
        Event::Refused { code, message, .. } => {
            Err(format!("the relay refused a request: {code} {message}").into())
        }
        Event::SubscriptionEnded { code, .. } => {
            Err(format!("the relay ended a subscription: {code:?}").into())
        }
        Event::Goodbye { code } => Err(format!("the relay says goodbye: {code:?}").into()),
        Event::Subscribed { refused, .. } if !refused.is_empty() => {
            Err(format!("the relay refused a subscription: {refused:?}").into())
        }
        Event::Ready { .. }
        | Event::Proved { .. }
        | Event::Watching { .. }
        | Event::Unwatched { .. }
        | Event::Append { .. }
        | Event::Ephemeral { .. }
        | Event::Subscribed { .. }
        | Event::Totals { .. }
        | Event::Pushed { .. }
        | Event::CaughtUp { .. }
        | Event::BackfillDone { .. }
        | Event::Acked { .. }
        | Event::Behind { .. } => Ok(()),
    }
}
