//! The thread that owns the peer.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::open::OpenPeer;
use crate::api::{Event, Request, Response};
use crate::error::{ExitCode, NodeError, described};
use crate::link::{LinkId, Links};
use crate::peer::{Peer, PeerInput, PeerOutput};

/// Inputs that share one commit.
pub(super) const BATCH_INPUTS_MAX: usize = 64;

/// Times that the folder is opened again after a failed commit, before the node gives up.
const REOPEN_ATTEMPTS_MAX: u32 = 5;

/// Between two of these attempts; also how long the driver sleeps at most without a deadline.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// Between two of these attempts while the disk is full.
const FULL_PAUSE: Duration = Duration::from_secs(2);

/// Times that a commit is tried again while the engine is busy, and the pause before each.
const BUSY_ATTEMPTS_MAX: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// Before relays are called again when the folder took nothing of what they sent.
const CALL_AGAIN_MS: u64 = 10_000;

/// How long links may take to send what they hold when the node stops.
const GOODBYE_MAX: Duration = Duration::from_millis(500);

/// What somebody wants to see of the peer.
pub(crate) type Look = Box<dyn FnOnce(&Peer) + Send>;

/// What reaches the driver.
pub(crate) enum Order {
    Request {
        request: Request,
        answer: oneshot::Sender<Response>,
    },
    /// From the link with this number; one that was given up is not heard any more.
    Link {
        link: LinkId,
        input: PeerInput,
    },
    Checkpoint {
        target: PathBuf,
        answer: oneshot::Sender<Result<(), NodeError>>,
    },
    /// Sees what is committed.
    Look(Look),
    Stop {
        done: oneshot::Sender<()>,
    },
}

pub(super) struct Driver {
    open: OpenPeer,
    online: bool,
    runtime: Handle,
    clock: Clock,
    /// Absent only while it is being opened again.
    peer: Option<Peer>,
    links: Links,
    queue: mpsc::Receiver<Order>,
    events: broadcast::Sender<Event>,
    idle: watch::Sender<bool>,
}

/// What waits for the commit of the turn.
#[derive(Default)]
struct Turn {
    answers: Vec<(oneshot::Sender<Response>, Response)>,
    checkpoints: Vec<(PathBuf, oneshot::Sender<Result<(), NodeError>>)>,
    looks: Vec<Look>,
    stop: Option<oneshot::Sender<()>>,
}

impl Driver {
    pub(super) fn open(
        mut open: OpenPeer,
        online: bool,
        runtime: Handle,
        queue: mpsc::Receiver<Order>,
        orders: mpsc::WeakSender<Order>,
        events: broadcast::Sender<Event>,
        idle: watch::Sender<bool>,
    ) -> Result<Self, NodeError> {
        let clock = Clock::start();
        let links = Links::new(runtime.clone(), orders);
        let peer = open_peer(&mut open, online, clock.now(), 0)?;
        Ok(Self {
            open,
            online,
            runtime,
            clock,
            peer: Some(peer),
            links,
            queue,
            events,
            idle,
        })
    }

    /// Until stopped, or until the last handle is gone.
    pub(super) fn run(mut self) {
        // What the peer wants from the start: connections.
        let mut turn = Turn::default();
        self.commit(&mut turn);
        while let Some(orders) = self.wait() {
            let mut turn = Turn::default();
            self.stage(orders, &mut turn);
            self.commit(&mut turn);
            if let Some(done) = turn.stop {
                self.close();
                let _ = done.send(());
                return;
            }
        }
        self.close();
    }

    /// Sleeps until something arrives or the peer's deadline; `None` = nobody is left.
    fn wait(&mut self) -> Option<Vec<Order>> {
        // Links that failed while the last outputs left are the next input.
        let deadline = self
            .peer
            .as_ref()?
            .next_deadline()
            .map(|at| self.clock.instant(at));
        let queue = &mut self.queue;
        if self.links.has_failures() {
            return Some(Vec::new());
        }
        let first = self.runtime.block_on(async {
            match deadline {
                Some(at) => tokio::time::timeout_at(at.into(), queue.recv()).await.ok(),
                None => Some(queue.recv().await),
            }
        });
        let mut orders = Vec::new();
        if let Some(order) = first {
            orders.push(order?);
        }
        while orders.len() < BATCH_INPUTS_MAX
            && let Ok(order) = self.queue.try_recv()
        {
            orders.push(order);
        }
        Some(orders)
    }

    /// Lets the peer stage everything. What does not fit one batch is committed on
    /// the way; after a failure the rest meets a fresh peer, and its links are gone.
    fn stage(&mut self, orders: Vec<Order>, turn: &mut Turn) {
        for input in self.links.take_failures() {
            self.take(input, turn);
        }
        for order in orders {
            match order {
                Order::Request { request, answer } => {
                    self.make_room(turn);
                    // Without a peer the node has given up, and says so.
                    if let Some(peer) = self.peer.as_mut() {
                        let response = peer.request(self.clock.now(), request);
                        turn.answers.push((answer, response));
                    }
                }
                Order::Link { link, input } => {
                    if self.links.heard(link, &input) {
                        self.take(input, turn);
                    }
                }
                Order::Checkpoint { target, answer } => turn.checkpoints.push((target, answer)),
                Order::Look(look) => turn.looks.push(look),
                Order::Stop { done } => turn.stop = Some(done),
            }
        }
        let now = self.clock.now().monotonic;
        let deadline = self.peer.as_ref().and_then(Peer::next_deadline);
        if deadline.is_some_and(|at| at <= now) {
            self.take(PeerInput::Timeout, turn);
        }
    }

    fn take(&mut self, input: PeerInput, turn: &mut Turn) {
        self.make_room(turn);
        let now = self.clock.now();
        let handled = self.peer.as_mut().map(|peer| peer.handle(now, input));
        if let Some(Err(error)) = handled {
            self.failed(turn, &error.before_commit());
        }
    }

    fn make_room(&mut self, turn: &mut Turn) {
        if self.peer.as_ref().is_some_and(|peer| !peer.has_room()) {
            self.commit(turn);
        }
    }

    /// One durable batch, and only then everything that it allows to leave.
    fn commit(&mut self, turn: &mut Turn) {
        if let Err(error) = self.try_commit() {
            return self.failed(turn, &error);
        }
        let Some(peer) = self.peer.as_mut() else {
            return;
        };
        while let Some(output) = peer.poll_output() {
            match output {
                PeerOutput::Connect { relay, address } => self.links.connect(relay, address),
                PeerOutput::Send { relay, lane, frame } => self.links.send(relay, lane, frame),
                PeerOutput::Disconnect { relay } => self.links.disconnect(relay),
                PeerOutput::Event(event) => drop(self.events.send(event)),
            }
        }
        // Before the answers, so that who asks and then waits sees what the request began.
        let idle = peer.is_idle();
        self.idle
            .send_if_modified(|known| std::mem::replace(known, idle) != idle);
        for (answer, response) in turn.answers.drain(..) {
            let _ = answer.send(response);
        }
        for (target, answer) in turn.checkpoints.drain(..) {
            let _ = answer.send(peer.checkpoint(&target));
        }
        for look in turn.looks.drain(..) {
            look(peer);
        }
        if let Err(error) = peer.keep_due_snapshots() {
            tracing::error!(error = %described(&error), "the folder failed; it is opened again");
            self.reopen(0);
        }
    }

    /// Again while the engine only catches up with itself; every other failure is final.
    fn try_commit(&mut self) -> Result<(), NodeError> {
        for _ in 0..BUSY_ATTEMPTS_MAX {
            let now = self.clock.now();
            match self.peer.as_mut().map_or(Ok(()), |peer| peer.commit(now)) {
                Err(error) if error.is_busy() => std::thread::sleep(BUSY_PAUSE),
                committed => return committed,
            }
        }
        let now = self.clock.now();
        self.peer.as_mut().map_or(Ok(()), |peer| peer.commit(now))
    }

    /// Whoever asked is told what is known; memory is ahead of the disk, so the peer goes.
    fn failed(&mut self, turn: &mut Turn, error: &NodeError) {
        let why = described(error);
        let is_untouched = matches!(error, NodeError::NotWritten(_));
        let message = if is_untouched {
            tracing::warn!(error = %why, "nothing was written; the folder is opened again");
            why
        } else {
            tracing::error!(error = %why, "a commit failed; the folder is opened again");
            // Whether it is on disk is known only after a look.
            format!("{why}; look with `khlong log` whether it was written before you try again")
        };
        for (answer, _) in turn.answers.drain(..) {
            let _ = answer.send(Response::Refused {
                message: message.clone(),
                exit_code: error.exit_code() as u8,
            });
        }
        // What a relay would send at once meets the same want of room.
        self.reopen(if is_untouched { CALL_AGAIN_MS } else { 0 });
    }

    /// After a failed commit nothing in memory is trusted: links and peer go, the disk decides.
    /// Relays are called after `pause_ms`.
    fn reopen(&mut self, pause_ms: u64) {
        self.idle.send_replace(false);
        self.links.drop_all();
        self.peer = None;
        let mut attempts = 0;
        while attempts < REOPEN_ATTEMPTS_MAX {
            let opened = open_peer(&mut self.open, self.online, self.clock.now(), pause_ms);
            let error = match opened.and_then(|peer| self.commit_after_reopen(peer)) {
                Ok(()) => return,
                Err(error) => error,
            };
            tracing::error!(error = %described(&error), "the folder does not open");
            if error.exit_code() != ExitCode::Full {
                attempts += 1;
                std::thread::sleep(REOPEN_PAUSE);
            } else if !self.refuse_for_a_while(&error) {
                return;
            }
        }
        tracing::error!("the node gives up; start it again when the folder is well");
    }

    /// A full disk is waited for as long as it takes; whoever asks meanwhile is told. Whether
    /// the node is to go on.
    fn refuse_for_a_while(&mut self, error: &NodeError) -> bool {
        let until = Instant::now() + FULL_PAUSE;
        loop {
            let queue = &mut self.queue;
            let next = async { tokio::time::timeout_at(until.into(), queue.recv()).await };
            match self.runtime.block_on(next) {
                Err(_) => return true,
                Ok(None | Some(Order::Stop { .. })) => return false,
                Ok(Some(Order::Request { answer, .. })) => {
                    let _ = answer.send(Response::Refused {
                        message: described(error),
                        exit_code: error.exit_code() as u8,
                    });
                }
                Ok(Some(Order::Checkpoint { target, answer })) => {
                    let source = std::io::ErrorKind::StorageFull.into();
                    let action = "there is no room to copy to";
                    let full = NodeError::Io {
                        action,
                        path: target,
                        source,
                    };
                    let _ = answer.send(Err(full));
                }
                // Links are gone; who looks is told that nobody answered.
                Ok(Some(Order::Link { .. } | Order::Look(_))) => {}
            }
        }
    }

    /// Lets the connections of the fresh peer begin.
    fn commit_after_reopen(&mut self, mut peer: Peer) -> Result<(), NodeError> {
        peer.commit(self.clock.now())?;
        while let Some(output) = peer.poll_output() {
            if let PeerOutput::Connect { relay, address } = output {
                self.links.connect(relay, address);
            }
        }
        self.peer = Some(peer);
        Ok(())
    }

    fn close(&mut self) {
        self.links.close(GOODBYE_MAX);
        let kept = self.peer.as_mut().map(Peer::keep_snapshots);
        if let Some(Err(error)) = kept {
            tracing::warn!(error = %described(&error), "the next start reads everything again");
        }
        self.peer = None;
    }
}

fn open_peer(
    open: &mut OpenPeer,
    online: bool,
    now: Now,
    pause_ms: u64,
) -> Result<Peer, NodeError> {
    let mut peer = open(now)?;
    let monotonic = now.monotonic.after_ms(pause_ms);
    peer.go_online(Now { monotonic, ..now }, online);
    Ok(peer)
}

/// The only place where a node looks at a clock.
struct Clock {
    started: Instant,
}

impl Clock {
    fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    fn now(&self) -> Now {
        let monotonic =
            Monotonic(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX));
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let wall = UnixMillis(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX));
        Now { monotonic, wall }
    }

    fn instant(&self, at: Monotonic) -> Instant {
        self.started + Duration::from_micros(at.0)
    }
}
