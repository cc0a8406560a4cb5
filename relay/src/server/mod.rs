//! Sockets, a thread and a clock around the hub. No decisions.
//!
//! One thread owns the hub (`driver`): it drains a bounded queue of inputs,
//! handles up to `BATCH_INPUTS_MAX`, commits once, releases. One task for each
//! connection (`connection`) moves frames between a link and that queue. Every
//! task and the thread end with [`Server::run`].

mod checkpoint;
mod clock;
mod connection;
mod driver;
mod pulse;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::LogId;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::error::StoreError;
use khlong_store::identity::Role;
use khlong_store::store::{OpenOptions, Store};
use khlong_sync::transport::quic::error::SetupError;
use khlong_sync::transport::quic::identity::Identity;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::transport::quic::listener::Listener;
use khlong_sync::wire::code::ErrorCode;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub(crate) use self::checkpoint::Checkpoints;
use self::driver::{Driver, DriverInput};
pub use self::pulse::Pulse;
use crate::admin::{self, Metrics, Operator};
use crate::hub::{BATCH_INPUTS_MAX, ConnectionId, Hub, Policy};

/// What [`ServerOptions::stop_within`] should be: longer than a slow disk's fsync, shorter
/// than service managers wait before they kill.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Inputs that wait for the hub. A full queue stops reading from sockets.
const INPUTS_QUEUED_MAX: usize = BATCH_INPUTS_MAX;

/// What a relay needs to serve.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Signs receipts; its public half is the relay's name.
    pub key: SigningKey,
    /// The folder of the store.
    pub folder: PathBuf,
    /// Sizes of the store.
    pub sizes: RocksOptions,
    /// Go on although acknowledged commits are gone.
    pub accept_loss: bool,
    /// The operator's policy.
    pub policy: Policy,
    /// UDP address for clients.
    pub quic: SocketAddr,
    /// HTTP address for operators.
    pub admin: SocketAddr,
    /// Limits of the transport.
    pub limits: QuicLimits,
    /// Host of the address that clients get.
    pub public_host: String,
    /// Port of it, where that is not the bound one.
    pub public_port: Option<u16>,
    /// What the last commit may take when the relay stops. Usually [`STOP_WITHIN`].
    pub stop_within: Duration,
}

/// Why a relay does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The folder.
    #[error("cannot open the relay's folder")]
    Store(#[source] StoreError),
    /// The UDP address.
    #[error("cannot serve clients")]
    Quic(#[source] SetupError),
    /// The HTTP address.
    #[error("cannot serve operators on TCP {address}{}", if source.kind() == io::ErrorKind::AddrInUse { "; another process uses it: stop that, or choose another port" } else { "" })]
    Admin {
        /// The wanted address.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Entropy(#[source] getrandom::Error),
    /// The thread.
    #[error("cannot start the hub's thread")]
    Thread(#[source] io::Error),
    /// The thread waits for the disk, and would for ever.
    #[error(
        "the last commit did not end within {} s: the disk hangs; nothing of it was acknowledged", within.as_secs()
    )]
    DriverHangs {
        /// How long it was given.
        within: Duration,
    },
    /// A bug: the thread is gone.
    #[error("the hub's thread has ended; this is a bug, report it with the log")]
    DriverGone,
}

/// Opens the relay's store: at the start, and again after a failure.
pub type OpenStore = Box<dyn FnMut() -> Result<Store, ServerError> + Send>;

/// A relay that listens and is about to serve.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    admin: TcpListener,
    driver: Driver,
    inputs: mpsc::Sender<DriverInput>,
    metrics: Arc<Metrics>,
    /// Where checkpoints go, and who may ask for one.
    folder: PathBuf,
    operator: Operator,
    address: RelayAddress,
    quic: SocketAddr,
    operators: SocketAddr,
    stop_within: Duration,
}

impl Server {
    /// Opens the folder, binds both addresses and starts the hub's thread.
    ///
    /// # Errors
    /// [`ServerError`]; nothing is left running.
    pub async fn start(options: ServerOptions) -> Result<Self, ServerError> {
        let mut on_disk = options.clone();
        let open = move || {
            let store = open_store(&on_disk.folder, on_disk.sizes, on_disk.accept_loss)?;
            // The operator accepted what is gone now, not what will go later.
            on_disk.accept_loss = false;
            Ok(store)
        };
        Self::start_on(Box::new(open), options).await
    }

    /// The same on a store of the caller's, which `open` opens: now, and again
    /// after a failed commit. Folder, sizes and `accept_loss` are not looked at.
    ///
    /// # Errors
    /// [`ServerError`]; nothing is left running.
    pub async fn start_on(
        mut open: OpenStore,
        options: ServerOptions,
    ) -> Result<Self, ServerError> {
        let key = options.key.clone();
        let policy = options.policy.clone();
        let hub_key = key.clone();
        let mut open_hub = move || Ok(Hub::new(open()?, hub_key.clone(), policy.clone()));
        let hub = open_hub()?;
        let identity = Identity::from_seed(key.as_bytes()).map_err(ServerError::Quic)?;
        let listener =
            Listener::bind(options.quic, &identity, options.limits).map_err(ServerError::Quic)?;
        let quic = listener.local_addr().map_err(|source| {
            ServerError::Quic(SetupError::Bind {
                address: options.quic,
                source,
            })
        })?;
        let failed = |source| ServerError::Admin {
            address: options.admin,
            source,
        };
        let admin = TcpListener::bind(options.admin).await.map_err(failed)?;
        let operators = admin.local_addr().map_err(failed)?;
        let address = RelayAddress {
            key: crate::identity::public(&key),
            host: options.public_host.clone(),
            port: options.public_port.unwrap_or(quic.port()),
        };
        let metrics = Arc::new(Metrics::new(listener.turned_away()));
        let (inputs, queued) = mpsc::channel(INPUTS_QUEUED_MAX);
        let driver = Driver::start(hub, Box::new(open_hub), queued, Arc::clone(&metrics))
            .map_err(ServerError::Thread)?;
        Ok(Self {
            listener,
            admin,
            driver,
            inputs,
            metrics,
            folder: options.folder,
            operator: Operator::of(&key),
            address,
            quic,
            operators,
            stop_within: options.stop_within,
        })
    }

    /// What clients are given.
    #[must_use]
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// The UDP address that is bound.
    #[must_use]
    pub fn quic_addr(&self) -> SocketAddr {
        self.quic
    }

    /// The HTTP address that is bound.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.operators
    }

    /// Asks whether the hub's thread still turns.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse::new(&self.inputs)
    }

    /// Serves until `stop` ends; then commits, acknowledges, says goodbye, and
    /// waits (a few seconds at most) until clients have heard it.
    ///
    /// # Errors
    /// [`ServerError::Store`] when what was acknowledged is gone or damaged;
    /// [`ServerError::DriverHangs`] when the last commit does not come to an end;
    /// [`ServerError::DriverGone`].
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self {
            mut listener,
            admin,
            mut driver,
            inputs,
            metrics,
            folder,
            operator,
            stop_within,
            ..
        } = self;
        let mut connections = JoinSet::new();
        let mut next = 0_u64;
        let (quit, quitting) = tokio::sync::oneshot::channel::<()>();
        let mut operators = JoinSet::new();
        let checkpoints = Checkpoints::new(folder, inputs.clone());
        let surface = admin::Surface::new(Arc::clone(&metrics), checkpoints, operator);
        operators.spawn(admin::serve(admin, surface, quitting));
        let mut stop = std::pin::pin!(stop);
        let ended = loop {
            tokio::select! {
                () = &mut stop => break Ok(()),
                how = driver.ended() => break Err(how.err().unwrap_or(ServerError::DriverGone)),
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                link = listener.accept() => {
                    let Some(link) = link else { break Err(ServerError::DriverGone) };
                    next += 1;
                    let id = ConnectionId(next);
                    connections.spawn(connection::serve(link, id, inputs.clone(), Arc::clone(&metrics)));
                }
            }
        };
        metrics.stopping.store(true, Ordering::Relaxed);
        let ended = match ended {
            Ok(()) => stop_driver(&inputs, &mut driver, stop_within).await,
            Err(error) => Err(error),
        };
        drop(inputs);
        if matches!(ended, Err(ServerError::DriverHangs { .. })) {
            // They wait for a thread that does not answer.
            connections.abort_all();
            operators.abort_all();
        }
        // Each one flushes for a bounded time and closes.
        while connections.join_next().await.is_some() {}
        listener.close(Some(ErrorCode::ShuttingDown)).await;
        drop(quit);
        while operators.join_next().await.is_some() {}
        ended
    }
}

/// The last commit and the goodbyes, for a bounded time. A thread that hangs in the disk
/// ends with the process.
async fn stop_driver(
    inputs: &mpsc::Sender<DriverInput>,
    driver: &mut Driver,
    within: Duration,
) -> Result<(), ServerError> {
    let stopped = async {
        // An error: it has ended, and says how.
        let _ = inputs.send(DriverInput::ShutDown).await;
        driver.ended().await
    };
    tokio::time::timeout(within, stopped)
        .await
        .unwrap_or(Err(ServerError::DriverHangs { within }))
}

/// Opens a relay's folder, or makes it.
///
/// # Errors
/// [`ServerError::Store`], [`ServerError::Entropy`].
pub fn open_store(
    folder: &std::path::Path,
    sizes: RocksOptions,
    accept_loss: bool,
) -> Result<Store, ServerError> {
    let mut log = [0; 16];
    getrandom::fill(&mut log).map_err(ServerError::Entropy)?;
    let open = OpenOptions {
        role: Role::Relay,
        fresh_log_id: LogId::from_bytes(log),
        accept_loss,
        sizes,
    };
    Store::open(folder, &open).map_err(ServerError::Store)
}
