//! What is too much at once is turned away with words, and nothing of it is decided.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use khlong_crdt::time::Monotonic;
use khlong_gateway::app::{AskError, Options};
use khlong_gateway::http::bodies::Share;
use khlong_gateway::http::limits::BODY_WITHIN;
use khlong_gateway::http::rate::Bucket;
use serde_json::json;

use crate::client::{parse, try_call};
use crate::server::{OTHER, READER, Server, TRANSFERS, WRITER, options, pay};

#[test]
fn a_full_queue_answers_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with(folder.path(), "[limits]\nqueue = 2");
    server.set_up(2);
    let held = server.hold_driver();
    let mut waiting = Vec::new();
    loop {
        match server.handle.begin_read(|_| ()) {
            Ok(answer) => waiting.push(answer),
            Err(error) => {
                assert_eq!(error, AskError::Full);
                break;
            }
        }
    }
    assert_eq!(waiting.len(), 2);
    let refused = server.send("k", json!([pay(1, 1, 2, 5)]));
    assert_eq!((refused.status, refused.problem().as_str()), (503, "busy"));
    assert_eq!(refused.headers["retry-after"], "1");
    let read = server.get("/v1/journal/head");
    assert_eq!((read.status, read.problem().as_str()), (503, "busy"));
    held.let_go();
    for answer in waiting {
        answer.blocking_recv().unwrap();
    }
    // The key of the request that was turned away is free.
    assert_eq!(server.send("k", json!([pay(1, 1, 2, 5)])).results(), ["ok"]);
    server.stop().unwrap();
}

#[test]
fn a_key_that_asks_too_often_is_told_when_to_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with(folder.path(), "[limits]\nrequests_per_minute = 3");
    for _ in 0..3 {
        assert_eq!(server.get("/v1/journal/head").status, 200);
    }
    let refused = server.get("/v1/journal/head");
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (429, "rate-limited")
    );
    let wait: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    // Others, and health, are not held up.
    let body = json!([pay(1, 1, 2, 5)]);
    assert_eq!(
        server.send("k", body).results(),
        ["debit_account_not_found"]
    );
    assert_eq!(
        try_call(server.address, "GET", "/livez", &[], b"")
            .unwrap()
            .status,
        200
    );
    server.stop().unwrap();
}

#[test]
fn a_bucket_is_filled_evenly_and_never_over() {
    let at = |seconds: u64| Monotonic(seconds * 1_000_000);
    let mut bucket = Bucket::new(60, at(100));
    for _ in 0..60 {
        assert_eq!(bucket.take(at(100)), Ok(()));
    }
    assert_eq!(bucket.take(at(100)), Err(1));
    assert_eq!(bucket.take(at(101)), Ok(()));
    assert_eq!(bucket.take(at(101)), Err(1));
    // A clock that goes back fills nothing.
    assert_eq!(bucket.take(at(50)), Err(1));
    assert_eq!(bucket.take(at(101)), Err(1));
    // A week fills it once.
    for _ in 0..60 {
        assert_eq!(bucket.take(at(700_000)), Ok(()));
    }
    assert_eq!(bucket.take(at(700_000)), Err(1));
    let mut slow = Bucket::new(1, at(0));
    assert_eq!(slow.take(at(0)), Ok(()));
    assert_eq!(slow.take(at(0)), Err(60));
    assert_eq!(slow.take(at(59)), Err(1));
    assert_eq!(slow.take(at(60)), Ok(()));
}

#[test]
fn more_connections_than_allowed_wait_and_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with(folder.path(), "[limits]\nconnections = 1");
    let address = server.address;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                let bearer = format!("Bearer {READER}");
                let headers = [("authorization", bearer.as_str())];
                try_call(address, "GET", "/v1/journal/head", &headers, b"")
                    .unwrap()
                    .status
            })
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    server.stop().unwrap();
}

/// A server with one place, which a silent client loses soon; not so soon that one that the machine
/// holds up between connecting and asking loses it too.
fn impatient(folder: &std::path::Path) -> Server {
    Server::of(Options {
        silence_max: Duration::from_secs(1),
        ..options(folder, "[limits]\nconnections = 1\nqueue = 2")
    })
}

fn livez(server: &Server) -> u16 {
    let reply = try_call(server.address, "GET", "/livez", &[], b"");
    reply.unwrap().status
}

#[test]
fn a_silent_client_loses_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let server = impatient(folder.path());
    let request = "GET /livez HTTP/1.1\r\nhost: test\r\n\r\n";
    // Not a byte; half a head; and one that was answered and asks for nothing more.
    for said in ["", "GET /livez HTTP/1.1\r\nhost", request] {
        let mut silent = TcpStream::connect(server.address).unwrap();
        silent.write_all(said.as_bytes()).unwrap();
        assert_eq!(livez(&server), 200);
        let mut heard = String::new();
        silent.read_to_string(&mut heard).unwrap();
        assert_eq!(heard.contains("200 OK"), said == request, "{said}: {heard}");
    }
    server.stop().unwrap();
}

#[test]
fn a_client_that_does_not_take_its_answers_loses_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let server = impatient(folder.path());
    let mut deaf = TcpStream::connect(server.address).unwrap();
    deaf.set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    // Far more answers than the system keeps for it.
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: test\r\n\r\n".repeat(1_000);
    let _ = deaf.write_all(requests.as_bytes());
    assert_eq!(livez(&server), 200);
    server.stop().unwrap();
}

#[test]
fn readers_of_the_page_who_go_away_leave_one_read_behind() {
    let folder = tempfile::tempdir().unwrap();
    let server = impatient(folder.path());
    let held = server.hold_driver();
    for _ in 0..4 {
        let mut gone = TcpStream::connect(server.address).unwrap();
        let request =
            format!("GET /ledger HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {READER}\r\n\r\n");
        gone.write_all(request.as_bytes()).unwrap();
        drop(gone);
        // There is one place: who is served now knows that the one before was let go.
        assert_eq!(livez(&server), 200);
    }
    // Of the two places of the queue one is taken.
    let beside = server.handle.begin_read(|_| ()).unwrap();
    assert_eq!(
        server.handle.begin_read(|_| ()).unwrap_err(),
        AskError::Full
    );
    held.let_go();
    beside.blocking_recv().unwrap();
    assert_eq!(server.get("/ledger").status, 200);
    server.stop().unwrap();
}

#[test]
fn slow_bodies_of_one_writer_keep_no_other_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    let slow: Vec<_> = (0..40_u64)
        .map(|n| {
            let body = json!({ "transfers": [pay(1 + n, 1, 2, 1)] }).to_string();
            let mut stream = TcpStream::connect(server.address).unwrap();
            let head = format!(
                "POST {TRANSFERS} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
                authorization: Bearer {WRITER}\r\nidempotency-key: slow-{n}\r\n\
                content-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let (first, rest) = body.split_at(1);
            stream.write_all((head + first).as_bytes()).unwrap();
            (stream, rest.to_owned())
        })
        .collect();
    let body = json!({ "transfers": [pay(1_000, 1, 2, 1)] });
    let other = server.post(TRANSFERS, OTHER, "k", &body);
    assert_eq!(other.results(), ["ok"]);
    // None of them had to run out of time for that.
    for (mut stream, rest) in slow {
        stream.write_all(rest.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    }
    server.stop().unwrap();
}

/// However busily it sends, and whatever it has sent by then.
#[test]
fn a_body_that_does_not_come_in_time_is_given_up_and_was_not_decided() {
    // A byte after each.
    const PAUSE: Duration = Duration::from_millis(50);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::of(Options {
        body_within: Duration::from_secs(1),
        ..options(folder.path(), "")
    });
    server.set_up(2);
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.set_read_timeout(Some(PAUSE)).unwrap();
    let head = format!(
        "POST {TRANSFERS} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
        authorization: Bearer {WRITER}\r\nidempotency-key: \"k\"\r\n\
        content-type: application/json\r\ncontent-length: 1000000\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // Twenty seconds; the way is closed behind the answer.
    for _ in 0..400 {
        let _ = slow.write_all(b" ");
        match slow.read_to_end(&mut answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    let reply = parse(&answer).expect("an answer long before half a minute");
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (408, "body-too-slow")
    );
    assert!(reply.body.contains("send it within 1 s"), "{}", reply.body);
    // Its key is free, and others have their place.
    assert_eq!(server.send("k", json!([pay(1, 1, 2, 5)])).results(), ["ok"]);
    server.stop().unwrap();
    // Half a minute, unless a test says otherwise.
    assert_eq!(options(folder.path(), "").body_within, BODY_WITHIN);
    assert_eq!(BODY_WITHIN, Duration::from_secs(30));
}

#[test]
fn a_key_holds_no_more_than_its_share_and_all_no_more_than_the_budget() {
    let shares: Vec<Share> = Share::divide(25, 10).take(3).collect();
    let mut first = shares[0].begin();
    let mut second = shares[0].begin();
    assert!(first.grow(4) && second.grow(5));
    assert!(!first.grow(2), "the share is 10");
    assert!(first.grow(1));
    let mut other = shares[1].begin();
    assert!(other.grow(10));
    let mut last = shares[2].begin();
    assert!(last.grow(5));
    assert!(!last.grow(1), "the budget is 25");
    drop(second);
    assert!(last.grow(5) && !last.grow(1));
    drop((first, other));
    assert!(!last.grow(1), "the share is 10");
    let mut again = shares[0].begin();
    assert!(again.grow(10));
}
