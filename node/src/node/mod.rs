//! A node as a program holds it: an async handle to a driver thread.
//!
//! The driver owns the sans-IO [`Peer`] and takes no decisions. It gathers what
//! waits in its queue, lets the peer stage all of it, commits once, and only
//! then lets answers, frames and events go. So an answer always means durable,
//! and one fsync serves all who wait for it.

mod driver;
mod open;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use zeroize::Zeroizing;

use crate::api::{Event, Request, Response};
use crate::error::{ExitCode, NodeError};
use crate::peer::Peer;
use crate::search::{Found, Search, Wanted};
use driver::Driver;
pub(crate) use driver::Order;
pub use open::OpenPeer;
pub(crate) use open::entropy;

/// Requests and frames that wait for the driver. Frames are at most 2 MiB and
/// come from links that wait when the queue is full.
pub const NODE_QUEUE_MAX: usize = 64;

/// Events kept for a listener that is slower than the node; older ones are
/// counted as [`Heard::Missed`].
pub const NODE_EVENTS_MAX: usize = 1_024;

/// Name of the driver's thread.
const THREAD: &str = "khlong-node";

const _: () = assert!(NODE_QUEUE_MAX >= driver::BATCH_INPUTS_MAX);

/// How to open a node.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The folder.
    pub home: PathBuf,
    /// Opens the key file; absent for plain keys.
    pub passphrase: Option<Zeroizing<Vec<u8>>>,
    /// Whether relays are called. Without it nothing touches the network.
    pub online: bool,
}

/// A running node. Clones are handles of the same one; it stops when
/// [`Node::stop`] is called or the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Node {
    orders: mpsc::Sender<Order>,
    events: broadcast::Sender<Event>,
    idle: watch::Receiver<bool>,
    /// Absent without a folder.
    search: Option<Search>,
    /// Last, so that the queue is closed before the thread is waited for.
    thread: Arc<DriverThread>,
}

/// The process must not end while the store is still closing, whichever way out it takes.
#[derive(Debug)]
struct DriverThread(Mutex<Option<JoinHandle<()>>>);

impl DriverThread {
    fn take(&self) -> Option<JoinHandle<()>> {
        self.0.lock().ok()?.take()
    }
}

impl Drop for DriverThread {
    fn drop(&mut self) {
        if let Some(thread) = self.take() {
            let _ = thread.join();
        }
    }
}

/// What [`Events::next`] heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An event.
    Event(Event),
    /// So many events were dropped because the listener was too slow. The
    /// history has everything: ask it.
    Missed(u64),
}

/// Events of a node, from the moment of [`Node::subscribe`].
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
}

impl Events {
    /// The next one; `None` once the node has stopped.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.receiver.recv().await {
            Ok(Event::Missed { count }) => Some(Heard::Missed(count)),
            Ok(event) => Some(Heard::Event(event)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Heard::Missed(count)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Node {
    /// Opens the folder on a new thread. Must be called on a multi-threaded
    /// tokio runtime, which the links to relays run on.
    ///
    /// # Errors
    /// What opening the folder said: no node there, a wrong passphrase, another
    /// process that holds it, damaged rows.
    pub async fn open(options: NodeOptions) -> Result<Self, NodeError> {
        let online = options.online;
        let search = Search::new(&options.home);
        let node = Self::open_on(open::in_folder(options), online).await?;
        Ok(Self {
            search: Some(search),
            ..node
        })
    }

    /// Opens whatever `open` opens, as [`Node::open`] opens a folder: a store in
    /// memory, for programs that keep nothing and for tests that let a disk fail.
    ///
    /// # Errors
    /// What `open` said.
    pub async fn open_on(open: OpenPeer, online: bool) -> Result<Self, NodeError> {
        let (orders, queue) = mpsc::channel(NODE_QUEUE_MAX);
        let (events, _) = broadcast::channel(NODE_EVENTS_MAX);
        let (idle_sender, idle) = watch::channel(false);
        let (opened, outcome) = oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        let for_links = orders.downgrade();
        let for_driver = events.clone();
        let thread = std::thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || {
                let driver = Driver::open(
                    open,
                    online,
                    runtime,
                    queue,
                    for_links,
                    for_driver,
                    idle_sender,
                );
                match driver {
                    Ok(driver) => {
                        if opened.send(Ok(())).is_ok() {
                            driver.run();
                        }
                    }
                    Err(error) => drop(opened.send(Err(error))),
                }
            })
            .map_err(|source| NodeError::Io {
                action: "could not start the thread",
                path: THREAD.into(),
                source,
            })?;
        outcome.await.unwrap_or(Err(NodeError::DaemonGone))?;
        Ok(Self {
            thread: Arc::new(DriverThread(Mutex::new(Some(thread)))),
            orders,
            events,
            idle,
            search: None,
        })
    }

    /// Asks, and waits until the answer is durable. Refusals are answers too.
    pub async fn request(&self, request: Request) -> Response {
        let (answer, outcome) = oneshot::channel();
        if self
            .orders
            .send(Order::Request { request, answer })
            .await
            .is_err()
        {
            return stopped();
        }
        outcome.await.unwrap_or_else(|_| stopped())
    }

    /// Finds messages. It begins with indexing what came since the last time.
    ///
    /// # Errors
    /// [`NodeError::Usage`] for a query that asks for nothing or too much, [`NodeError::NotFound`]
    /// for a timeline or author, [`NodeError::Search`].
    pub async fn search(&self, wanted: &Wanted) -> Result<Found, NodeError> {
        self.its_search()?.find(self, wanted).await
    }

    pub(crate) async fn catch_up_search(&self) -> Result<(), NodeError> {
        self.its_search()?.catch_up(self).await
    }

    pub(crate) async fn discard_search(&self) -> Result<(), NodeError> {
        self.its_search()?.discard().await
    }

    fn its_search(&self) -> Result<&Search, NodeError> {
        let none = || NodeError::Usage("a node without a folder keeps no search index".to_owned());
        self.search.as_ref().ok_or_else(none)
    }

    /// Looks at what is committed, on the driver's thread: for what is short and writes nothing.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Peer) -> T + Send + 'static,
    ) -> Result<T, NodeError> {
        let (answer, outcome) = oneshot::channel();
        let order = Order::Look(Box::new(move |peer| drop(answer.send(look(peer)))));
        let sent = self.orders.send(order).await;
        sent.map_err(|_| NodeError::DaemonGone)?;
        outcome.await.map_err(|_| NodeError::DaemonGone)
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        Events {
            receiver: self.events.subscribe(),
        }
    }

    /// Waits until nothing is queued for a relay in reach and everything that
    /// it has is here; whether that was so in time.
    pub async fn wait_idle(&self, timeout: Duration) -> bool {
        let mut idle = self.idle.clone();
        let waited = tokio::time::timeout(timeout, idle.wait_for(|idle| *idle)).await;
        matches!(waited, Ok(Ok(_)))
    }

    /// Makes a consistent copy of the database at `target`, which must not exist.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn checkpoint(&self, target: PathBuf) -> Result<(), NodeError> {
        let (answer, outcome) = oneshot::channel();
        let order = Order::Checkpoint { target, answer };
        self.orders
            .send(order)
            .await
            .map_err(|_| NodeError::DaemonGone)?;
        outcome.await.unwrap_or(Err(NodeError::DaemonGone))
    }

    /// Says goodbye to the relays and closes the folder. Whatever was answered is durable.
    pub async fn stop(&self) {
        // The index belongs to who holds the folder's lock.
        if let Some(search) = &self.search {
            search.close().await;
        }
        let (done, stopped) = oneshot::channel();
        if self.orders.send(Order::Stop { done }).await.is_ok() {
            let _ = stopped.await;
        }
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// Resolves when the node has stopped, by itself or by [`Node::stop`].
    pub async fn stopped(&self) {
        self.orders.closed().await;
    }
}

fn stopped() -> Response {
    Response::Refused {
        message: "the node stopped before it could answer; look at its log, then try again"
            .to_owned(),
        exit_code: ExitCode::Failure as u8,
    }
}
