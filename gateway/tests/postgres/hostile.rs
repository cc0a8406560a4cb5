//! A server that means harm: what it says of lengths is not believed, and it takes neither
//! memory nor time.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use khlong_gateway::app::postgres::{PostgresError, PostgresJournal};

use crate::cluster::options;

/// AuthenticationOk and ReadyForQuery.
const GREETING: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

/// Greets, then answers the first request with these bytes and zeros without an end. Returns
/// where it listens, and how much was taken from it.
fn hostile(greeting: &'static [u8], begins: &'static [u8]) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, counted) = (stream.unwrap(), Arc::clone(&counted));
            std::thread::spawn(move || {
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(greeting);
                if !greeting.is_empty() {
                    let _ = stream.read(&mut request);
                }
                let _ = stream.write_all(begins);
                while stream.write_all(&[0; 65_536]).is_ok() {
                    counted.fetch_add(65_536, Ordering::SeqCst);
                }
            });
        }
    });
    (port, taken)
}

#[test]
fn a_length_without_an_end_is_cut() {
    for (greeting, begins) in [
        // A row of 2 GiB, an error of as much, a parameter, and a greeting of as much.
        (GREETING, &b"D\x7f\xff\xff\xff"[..]),
        (GREETING, b"E\x7f\xff\xff\xff"),
        (GREETING, b"S\x7f\xff\xff\xff"),
        (b"", b"R\x7f\xff\xff\xff"),
        // Without a length at all.
        (GREETING, b"D\xff\xff\xff\xff"),
        (GREETING, b""),
    ] {
        let (port, taken) = hostile(greeting, begins);
        let text = format!("postgres://khlong@127.0.0.1:{port}/books");
        let within = Duration::from_millis(500);
        let mut journal = PostgresJournal::new(options(&text, within)).unwrap();
        let asked = Instant::now();
        let error = journal.tail().unwrap_err();
        assert!(
            matches!(error, PostgresError::Unreachable { .. }),
            "{error}"
        );
        assert!(asked.elapsed() < Duration::from_secs(10));
        // Some tries, each a quarter of a MiB and what lies in the sockets.
        let taken = taken.load(Ordering::SeqCst);
        assert!(taken < 256 * 1024 * 1024, "{taken} bytes were taken");
    }
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = format!("postgres://khlong@127.0.0.1:{port}/books");
    let within = Duration::from_millis(500);
    let mut journal = PostgresJournal::new(options(&text, within)).unwrap();
    let asked = Instant::now();
    let error = journal.tail().unwrap_err();
    assert!(
        matches!(error, PostgresError::Unreachable { .. }),
        "{error}"
    );
    assert!(asked.elapsed() < Duration::from_secs(10));
}
