//! What is no request of HTTP at all: the answer is empty, tells nothing, and is the last one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use khlong_gateway::app::Options;
use khlong_gateway::http::limits::HEAD_BYTES_MAX;

use crate::client::try_call;
use crate::server::{READER, Server, options, pay};

const PATIENCE: Duration = Duration::from_secs(60);

/// All that is answered until the other side ends the connection.
fn exchange(address: SocketAddr, said: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(said).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    let _ = stream.shutdown(Shutdown::Both);
    String::from_utf8(heard).unwrap()
}

/// A head with the secret of a key in it, and behind it a request that would be answered.
fn with_secret(first: &str, more: &str) -> Vec<u8> {
    let good = "GET /livez HTTP/1.1\r\nhost: test\r\n\r\n";
    format!("{first}\r\nhost: test\r\nauthorization: Bearer {READER}\r\n{more}\r\n{good}")
        .into_bytes()
}

/// A request that goes on until the server has had enough: it has read all that was sent.
fn endless() -> Vec<u8> {
    let mut head = format!("GET /livez HTTP/1.1\r\nauthorization: Bearer {READER}\r\nlong: ");
    head.push_str(&"x".repeat(HEAD_BYTES_MAX - head.len()));
    head.into_bytes()
}

#[test]
fn what_is_no_request_is_answered_without_a_word_and_ends_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::of(Options {
        // Longer than anybody here waits: it is not silence that ends a connection.
        silence_max: 2 * PATIENCE,
        // One place: whoever is answered after it knows that it was given back.
        ..options(folder.path(), "[limits]\nconnections = 1")
    });
    server.set_up(2);
    let before = server.get("/v1/journal/head").body;
    let many = "a: b\r\n".repeat(101);
    let cases = [
        (400, with_secret("GET /v1/journal/head", "")),
        (400, with_secret("GET /v1/journal/head HTTP/9.9", "")),
        (400, with_secret("G@T /v1/journal/head HTTP/1.1", "")),
        (400, with_secret("GET /v1/\u{1} HTTP/1.1", "")),
        (
            400,
            with_secret("GET /v1/journal/head HTTP/1.1", "no colon\r\n"),
        ),
        (
            400,
            with_secret("GET /v1/journal/head HTTP/1.1", "odd\u{1}: x\r\n"),
        ),
        (
            400,
            with_secret(
                "POST /v1/ledger/transfers HTTP/1.1",
                "content-length: -1\r\n",
            ),
        ),
        (
            400,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        ),
        (431, with_secret("GET /v1/journal/head HTTP/1.1", &many)),
        (431, endless()),
    ];
    for (status, said) in &cases {
        let shown = String::from_utf8_lossy(&said[..said.len().min(200)]).into_owned();
        let heard = exchange(server.address, said);
        let (head, body) = heard.split_once("\r\n\r\n").expect(&shown);
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap();
        assert!(
            first.starts_with(&format!("HTTP/1.1 {status} ")),
            "{shown}: {first}"
        );
        let mut headers: Vec<_> = lines.filter(|line| !line.starts_with("date: ")).collect();
        headers.sort_unstable();
        assert_eq!(
            headers,
            ["connection: close", "content-length: 0"],
            "{shown}"
        );
        assert_eq!(body, "", "nothing behind it is answered: {shown}");
        let well = try_call(server.address, "GET", "/livez", &[], b"").unwrap();
        assert_eq!(well.status, 200);
    }
    // A greeting of HTTP/2 is not answered.
    let heard = exchange(server.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(heard, "");
    assert_eq!(server.get("/v1/journal/head").body, before);
    let paid = server.send("k", serde_json::json!([pay(1, 1, 2, 5)]));
    assert_eq!(paid.results(), ["ok"]);
    server.stop().unwrap();
}

#[test]
fn the_longest_head_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let long = "x".repeat(HEAD_BYTES_MAX - 200);
    let reply = try_call(server.address, "GET", "/livez", &[("long", &long)], b"").unwrap();
    assert_eq!(reply.status, 200);
    server.stop().unwrap();
}
