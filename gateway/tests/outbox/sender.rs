//! A gateway with books that sends, on an imaginary disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_gateway::app::{App, AppError, AskError, Handle, Open};
use khlong_gateway::config::{Config, Environment, Flags};
use khlong_gateway::domains;
use khlong_gateway::domains::books::BooksCommand;
use khlong_gateway::kernel::{Command, Housekeeping, KERNEL_DOMAIN, Kernel, Logic, waiting_outbox};
use khlong_gateway::outbox::schedule::Policy;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::JournalSeq;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fixture::{JOURNAL, command, pay, store};
use crate::office::{Office, TODAY};
use crate::receiver::SECRET;
use crate::until::{found, until};

/// A minute after midnight, with a day that was closed and a notice that waits.
pub(crate) fn closed_day() -> (MemoryDisk, i64) {
    let mut office = Office::new();
    office.pay(&[pay(1, 1, 2, 50)]);
    office.at(TODAY.next(), 60_000);
    office.ask(&BooksCommand::CloseNext);
    (office.bank.disk.clone(), office.bank.now)
}

/// Quick: what a test waits for is not the pauses.
pub(crate) fn quick() -> Policy {
    Policy {
        backoff_first: Duration::from_millis(4),
        backoff_max: Duration::from_millis(20),
        // Ample: a slow machine must not make a second request of one that was answered.
        send_within: Duration::from_secs(50),
        look_every: Duration::from_millis(5),
        ..Policy::default()
    }
}

/// A section for each address.
pub(crate) fn targets(urls: &[String]) -> String {
    let target = |(n, url): (usize, &String)| {
        format!(
            "[[outbox.target]]\nname = \"target-{n}\"\nurl = \"{url}\"\n\
             topics = [\"books.day_closed\"]\nsecret = \"{SECRET}\"\n"
        )
    };
    urls.iter().enumerate().map(target).collect()
}

pub(crate) fn open(disk: &MemoryDisk) -> Open {
    let disk = disk.clone();
    Box::new(move || {
        Kernel::open(store(&disk), domains::all(), Logic::CURRENT, JOURNAL)
            .map_err(AppError::Kernel)
    })
}

pub(crate) struct Sender {
    pub(crate) handle: Handle,
    readings: Arc<AtomicU64>,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), AppError>>,
}

impl Sender {
    pub(crate) fn start(disk: &MemoryDisk, now: i64, urls: &[String], policy: Policy) -> Self {
        Self::on(open(disk), now, &targets(urls), policy)
    }

    pub(crate) fn on(open: Open, now: i64, targets: &str, policy: Policy) -> Self {
        Self::with(open, now, targets, policy, true)
    }

    /// The time of day stands still, while pauses pass: what depends on the age of an entry or a claim
    /// depends on no machine.
    pub(crate) fn at(open: Open, now: i64, targets: &str, policy: Policy) -> Self {
        Self::with(open, now, targets, policy, false)
    }

    fn with(open: Open, now: i64, targets: &str, policy: Policy, day_passes: bool) -> Self {
        let text = format!(
            "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[store]\nreserve = \"1MiB\"\n{targets}"
        );
        let config = Config::parse(
            &text,
            Path::new("."),
            Environment::default(),
            &Flags::default(),
        );
        let mut options = config.unwrap().options().unwrap();
        options.outbox.policy = policy;
        let began = Instant::now();
        let readings = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&readings);
        let clock = Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let passed = began.elapsed();
            let of_day = if day_passes { passed } else { Duration::ZERO };
            Now {
                monotonic: Monotonic(u64::try_from(passed.as_micros()).unwrap()),
                wall: UnixMillis(now + i64::try_from(of_day.as_millis()).unwrap()),
            }
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let app = runtime
            .block_on(App::start_on(options, open, clock))
            .unwrap();
        let handle = app.handle();
        let (stop, stopped) = oneshot::channel();
        let running = runtime.spawn(app.run(async {
            let _ = stopped.await;
        }));
        Self {
            handle,
            readings,
            runtime,
            stop,
            running,
        }
    }

    /// How many notices wait.
    pub(crate) fn waiting(&self) -> usize {
        let read = self
            .handle
            .read(|committed| waiting_outbox(committed.store, 100).unwrap().len());
        self.runtime.block_on(read).unwrap_or(usize::MAX)
    }

    /// The oldest notice that waits.
    pub(crate) fn first_waiting(&self) -> (JournalSeq, u32) {
        let read = self
            .handle
            .read(|committed| waiting_outbox(committed.store, 1).unwrap());
        let found = self.runtime.block_on(read).unwrap().remove(0);
        (found.seq, found.n)
    }

    /// Until its worker has looked into the outbox some dozens of times: at each look the clock is
    /// read at least once, and at most four times.
    pub(crate) fn looks_on(&self) {
        let enough = self.readings.load(Ordering::Relaxed) + 200;
        until("it has looked into the outbox", || {
            self.readings.load(Ordering::Relaxed) >= enough
        });
    }

    /// Has a command decided that moves nothing: this gateway is the one that appended last.
    pub(crate) fn append(&self, key: &str) {
        let nothing = Housekeeping::Settle {
            seq: JournalSeq(1),
            n: 0,
        };
        self.write(command(key, 0, KERNEL_DOMAIN, nothing.encode()));
    }

    /// Has a command decided.
    pub(crate) fn write(&self, command: Command) {
        let write = || self.runtime.block_on(self.handle.write(command.clone()));
        found("it starts", || match write() {
            Err(AskError::Starting) => None,
            decided => Some(decided.unwrap()),
        });
    }

    /// Until every outcome stands in the journal.
    pub(crate) fn settle(&self) {
        until("no notice waits", || self.waiting() == 0);
    }

    pub(crate) fn stop(self) {
        let _ = self.stop.send(());
        self.runtime.block_on(self.running).unwrap().unwrap();
    }
}
