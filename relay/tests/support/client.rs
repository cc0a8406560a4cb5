//! A minimal client over real QUIC: sync's session, driven by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, TimelineId};
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role as StoreRole;
use khlong_store::store::Store;
use khlong_sync::secret::Secret;
use khlong_sync::session::Session;
use khlong_sync::session::config::{Role, SessionConfig};
use khlong_sync::session::input::Input;
use khlong_sync::session::output::{Event, Output};
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::error::Closed;
use khlong_sync::transport::quic::link::{Link, LinkEvent};
use khlong_sync::wire::frame::{AppendOutcome, Frame, TimelineSubscription};

use super::Author;
use super::virtual_world::open_store;

/// Nothing on loopback takes so long unless it never comes.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client {
    pub link: Link,
    session: Session,
    replica: Store,
    began: std::time::Instant,
    events: std::collections::VecDeque<Event>,
    /// What a real client stores.
    pub cursors: BTreeMap<Class, Cursor>,
    requests: u64,
}

impl Client {
    pub async fn connect(dialer: &Dialer, relay: &RelayAddress) -> Self {
        Self::try_connect(dialer, relay)
            .await
            .expect("the relay does not take us")
    }

    /// With what lets it open timelines.
    pub async fn connect_with(dialer: &Dialer, relay: &RelayAddress, token: &str) -> Self {
        let token = Some(Secret::from(token.to_owned()));
        Self::try_connect_with(dialer, relay, token)
            .await
            .expect("the relay does not take us")
    }

    /// `None` if the connection ends before the handshake of the session does.
    pub async fn try_connect(dialer: &Dialer, relay: &RelayAddress) -> Option<Self> {
        Self::try_connect_with(dialer, relay, None).await
    }

    async fn try_connect_with(
        dialer: &Dialer,
        relay: &RelayAddress,
        token: Option<Secret>,
    ) -> Option<Self> {
        let link = dialer.connect(relay).await.ok()?;
        let began = std::time::Instant::now();
        let role = Role::Client {
            relay: relay.key,
            token,
        };
        let session = Session::new(role, SessionConfig::default(), Monotonic(0));
        let replica = open_store(&MemoryDisk::new(), StoreRole::Node);
        let exporter = link.exporter();
        let mut client = Self {
            link,
            session,
            replica,
            began,
            events: Default::default(),
            cursors: BTreeMap::new(),
            requests: 0,
        };
        client.give(Input::Connected { exporter }).await;
        match tokio::time::timeout(PATIENCE, client.link.recv())
            .await
            .expect("nothing came")
        {
            LinkEvent::Frame(frame) => client.give(Input::Frame(frame)).await,
            LinkEvent::Undecodable(_) | LinkEvent::Closed(_) => return None,
        }
        client.session.is_ready().then_some(client)
    }

    /// Appends without waiting for the answer.
    pub async fn offer(&mut self, envelopes: Vec<VerifiedEnvelope>) {
        self.requests += 1;
        self.give(Input::Append {
            request: self.requests,
            envelopes,
        })
        .await;
    }

    /// Everything that still comes, and how it ends.
    pub async fn rest(&mut self) -> (Vec<Frame>, Closed) {
        let mut frames = Vec::new();
        loop {
            match tokio::time::timeout(PATIENCE, self.link.recv())
                .await
                .expect("the connection stays")
            {
                LinkEvent::Frame(frame) => frames.push(frame),
                LinkEvent::Undecodable(error) => panic!("{error}"),
                LinkEvent::Closed(closed) => return (frames, closed),
            }
        }
    }

    pub async fn prove(&mut self, author: &Author) {
        let signature = author.proof(&self.link.exporter());
        let (timeline, author) = (author.timeline, author.author());
        self.give(Input::Prove {
            timeline,
            author,
            signature,
        })
        .await;
    }

    pub async fn append(&mut self, envelopes: Vec<VerifiedEnvelope>) -> Vec<AppendOutcome> {
        let answer = self.try_append(envelopes).await;
        answer.unwrap_or_else(|closed| panic!("instead of an answer: {closed:?}"))
    }

    /// Appends; the answer, or how the connection ended instead.
    pub async fn try_append(
        &mut self,
        envelopes: Vec<VerifiedEnvelope>,
    ) -> Result<Vec<AppendOutcome>, Closed> {
        self.requests += 1;
        let wanted = self.requests;
        self.give(Input::Append {
            request: wanted,
            envelopes,
        })
        .await;
        self.try_wait(|event| match event {
            Event::Acked {
                request, outcomes, ..
            } if *request == wanted => Some(outcomes.clone()),
            _ => None,
        })
        .await
    }

    pub async fn subscribe(&mut self, timeline: TimelineId, cursors: Vec<(Class, Cursor)>) {
        self.requests += 1;
        let all = || {
            Class::ALL
                .into_iter()
                .map(|class| (class, ArrivalSeq(0)))
                .collect()
        };
        let backfill = if cursors.is_empty() {
            all()
        } else {
            Vec::new()
        };
        let timelines = vec![TimelineSubscription { timeline, backfill }];
        self.give(Input::Subscribe {
            request: self.requests,
            cursors,
            timelines,
            wake_up: None,
        })
        .await;
    }

    /// Reads until `count` texts have come; returns their ids in order.
    pub async fn texts(&mut self, count: usize) -> Vec<khlong_crdt::id::EnvelopeId> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let (class, backfill, entries, cursor) = self
                .wait(|event| match event {
                    Event::Pushed {
                        class,
                        backfill,
                        entries,
                        cursor,
                    } => Some((*class, *backfill, entries.clone(), *cursor)),
                    _ => None,
                })
                .await;
            self.give(Input::Pulled {
                class,
                backfill,
                cursor: cursor.seq,
            })
            .await;
            if class == Class::Text {
                ids.extend(entries.iter().map(|entry| entry.envelope.id()));
            }
        }
        ids
    }

    /// The first event, now or later, from which `pick` gets something.
    pub async fn wait<T>(&mut self, pick: impl FnMut(&Event) -> Option<T>) -> T {
        let found = self.try_wait(pick).await;
        found.unwrap_or_else(|closed| panic!("instead of a frame: {closed:?}"))
    }

    async fn try_wait<T>(
        &mut self,
        mut pick: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, Closed> {
        loop {
            while let Some(event) = self.events.pop_front() {
                if let Some(found) = pick(&event) {
                    return Ok(found);
                }
            }
            let event = tokio::time::timeout(PATIENCE, self.link.recv())
                .await
                .expect("nothing came");
            match event {
                LinkEvent::Frame(frame) => self.give(Input::Frame(frame)).await,
                LinkEvent::Closed(closed) => return Err(closed),
                LinkEvent::Undecodable(error) => panic!("{error}"),
            }
        }
    }

    /// Reads until the connection ends.
    pub async fn closed(&mut self) -> Closed {
        closed(&mut self.link).await
    }

    async fn give(&mut self, input: Input) {
        let micros = self.began.elapsed().as_micros() as u64;
        let now = Now {
            monotonic: Monotonic(micros),
            wall: UnixMillis(1_790_000_000_000),
        };
        self.session.handle(now, input, &self.replica).unwrap();
        let sender = self.link.sender();
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(lane, frame) => drop(sender.send(lane, frame).await),
                Output::Event(event) => {
                    if let Event::Subscribed { class, cursor, .. }
                    | Event::CaughtUp { class, cursor }
                    | Event::Pushed {
                        class,
                        backfill: None,
                        cursor,
                        ..
                    } = &event
                    {
                        self.cursors.insert(*class, *cursor);
                    }
                    self.events.push_back(event);
                }
                Output::Close { .. } => {}
            }
        }
    }
}

/// Reads a link to its end.
pub async fn closed(link: &mut Link) -> Closed {
    loop {
        let event = tokio::time::timeout(PATIENCE, link.recv())
            .await
            .expect("the connection stays");
        if let LinkEvent::Closed(closed) = event {
            return closed;
        }
    }
}
