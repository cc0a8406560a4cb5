//! Requests, and bodies of them, to a server over TCP: each gets an answer that is no fault of
//! the server's, and the books stay in balance.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::Day;
use serde_json::{Value, json};

use crate::client::try_call;
use crate::fuzzing::fuzz;
use crate::server::{ADMIN, Server, pay, set_up};

/// Each with the member that its answer has if it takes a body.
const ROUTES: [(&str, &str); 5] = [
    ("/v1/ledger/transfers", "results"),
    ("/v1/ledger/accounts", "results"),
    ("/v1/ledger/assets", "results"),
    ("/v1/books/reconciliations", "differences"),
    (PAYOUTS, "file"),
];

const PAYOUTS: &str = "/v1/books/payouts";

/// A server with a few accounts, on a folder that goes with it.
struct World {
    server: Server,
    /// Where the answers to a batch go that is recorded.
    answers: String,
    _folder: tempfile::TempDir,
}

/// Hold 41 can be paid out; hold 42 is, and waits for what the bank says.
fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with(folder.path(), "limits.requests_per_minute = 100000000");
    set_up(server.address, 4);
    let hold = |id: u64| {
        let mut hold = pay(id, 1, 2, 100);
        hold["flags"] = json!(["pending"]);
        hold
    };
    server.send("holds", json!([hold(41), hold(42)]));
    let sent = server.post(PAYOUTS, ADMIN, "42", &payouts(42));
    let batch = sent.json()["batch"].as_str().unwrap().to_owned();
    World {
        server,
        answers: format!("{PAYOUTS}/{batch}/answers"),
        _folder: folder,
    }
}

fn today() -> Day {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Day::of(UnixMillis(i64::try_from(now.as_millis()).unwrap()))
}

fn payouts(hold: u64) -> Value {
    json!({
        "clearing_account_id": "2",
        "created_at": "2026-11-28T09:00:00+07:00",
        "execution": today().next().to_string(),
        "format": "pain001",
        "debtor": { "name": "Khlong", "account": "9876543210", "bank": "KASITHBK" },
        "creditors": [{ "transfer_id": hold.to_string(), "name": "ร้าน", "account": "1",
            "bank": "004", "remittance": "Sales" }],
    })
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
        json!({ "account_id": "1", "from": "2026-11-27", "to": "2026-11-27", "file":
            "date,time,amount,reference,direction\n2026-11-27,13:00,1.00,\"a, b\",in\n" }),
        payouts(41),
        json!({ "report": report() }),
        json!({ "paid": ["42"], "returned": ["41"] }),
    ]
    .iter()
    .map(|body| body.to_string().into_bytes())
    .collect()
}

/// Of a bank that waits.
fn report() -> String {
    let payment = format!(
        "<TxInfAndSts><OrgnlEndToEndId>{:032x}</OrgnlEndToEndId><TxSts>ACSP</TxSts></TxInfAndSts>",
        42
    );
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{:032x}</OrgnlMsgId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts>{payment}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>",
        7
    )
}

fn body(world: &World, input: &[u8]) {
    let bearer = format!("Bearer {ADMIN}");
    let key = format!("\"{}\"", blake3::hash(input).to_hex());
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", &key),
        ("content-type", "application/json"),
    ];
    let answers = [(world.answers.as_str(), "waiting")];
    for (route, member) in ROUTES.iter().chain(&answers) {
        let reply = try_call(world.server.address, "POST", route, &headers, input).unwrap();
        match reply.status {
            200 => assert!(!reply.json()[member].is_null(), "{route}: {}", reply.body),
            400 | 404 | 409 | 413 | 422 => assert!(!reply.problem().is_empty()),
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
