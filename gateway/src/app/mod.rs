//! The gateway as a process: one thread owns the kernel, and an HTTP server sends it what is asked.
//!
//! An answer leaves only after the commit that made it durable; a read waits in the same
//! queue, so that it sees whatever was answered before it. When the kernel stops, everybody
//! who waits is told so, and the process ends: what was not answered is told by a retry under
//! the same idempotency key.

mod answers;
mod clock;
mod driver;
mod handle;
pub mod limits;
mod measure;
pub mod moving;
mod opening;
mod own;
mod passed_over;
pub mod patience;
mod pauses;
pub mod postgres;
mod pulse;
pub mod taking_back;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use khlong_store::engine::rocks::RocksOptions;
use khlong_store::error::StoreError;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use self::handle::{AskError, Committed, Handle, State};

pub(crate) use self::clock::Clock;
pub use self::clock::DriverClock;
use self::driver::Driver;
use self::handle::Input;
use self::limits::{
    FOLLOWER_DRAW, FOLLOWER_WAITS, LISTEN_PAUSE, LISTEN_WITHIN, STOP_WITHIN, drawn,
};
pub(crate) use self::opening::{Fresh, Opening, open};
use self::postgres::{PostgresError, PostgresOptions, Watch};
use crate::http::{self, ApiKey, Service};
use crate::kernel::{Kernel, KernelError};
use crate::metrics::Metrics;
use crate::outbox;

/// What a gateway is started with; see [`crate::config::Config`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folder, which `khlong-gateway init` makes.
    pub folder: PathBuf,
    /// Sizes of its store.
    pub sizes: RocksOptions,
    /// Where its journal lies if that is not the folder.
    pub journal: Option<PostgresOptions>,
    /// Start although acknowledged commits are gone.
    pub accept_loss: bool,
    /// Start although the clock seems wrong: a person has looked at it.
    pub accept_time: bool,
    /// How long idempotency keys are kept.
    pub keep_keys: Duration,
    /// Commands and reads that may wait.
    pub queue: usize,
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where metrics and health are.
    pub admin: SocketAddr,
    /// Connections at once.
    pub connections: usize,
    /// How long a client may be silent where it is its turn.
    pub silence_max: Duration,
    /// How long a client may take to send a body.
    pub body_within: Duration,
    /// What each key may ask in a minute; a minute's worth may come at once.
    pub requests_per_minute: u32,
    /// Who may ask for what.
    pub keys: Vec<ApiKey>,
    /// Where goes what commands leave for the outside.
    pub outbox: outbox::Options,
}

/// Why a gateway does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No random numbers for the name of a new journal.
    #[error("the system gives no random numbers")]
    Entropy(#[source] getrandom::Error),
    /// The address is not to be had.
    #[error("cannot serve HTTP on {address}; another process may have the port")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// No thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The folder has no journal. A new one would be empty, as if nothing had ever happened: a
    /// disk that is not mounted, or a slip in a path, must not look like that.
    #[error(
        "{path} is not the folder of a gateway; `khlong-gateway init {path}` makes one, if this is not a slip or a disk that is not mounted",
        path = path.display()
    )]
    NoGateway {
        /// Where it should be.
        path: PathBuf,
    },
    /// The folder is not to be opened.
    #[error("cannot open the folder of the gateway")]
    Store(#[source] StoreError),
    /// The database is not to be used.
    #[error("the journal's database is not used")]
    Postgres(#[source] PostgresError),
    /// The database has no journal: another one is meant, or it was emptied.
    #[error(
        "the journal's database has no journal; `khlong-gateway init FOLDER --config FILE` begins one, if this is not a slip or another database"
    )]
    NoJournalThere,
    /// The folder holds a copy. Decided on it alone, the journal would have two histories.
    #[error(
        "the journal of {path} lies in a database; say in which (journal.postgres); if that one is lost for good, `khlong-gateway journal take-back`",
        path = path.display()
    )]
    JournalElsewhere {
        /// The folder.
        path: PathBuf,
    },
    /// A move of the journal was cut off where only the database says whether it is done.
    #[error(
        "a move of the journal of {path} into a database was cut off; run the same `khlong-gateway journal to-database` again, which ends it, and leave what is in that database as it is; if it is lost for good, `khlong-gateway journal take-back`",
        path = path.display()
    )]
    MoveUnfinished {
        /// The folder.
        path: PathBuf,
    },
    /// Taking a journal back was cut off: nothing in it says so yet, or the folder does not know.
    #[error(
        "taking the journal of {path} back out of a database was cut off; run the same `khlong-gateway journal take-back` again, which ends it",
        path = path.display()
    )]
    TakeBackUnfinished {
        /// The folder.
        path: PathBuf,
    },
    /// The kernel does not start, or has stopped.
    #[error("the kernel stopped")]
    Kernel(#[source] KernelError),
    /// The driver's thread panicked.
    #[error("the gateway's driver failed; this is a bug, report it")]
    DriverGone,
    /// The HTTP server ended by itself.
    #[error("HTTP is no longer served")]
    Serve(#[source] io::Error),
}

impl AppError {
    /// The exit code of a program that ends with it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Entropy(_) | Self::Thread(_) | Self::DriverGone | Self::Serve(_) => 1,
            Self::Listen { .. }
            | Self::NoGateway { .. }
            | Self::NoJournalThere
            | Self::MoveUnfinished { .. }
            | Self::TakeBackUnfinished { .. }
            | Self::JournalElsewhere { .. } => 3,
            Self::Postgres(error) => error.exit_code(),
            Self::Store(error) => error.exit_code(),
            Self::Kernel(error) => error.exit_code(),
        }
    }
}

/// Makes the kernel, before anything is answered.
pub type Open = Box<dyn FnOnce() -> Result<Kernel, AppError> + Send>;

/// A gateway that serves.
pub struct App {
    handle: Handle,
    http: SocketAddr,
    admin: SocketAddr,
    server: JoinHandle<()>,
    operators: JoinHandle<()>,
    sender: JoinHandle<()>,
    quit: oneshot::Sender<()>,
    ended: oneshot::Receiver<Result<(), AppError>>,
    thread: std::thread::JoinHandle<()>,
    /// How it goes with the journal's database, and the way to stop waiting for it.
    database: Option<Watch>,
}

impl App {
    /// Listens, and begins to read the journal on the driver's thread. Until that is done,
    /// `/startupz` and every request are answered with 503.
    ///
    /// # Errors
    /// [`AppError::Listen`], [`AppError::Entropy`], [`AppError::Thread`]; what the folder
    /// holds is told by [`Self::run`].
    pub async fn start(options: Options) -> Result<Self, AppError> {
        let fresh = Fresh::draw()?;
        let opening = Opening {
            folder: options.folder.clone(),
            sizes: options.sizes,
            accept_loss: options.accept_loss,
            journal: options.journal.clone(),
        };
        let open: Open = Box::new(move || open(&opening, fresh));
        Self::start_on(options, open, clock::system()).await
    }

    /// The same on a kernel that `open` makes, on the driver's thread, which asks `clock`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_on(
        options: Options,
        open: Open,
        clock: DriverClock,
    ) -> Result<Self, AppError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(AppError::Entropy)?;
        let (listener, http) = bind(options.http).await?;
        let (operators, admin) = bind(options.admin).await?;
        let (queue, queued) = sync_channel(options.queue);
        let database = options.journal.as_ref().map(|it| it.watch().clone());
        let metrics = Arc::new(Metrics::new(options.queue, database.clone()));
        let handle = Handle::new(queue, metrics, database.clone(), clock.clone());
        let (end, ended) = oneshot::channel();
        let thread = {
            let (options, handle, clock) = (options.clone(), handle.clone(), clock.clone());
            std::thread::Builder::new()
                .name("kernel".to_owned())
                .spawn(move || {
                    let how = drive(&options, open, queued, &handle, clock, &seed);
                    handle.set_state(State::Stopping);
                    // The other end may be gone.
                    let _ = end.send(how);
                })
                .map_err(AppError::Thread)?
        };
        let sender = outbox::Worker::new(handle.clone(), options.outbox, clock, seed);
        let sender = tokio::spawn(sender.run());
        let (quit, quitting) = oneshot::channel();
        let service = Service::new(
            handle.clone(),
            options.folder,
            options.keys,
            options.requests_per_minute,
            options.body_within,
        );
        let service = Arc::new(service);
        let operators = http::serve_operators(operators, Arc::clone(&service), options.silence_max);
        let server = tokio::spawn(http::serve(
            listener,
            service,
            options.connections,
            options.silence_max,
            quitting,
        ));
        Ok(Self {
            handle,
            http,
            admin,
            server,
            operators: tokio::spawn(operators),
            sender,
            quit,
            ended,
            thread,
            database,
        })
    }

    /// Where HTTP is served: the port that was taken if 0 was asked for.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// Where metrics and health are, likewise.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// The way to the driver.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until `stop` ends; then answers what is under way, within [`STOP_WITHIN`], and
    /// closes the folder. A stop while the journal is read is not waited for, and a database that
    /// does not answer then is given up.
    ///
    /// # Errors
    /// Why the kernel did not start, or stopped: nothing is answered any more then.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), AppError> {
        let Self {
            handle,
            mut server,
            operators,
            sender,
            quit,
            mut ended,
            thread,
            database,
            ..
        } = self;
        // What it sends is sent again, under the same key, by the next start.
        let _sender = AbortOnDrop(sender);
        let _operators = AbortOnDrop(operators);
        let early = tokio::select! {
            how = &mut ended => Some(how.unwrap_or(Err(AppError::DriverGone))),
            served = &mut server => {
                let error = served.err().map(io::Error::other);
                stop_driver(&handle).await;
                return Err(AppError::Serve(error.unwrap_or_else(|| {
                    io::Error::other("the server returned")
                })));
            }
            () = stop => None,
        };
        if let Some(database) = &database {
            // One that is away would hold up the end for as long as it is waited for.
            database.stop();
        }
        if early.is_none() && handle.stop_starting() {
            // Nothing was taken, so nobody waits; the folder is as a loss of power leaves it.
            server.abort();
            return Ok(());
        }
        let _ = quit.send(());
        // Idle connections end at once; those that are slow to read their answer get a limit.
        if tokio::time::timeout(STOP_WITHIN, &mut server)
            .await
            .is_err()
        {
            tracing::warn!("answers were still under way; their connections are cut");
            server.abort();
        }
        let how = match early {
            Some(how) => how,
            None => {
                stop_driver(&handle).await;
                ended.await.unwrap_or(Err(AppError::DriverGone))
            }
        };
        // It has sent its last word, or unwound.
        let _ = thread.join();
        how
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), AppError> {
    let failed = |source| AppError::Listen { address, source };
    let mut left = LISTEN_WITHIN;
    let listener = loop {
        match TcpListener::bind(address).await {
            // The one before it has not ended, or the network has not begun.
            Err(error) if passes(&error) && !left.is_zero() => {
                if left == LISTEN_WITHIN {
                    tracing::warn!(%address, %error, "the address is not to be had yet, and waited for");
                }
                tokio::time::sleep(LISTEN_PAUSE).await;
                left = left.saturating_sub(LISTEN_PAUSE);
            }
            bound => break bound.map_err(failed)?,
        }
    };
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn passes(error: &io::Error) -> bool {
    let passing = [io::ErrorKind::AddrInUse, io::ErrorKind::AddrNotAvailable];
    passing.contains(&error.kind())
}

/// Ends a task with its owner.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn stop_driver(handle: &Handle) {
    let handle = handle.clone();
    // Waits for a place in the queue, which no async thread may do.
    let _ = tokio::task::spawn_blocking(move || handle.stop_blocking()).await;
}

/// The driver's thread, from the opening of the folder to its closing.
fn drive(
    options: &Options,
    open: Open,
    queued: Receiver<Input>,
    handle: &Handle,
    clock: DriverClock,
    seed: &[u8; 32],
) -> Result<(), AppError> {
    let mut kernel = open()?;
    // From here on somebody waits: the driver says for how long, by its own clock.
    kernel.end_patience();
    let now = clock();
    clock::begin(&mut kernel, now.wall, options.accept_time).map_err(AppError::Kernel)?;
    tracing::info!(entry = kernel.head().seq.0, "the kernel is ready");
    let driver = Driver {
        follows: kernel.shares_journal(),
        follower_waits: FOLLOWER_WAITS + drawn(seed, "due", FOLLOWER_DRAW),
        began: now.monotonic,
        kernel,
        queued,
        clock,
        reserve_bytes: options.sizes.reserve_bytes,
        keep_keys: options.keep_keys,
        handle: handle.clone(),
    };
    handle.set_state(State::Ready);
    if handle.state() == State::Stopping {
        return Ok(());
    }
    driver.run().map_err(AppError::Kernel)
}
