//! Requests from a thread that waits: over the connection that is there, or a new one, and
//! never for longer than the limit.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::error::{Cause, Failure, PostgresError};
use super::options::PostgresOptions;
use super::session::Session;

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection attempt that takes longer is given up.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The way to the database. Not for a thread that runs an event loop of its own.
pub(super) struct Link {
    // Before the runtime that carries it.
    session: Option<Session>,
    runtime: Runtime,
    options: PostgresOptions,
}

impl Link {
    pub(super) fn new(options: PostgresOptions) -> Result<Self, PostgresError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(PostgresError::Runtime)?;
        Ok(Self {
            session: None,
            runtime,
            options,
        })
    }

    /// Asks once. After [`Failure::Lost`] it is not known what the server did.
    pub(super) fn once<T>(
        &mut self,
        ask: impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (options, within) = (&self.options, self.options.within);
        let known = self.session.take();
        self.runtime.block_on(async {
            let session = match known {
                Some(session) => session,
                None => timeout(CONNECT_WITHIN.min(within), Session::open(options))
                    .await
                    .unwrap_or_else(|_| Err(Failure::timed_out()))?,
            };
            let answer = timeout(within, ask(&session))
                .await
                .unwrap_or_else(|_| Err(Failure::timed_out()));
            // One on which an answer is missing would give it to the next question.
            if !matches!(answer, Err(Failure::Lost(_))) {
                self.session = Some(session);
            }
            answer
        })
    }

    /// Asks until there is an answer or the time is over: for what changes nothing, or is the
    /// same when it is done twice.
    pub(super) fn repeat<T>(
        &mut self,
        ask: impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, PostgresError> {
        let mut patience = self.patience();
        loop {
            match self.once(&ask) {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Lost(source)) => patience.wait(source)?,
            }
        }
    }

    /// Connects anew at the next request, and looks at the server's settings again.
    pub(super) fn hang_up(&mut self) {
        self.session = None;
    }

    /// The time in which tries are worth it.
    pub(super) fn patience(&self) -> Patience {
        Patience {
            until: None,
            within: self.options.within,
            is_told: false,
        }
    }
}

/// Counts from the first failure, so that one request that took its whole time is made again.
pub(super) struct Patience {
    until: Option<Instant>,
    within: Duration,
    is_told: bool,
}

impl Patience {
    /// Pauses before the next try.
    ///
    /// # Errors
    /// [`PostgresError::Unreachable`]: the time is over.
    pub(super) fn wait(&mut self, source: Cause) -> Result<(), PostgresError> {
        let now = Instant::now();
        if now >= *self.until.get_or_insert(now + self.within) {
            return Err(PostgresError::Unreachable {
                seconds: self.within.as_secs(),
                source,
            });
        }
        if !std::mem::replace(&mut self.is_told, true) {
            let error = Because(&source);
            tracing::warn!(%error, "the journal's database gave no answer; trying again");
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }
}

/// An error and what it came from, on one line.
struct Because<'e>(&'e Cause);

impl std::fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(because) = cause {
            write!(f, ": {because}")?;
            cause = because.source();
        }
        Ok(())
    }
}
