//! A connection that breaks at the worst moments, and a server that hangs: what became of an
//! append is read back, and nothing is there twice.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use khlong_gateway::app::postgres::{PostgresError, PostgresJournal};
use khlong_gateway::kernel::{Kernel, KernelError};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{JournalError, JournalSeq};

use crate::cluster::{Cluster, WITHIN, open, options, signal};
use crate::fixture::decide;
use crate::journal::sweep;
use crate::until::until;

const PASS: u8 = 0;
/// The next request reaches the server, its answer nobody.
const LOSE_ANSWER: u8 = 1;
/// The next request reaches nobody.
const LOSE_REQUEST: u8 = 2;
/// Nothing gets through, and nobody is told.
const SILENT: u8 = 3;

/// Between a gateway and its server.
struct Between {
    folder: tempfile::TempDir,
    mode: Arc<AtomicU8>,
    /// What went to the server so far, in pieces.
    passed: Arc<AtomicU64>,
}

impl Between {
    fn start(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let (mode, passed) = (Arc::new(AtomicU8::new(PASS)), Arc::default());
        let to = cluster.folder().join(".s.PGSQL.5432");
        let (shared, counted) = (Arc::clone(&mode), Arc::clone(&passed));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                relay(&client.unwrap(), &to, &shared, &counted);
            }
        });
        Self {
            folder,
            mode,
            passed,
        }
    }

    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }

    fn journal(&self, within: Duration) -> PostgresJournal {
        let folder = self.folder.path().display();
        let text = format!("host={folder} user=khlong dbname=postgres");
        PostgresJournal::new(options(&text, within)).unwrap()
    }
}

/// Two threads, which end with the connection.
fn relay(client: &UnixStream, to: &PathBuf, mode: &Arc<AtomicU8>, passed: &Arc<AtomicU64>) {
    // The server may be away.
    let Ok(server) = UnixStream::connect(to) else {
        return;
    };
    for (from, to, lost) in [
        (client, &server, LOSE_REQUEST),
        (&server, client, LOSE_ANSWER),
    ] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let (mode, passed) = (Arc::clone(mode), Arc::clone(passed));
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            loop {
                let read = from.read(&mut buffer).unwrap_or(0);
                // The end of an earlier connection loses nothing.
                let pass = if read > 0 {
                    mode.compare_exchange(lost, PASS, Ordering::SeqCst, Ordering::SeqCst)
                } else {
                    Err(PASS)
                };
                if mode.load(Ordering::SeqCst) == SILENT {
                    continue_silently(&mut from);
                    return;
                }
                // Before it goes: what was answered is counted.
                if lost == LOSE_REQUEST && read > 0 && pass.is_err() {
                    passed.fetch_add(1, Ordering::SeqCst);
                }
                if read == 0 || pass.is_ok() || to.write_all(&buffer[..read]).is_err() {
                    let _ = from.shutdown(Shutdown::Both);
                    let _ = to.shutdown(Shutdown::Both);
                    return;
                }
            }
        });
    }
}

/// Takes what comes, until the other end gives up.
fn continue_silently(from: &mut UnixStream) {
    let mut buffer = [0; 65_536];
    while from.read(&mut buffer).is_ok_and(|read| read > 0) {}
}

#[test]
fn an_append_whose_answer_is_lost_was_kept_and_one_that_is_lost_itself_is_made_again() {
    let cluster = Cluster::start();
    let between = Between::start(&cluster);
    let disk = MemoryDisk::new();
    let mut kernel = open(between.journal(WITHIN), &disk).unwrap();
    decide(&mut kernel, &sweep("before"));
    for (n, mode) in [LOSE_ANSWER, LOSE_REQUEST, LOSE_ANSWER].iter().enumerate() {
        for part in 0..3 {
            kernel.apply(&sweep(&format!("{n} {part}"))).unwrap();
        }
        between.set(*mode);
        kernel.commit().unwrap();
        assert_eq!(between.mode.load(Ordering::SeqCst), PASS, "it was lost");
        assert_eq!(kernel.release().len(), 3);
    }
    assert_eq!(kernel.head().seq, JournalSeq(10));
    assert_eq!(cluster.journal().verify().unwrap(), kernel.head());
    // Reads ask again as well.
    between.set(LOSE_ANSWER);
    kernel.follow().unwrap();
    assert_eq!(between.mode.load(Ordering::SeqCst), PASS);
}

#[test]
fn an_append_that_is_lost_while_another_gateway_appends_is_refused() {
    let cluster = Cluster::start();
    let between = Between::start(&cluster);
    let disk = MemoryDisk::new();
    let mut deposed = open(between.journal(WITHIN), &disk).unwrap();
    decide(&mut deposed, &sweep("before"));
    deposed.apply(&sweep("lost")).unwrap();
    let mut other = cluster.open(&MemoryDisk::new()).unwrap();
    decide(&mut other, &sweep("other"));
    between.set(LOSE_REQUEST);
    let refused = deposed.commit().unwrap_err();
    assert!(
        matches!(
            refused,
            KernelError::Journal(JournalError::Moved {
                expected: 1,
                found: 2
            })
        ),
        "{refused}"
    );
    assert!(refused.is_fatal() && deposed.release().is_empty());
    drop(deposed);
    let mut again = open(between.journal(WITHIN), &disk).unwrap();
    assert_eq!(again.head(), other.head());
    assert_eq!(decide(&mut again, &sweep("lost")).seq, JournalSeq(3));
}

fn unreachable(error: &KernelError) -> bool {
    let KernelError::Journal(JournalError::Elsewhere { source, .. }) = error else {
        return false;
    };
    let error = source.downcast_ref::<PostgresError>();
    matches!(error, Some(PostgresError::Unreachable { .. }))
}

/// A server that takes requests and says nothing ends a gateway in time, whatever it did.
#[test]
fn a_silent_server_ends_the_kernel_and_the_append_is_found_or_not() {
    let cluster = Cluster::start();
    let between = Between::start(&cluster);
    let disk = MemoryDisk::new();
    let mut kernel = open(between.journal(Duration::from_secs(3)), &disk).unwrap();
    decide(&mut kernel, &sweep("before"));
    kernel.apply(&sweep("under way")).unwrap();
    between.set(SILENT);
    let asked = Instant::now();
    let refused = kernel.commit().unwrap_err();
    assert!(unreachable(&refused), "{refused}");
    assert!(asked.elapsed() < Duration::from_secs(30));
    assert!(kernel.release().is_empty());
    drop(kernel);
    between.set(PASS);
    let mut kernel = open(between.journal(WITHIN), &disk).unwrap();
    let seq = decide(&mut kernel, &sweep("under way")).seq;
    assert_eq!(seq, JournalSeq(2));
    assert_eq!(cluster.journal().verify().unwrap(), kernel.head());
}

/// Stopped, not dead: its socket still takes connections.
#[test]
fn a_server_that_hangs_is_waited_for_and_not_longer_than_the_limit() {
    let cluster = Cluster::start();
    let between = Between::start(&cluster);
    let disk = MemoryDisk::new();
    let mut kernel = open(between.journal(WITHIN), &disk).unwrap();
    decide(&mut kernel, &sweep("before"));
    let [backend] = cluster.sessions();
    kernel.apply(&sweep("held up")).unwrap();
    let before = between.passed.load(Ordering::SeqCst);
    signal("-STOP", backend);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until("the server has the append", || {
                between.passed.load(Ordering::SeqCst) > before
            });
            signal("-CONT", backend);
        });
        kernel.commit().unwrap();
    });
    assert_eq!(kernel.release().len(), 1);
    drop(kernel);
    let soon = Duration::from_secs(3);
    let mut kernel: Kernel = open(between.journal(soon), &disk).unwrap();
    let [backend] = cluster.sessions();
    kernel.apply(&sweep("under way")).unwrap();
    signal("-STOP", backend);
    // New connections are served, and none of them can know more: the old one may still append.
    kernel.commit().unwrap();
    signal("-CONT", backend);
    assert_eq!(kernel.release().len(), 1);
    kernel.follow().unwrap();
    assert_eq!(kernel.head().seq, JournalSeq(3));
    assert_eq!(cluster.journal().verify().unwrap(), kernel.head());
}
