//! Requests from a thread that waits: over the connection that is there, or a new one, and
//! never for longer than the limit.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::bounded::Ear;
use super::error::{Cause, Failure, PostgresError};
use super::options::PostgresOptions;
use super::session::Session;
use super::watch::Watch;
use crate::app::limits::STOP_WITHIN;

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// A try gets so much though the time is nearly over: with less it would tell nothing.
const TRY_LEAST: Duration = Duration::from_secs(1);

/// A connection attempt that takes longer is given up.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What a try still gets when the gateway is told to end and the last one had no answer: a server
/// that is there answers in it, and one that is not holds nobody up.
const STOP_WITHIN_AWAY: Duration = Duration::from_secs(1);

/// The way to the database. Not for a thread that runs an event loop of its own.
pub(super) struct Link {
    // Before the runtime that carries it.
    session: Option<Session>,
    runtime: EventLoop,
    options: PostgresOptions,
    ear: Ear,
}

/// Ends without waiting for a name that is being looked up, which the system may take long for.
struct EventLoop(Option<Runtime>);

impl Drop for EventLoop {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Link {
    pub(super) fn new(options: PostgresOptions) -> Result<Self, PostgresError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(PostgresError::Runtime)?;
        Ok(Self {
            session: None,
            runtime: EventLoop(Some(runtime)),
            options,
            ear: Ear::default(),
        })
    }

    /// Asks once. After [`Failure::Lost`] it is not known what the server did.
    pub(super) fn once<T>(
        &mut self,
        patience: &Patience,
        ask: impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(runtime) = &self.runtime.0 else {
            return Err(Failure::timed_out());
        };
        let (options, ear) = (&self.options, &self.ear);
        let watch = &options.watch;
        let known = self.session.take();
        let asked = async {
            let session = match known {
                Some(session) => session,
                None => timeout(CONNECT_WITHIN, Session::open(options, ear))
                    .await
                    .unwrap_or_else(|_| Err(Failure::timed_out()))
                    .inspect(|_| watch.connected())?,
            };
            let answer = ask(&session).await;
            Ok::<_, Failure>((session, answer))
        };
        let within = patience.of_a_try();
        let answered = runtime.block_on(async {
            tokio::select! {
                answered = timeout(within, asked) => {
                    answered.unwrap_or_else(|_| Err(Failure::timed_out()))
                }
                () = held_up(watch) => Err(Failure::timed_out()),
            }
        });
        let (session, answer) = answered.inspect_err(|failure| note(watch, failure))?;
        match &answer {
            Ok(_) => watch.answered(),
            Err(failure) => note(watch, failure),
        }
        // One on which an answer is missing would give it to the next question.
        if !matches!(answer, Err(Failure::Lost(_))) {
            self.session = Some(session);
        }
        answer
    }

    /// Asks until there is an answer or the time is over: for what changes nothing, or is the
    /// same when it is done twice.
    pub(super) fn repeat<T>(
        &mut self,
        patience: &mut Patience,
        ask: impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, PostgresError> {
        loop {
            match self.once(patience, &ask) {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Lost(source)) => patience.wait(source)?,
            }
        }
    }

    /// Whether anybody said anything, in any try so far. What the last one met tells less: a server
    /// that ends says so once, and then nobody listens.
    pub(super) fn has_heard(&self) -> bool {
        self.ear.has_heard()
    }

    /// Connects anew at the next request, and looks at the server's settings again.
    pub(super) fn hang_up(&mut self) {
        self.session = None;
    }

    /// The time in which tries are worth it.
    pub(super) fn patience(&self) -> Patience {
        Patience {
            watch: self.options.watch.clone(),
            until: None,
            within: self.options.within,
            is_told: false,
            is_last: false,
        }
    }
}

/// Until the gateway is told to end, and longer: as long as it waits for what is under way, or
/// a little if the database was away before.
async fn held_up(watch: &Watch) {
    watch.stopped().await;
    let longer = if watch.is_away() {
        STOP_WITHIN_AWAY
    } else {
        STOP_WITHIN
    };
    tokio::time::sleep(longer).await;
}

fn note(watch: &Watch, failure: &Failure) {
    match failure {
        Failure::Lost(_) => watch.lost(),
        Failure::Final(_) => watch.answered(),
    }
}

/// One for all the tries of a call. Counts from the first failure, so that one request that took
/// its whole time is made again: a call takes at most twice the time, and a last try.
pub(super) struct Patience {
    watch: Watch,
    until: Option<Instant>,
    within: Duration,
    is_told: bool,
    /// The gateway is to end, so there is one more try: only the connection may be broken.
    is_last: bool,
}

impl Patience {
    fn of_a_try(&self) -> Duration {
        let left = self.until.map_or(self.within, |until| {
            until.saturating_duration_since(Instant::now())
        });
        left.max(TRY_LEAST).min(self.within)
    }

    /// Pauses before the next try.
    ///
    /// # Errors
    /// [`PostgresError::Unreachable`]: the time is over; [`PostgresError::Stopped`]: so is the
    /// gateway's.
    pub(super) fn wait(&mut self, source: Cause) -> Result<(), PostgresError> {
        if self.watch.is_stopping() {
            return if std::mem::replace(&mut self.is_last, true) {
                Err(PostgresError::Stopped(source))
            } else {
                Ok(())
            };
        }
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
