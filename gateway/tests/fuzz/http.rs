//! Requests, and bodies of them, to a server over TCP: each gets an answer that is no fault of
//! the server's, and the books stay in balance.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::json;

use crate::client::try_call;
use crate::fuzzing::fuzz;
use crate::server::{ADMIN, Server, pay, set_up};

const ROUTES: [&str; 3] = [
    "/v1/ledger/transfers",
    "/v1/ledger/accounts",
    "/v1/ledger/assets",
];

/// A server with a few accounts, on a folder that goes with it.
struct World {
    server: Server,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with(folder.path(), "limits.requests_per_minute = 100000000");
    set_up(server.address, 4);
    World {
        server,
        _folder: folder,
    }
}

fuzz!(fuzz_http_body, 400, {
    let world = world();
    (bodies(), move |input: &[u8]| body(&world, input))
});

fn bodies() -> Vec<Vec<u8>> {
    let account = json!({ "id": "9", "ledger": 764, "code": 1, "flags": ["history"] });
    let asset = json!({ "ledger": 840, "scale": 2, "symbol": "USD" });
    let hold = json!({ "id": "7", "debit_account_id": "1", "credit_account_id": "2",
        "amount": "10", "ledger": 764, "code": 1, "flags": ["pending", "linked"], "timeout": 60 });
    [
        json!({ "transfers": [pay(5, 1, 2, 100), pay(6, 2, 3, 1)] }),
        json!({ "transfers": [hold, pay(8, 1, 2, 1)] }),
        json!({ "accounts": [account] }),
        json!({ "assets": [asset] }),
    ]
    .iter()
    .map(|body| body.to_string().into_bytes())
    .collect()
}

fn body(world: &World, input: &[u8]) {
    let bearer = format!("Bearer {ADMIN}");
    let key = format!("\"{}\"", blake3::hash(input).to_hex());
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", &key),
        ("content-type", "application/json"),
    ];
    for route in ROUTES {
        let reply = try_call(world.server.address, "POST", route, &headers, input).unwrap();
        match reply.status {
            200 => assert!(reply.json()["results"].is_array()),
            400 | 409 | 413 | 422 => assert!(!reply.problem().is_empty()),
            other => panic!("{route}: {other}: {}", reply.body),
        }
    }
}

fuzz!(fuzz_http_request, 400, {
    let world = world();
    (requests(), move |input: &[u8]| request(&world, input))
});

fn requests() -> Vec<Vec<u8>> {
    let headers = format!("host: a\r\nauthorization: Bearer {ADMIN}\r\n");
    [
        format!("GET /readyz HTTP/1.1\r\n{headers}\r\n"),
        format!("GET /v1/ledger/accounts/1/lines?limit=2&cursor=x HTTP/1.1\r\n{headers}\r\n"),
        format!("GET /ledger HTTP/1.0\r\n{headers}\r\nGET /livez HTTP/1.1\r\n\r\n"),
        format!(
            "POST /v1/ledger/transfers HTTP/1.1\r\n{headers}idempotency-key: \"a\"\r\n\
             content-type: application/json\r\ncontent-length: 16\r\n\r\n{{\"transfers\":[]}}"
        ),
        format!(
            "POST /v1/ledger/transfers HTTP/1.1\r\n{headers}idempotency-key: \"b\"\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        ),
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// Whatever comes, the server ends the connection by itself once no more is sent, says nothing
/// of a fault, and serves the next one.
fn request(world: &World, input: &[u8]) {
    let mut stream = TcpStream::connect(world.server.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    // It may have closed the way already, over what it saw first.
    let _ = stream.write_all(input);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // Bytes that it did not read may reset the connection.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    let said = String::from_utf8_lossy(&answer);
    assert!(!said.contains("HTTP/1.1 500"), "{said}");
    let alive = try_call(world.server.address, "GET", "/livez", &[], b"").unwrap();
    assert_eq!(alive.status, 200);
}
