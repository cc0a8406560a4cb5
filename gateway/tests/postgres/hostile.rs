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

/// What is written and not yet taken: the buffers of both sockets.
const BUFFERS_MAX: u64 = 16 * 1024 * 1024;

/// Greets, then answers the first request with these bytes and zeros without an end. Returns
/// where it listens, and the most that one connection took from it.
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
                let mut taken = 0;
                while stream.write_all(&[0; 65_536]).is_ok() {
                    taken += 65_536;
                    counted.fetch_max(taken, Ordering::SeqCst);
                }
            });
        }
    });
    (port, taken)
}

/// The journal is asked for at that port, for so long and not much longer.
fn is_given_up(port: u16, within: Duration) {
    let text = format!("postgres://khlong@127.0.0.1:{port}/books");
    let mut journal = PostgresJournal::new(options(&text, within)).unwrap();
    let asked = Instant::now();
    let error = journal.tail().unwrap_err();
    assert!(
        matches!(error, PostgresError::Unreachable { .. }),
        "{error}"
    );
    // One that is not given up hangs for ever.
    assert!(asked.elapsed() < Duration::from_secs(60));
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
        is_given_up(port, Duration::from_millis(500));
        let taken = taken.load(Ordering::SeqCst);
        assert!(taken < BUFFERS_MAX, "{taken} bytes were taken");
    }
}

/// Each answer about a type names another type that the client does not know: it would ask
/// about that one first, a call deeper each time, until its stack is used up.
#[test]
fn types_without_an_end_are_cut() {
    const OK: &[u8] = b"C\0\0\0\x08SET\0Z\0\0\0\x05I";
    // ParseComplete, a parameter of type 99999, no columns, ReadyForQuery.
    const PARSED: &[u8] = b"1\0\0\0\x04t\0\0\0\x0a\0\x01\0\x01\x86\x9fn\0\0\0\x04Z\0\0\0\x05I";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, counted) = (stream.unwrap(), Arc::clone(&counted));
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(GREETING);
            while let Ok(read @ 1..) = stream.read(&mut request) {
                let is_simple = request[..read].first() == Some(&b'Q');
                let answer = if is_simple { OK } else { PARSED };
                counted.fetch_add(1, Ordering::SeqCst);
                if stream.write_all(answer).is_err() {
                    break;
                }
            }
        }
    });
    is_given_up(port, Duration::from_secs(2));
    assert!(asked.load(Ordering::SeqCst) > 10, "it went on asking");
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    is_given_up(port, Duration::from_millis(500));
}
