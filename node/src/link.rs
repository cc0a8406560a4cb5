//! Connections to relays: one task each, between the transport and the driver.
//!
//! No decisions here: when to connect, and when again, is the peer's matter.
//! Frames are decoded and their envelopes verified on the transport's tasks,
//! before they queue for the driver.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::RelayKey;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::error::ConnectError;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::transport::quic::link::{LinkEvent, LinkSender};
use khlong_sync::wire::frame::{Frame, Lane};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::described;
use crate::node::Order;
use crate::peer::PeerInput;

/// Default 4 s: QUIC repeats its first packet after 1, 2, 4, 8 … s, so an attempt
/// begun while a relay restarts would find it late; a fresh one finds it at once.
const HANDSHAKE_MS: u32 = 4_000;

/// Tells a link from an earlier one to the same relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkId(u64);

/// Every link of a node.
pub(crate) struct Links {
    runtime: Handle,
    /// Made with the first connection: a node that stays offline opens no socket.
    dialer: Option<Dialer>,
    /// Weak, so that links do not keep the driver alive whose handles are gone.
    orders: mpsc::WeakSender<Order>,
    by_relay: BTreeMap<RelayKey, Slot>,
    next: u64,
    failures: Vec<PeerInput>,
}

struct Slot {
    id: LinkId,
    /// Filled by the task before it reports the connection.
    sender: Arc<OnceLock<LinkSender>>,
    /// Dropping it closes the link once what is queued has left.
    closer: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Links {
    pub(crate) fn new(runtime: Handle, orders: mpsc::WeakSender<Order>) -> Self {
        Self {
            runtime,
            dialer: None,
            orders,
            by_relay: BTreeMap::new(),
            next: 0,
            failures: Vec::new(),
        }
    }

    /// Begins a connection; what comes of it reaches the driver as an order.
    pub(crate) fn connect(&mut self, relay: RelayKey, address: RelayAddress) {
        let dialer = match self.dialer() {
            Ok(dialer) => dialer,
            Err(reason) => {
                return self.failures.push(PeerInput::ConnectFailed {
                    relay,
                    reason,
                    wrong_key: false,
                });
            }
        };
        self.next += 1;
        let id = LinkId(self.next);
        let sender = Arc::new(OnceLock::new());
        let (closer, closed) = oneshot::channel();
        let report = Report {
            id,
            relay,
            orders: self.orders.clone(),
        };
        let task = self
            .runtime
            .spawn(run(dialer, address, Arc::clone(&sender), closed, report));
        if let Some(old) = self.by_relay.insert(
            relay,
            Slot {
                id,
                sender,
                closer,
                task,
            },
        ) {
            old.task.abort();
        }
    }

    fn dialer(&mut self) -> Result<Dialer, String> {
        if let Some(dialer) = &self.dialer {
            return Ok(dialer.clone());
        }
        let _inside = self.runtime.enter();
        let limits = QuicLimits {
            handshake_ms: HANDSHAKE_MS,
            ..QuicLimits::default()
        };
        let dialer = Dialer::bind(limits).map_err(|error| described(&error))?;
        self.dialer = Some(dialer.clone());
        Ok(dialer)
    }

    /// Queues a frame; a relay that takes nothing is given up instead of buffered for.
    pub(crate) fn send(&mut self, relay: RelayKey, lane: Lane, frame: Frame) {
        let Some(sender) = self.by_relay.get(&relay).and_then(|slot| slot.sender.get()) else {
            return;
        };
        if let Err(error) = sender.try_send(lane, frame) {
            let reason = described(&error);
            sender.abort(None, &reason);
            self.by_relay.remove(&relay);
            self.failures
                .push(PeerInput::Disconnected { relay, reason });
        }
    }

    /// Lets what is queued leave, then closes.
    pub(crate) fn disconnect(&mut self, relay: RelayKey) {
        self.by_relay.remove(&relay);
    }

    /// Closes at once, without sending what is queued.
    pub(crate) fn drop_all(&mut self) {
        self.failures.clear();
        for slot in std::mem::take(&mut self.by_relay).into_values() {
            slot.task.abort();
        }
    }

    /// Gives every link a moment to send what it holds.
    pub(crate) fn close(&mut self, at_most: Duration) {
        let slots = std::mem::take(&mut self.by_relay);
        self.runtime.block_on(async {
            let ended = async {
                for Slot {
                    sender,
                    closer,
                    task,
                    ..
                } in slots.into_values()
                {
                    drop((sender, closer));
                    let _ = task.await;
                }
                if let Some(dialer) = self.dialer.take() {
                    dialer.close(None).await;
                }
            };
            let _ = tokio::time::timeout(at_most, ended).await;
        });
    }

    /// Whether an input of this link still counts. Forgets the link when it says that it ended.
    pub(crate) fn heard(&mut self, link: LinkId, input: &PeerInput) -> bool {
        let (relay, ended) = match input {
            PeerInput::Connected { relay, .. } | PeerInput::Frame { relay, .. } => (*relay, false),
            PeerInput::ConnectFailed { relay, .. } | PeerInput::Disconnected { relay, .. } => {
                (*relay, true)
            }
            PeerInput::Timeout => return false,
        };
        let current = self
            .by_relay
            .get(&relay)
            .is_some_and(|slot| slot.id == link);
        if current && ended {
            self.by_relay.remove(&relay);
        }
        current
    }

    /// Links that ended on this side since the last call.
    pub(crate) fn take_failures(&mut self) -> Vec<PeerInput> {
        std::mem::take(&mut self.failures)
    }

    /// Whether [`Links::take_failures`] has something.
    pub(crate) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }
}

/// Where a link tells what happened to it.
struct Report {
    id: LinkId,
    relay: RelayKey,
    orders: mpsc::WeakSender<Order>,
}

impl Report {
    /// Waits while the driver's queue is full, so that a fast relay is slowed,
    /// not buffered. Whether the driver is still there.
    async fn send(&self, input: PeerInput) -> bool {
        let Some(orders) = self.orders.upgrade() else {
            return false;
        };
        orders
            .send(Order::Link {
                link: self.id,
                input,
            })
            .await
            .is_ok()
    }
}

async fn run(
    dialer: Dialer,
    address: RelayAddress,
    sender: Arc<OnceLock<LinkSender>>,
    mut closed: oneshot::Receiver<()>,
    report: Report,
) {
    let relay = report.relay;
    let connected = tokio::select! {
        connected = dialer.connect(&address) => connected,
        _ = &mut closed => return,
    };
    let mut link = match connected {
        Ok(link) => link,
        Err(error) => {
            report
                .send(PeerInput::ConnectFailed {
                    relay,
                    reason: described(&error),
                    wrong_key: matches!(error, ConnectError::WrongKey { .. }),
                })
                .await;
            return;
        }
    };
    let _ = sender.set(link.sender());
    drop(sender); // the driver alone keeps the queues open
    if !report
        .send(PeerInput::Connected {
            relay,
            exporter: link.exporter(),
        })
        .await
    {
        return;
    }
    loop {
        let event = tokio::select! {
            event = link.recv() => event,
            _ = &mut closed => {
                link.close(None, "").await;
                return;
            }
        };
        let told = match event {
            LinkEvent::Frame(frame) => report.send(PeerInput::Frame { relay, frame }).await,
            LinkEvent::Undecodable(error) => {
                let reason = format!("the relay sent what is no frame: {error}");
                link.close(Some(error.code()), &reason).await;
                report.send(PeerInput::Disconnected { relay, reason }).await;
                return;
            }
            LinkEvent::Closed(why) => {
                report
                    .send(PeerInput::Disconnected {
                        relay,
                        reason: why.to_string(),
                    })
                    .await;
                return;
            }
        };
        if !told {
            return;
        }
    }
}
