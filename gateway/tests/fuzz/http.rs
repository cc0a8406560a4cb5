//! Requests, and bodies of them, to a server over TCP: each gets an answer that is no fault of
//! the server's, and the books stay in balance.

use khlong_gateway::domains::all;
use khlong_gateway::domains::books::Day;
use khlong_gateway::domains::ledger::totals;
use khlong_gateway::kernel::{Kernel, Logic};
use khlong_store::engine::memory::MemoryDisk;
use serde_json::{Value, json};

use crate::client::{Reply, try_call};
use crate::fixture::{JOURNAL, store};
use crate::fuzzing::{Seeds, fuzz};
use crate::request::answer_to;
use crate::server::{ADMIN, Server, TRANSFERS, options, pay, set_up, wall};
use crate::until::until;

const ACCOUNTS: &str = "/v1/ledger/accounts";
const ASSETS: &str = "/v1/ledger/assets";
const RECONCILIATIONS: &str = "/v1/books/reconciliations";
const PAYOUTS: &str = "/v1/books/payouts";

/// Each with the member that its answer has if it takes a body.
const ROUTES: [(&str, &str); 5] = [
    (TRANSFERS, "results"),
    (ACCOUNTS, "results"),
    (ASSETS, "results"),
    (RECONCILIATIONS, "differences"),
    (PAYOUTS, "file"),
];

/// 27 November 2026: the day that is closed.
const CLOSED: Day = Day(20_784);

const HOUR: i64 = 3_600_000;

/// A server with a few accounts.
struct World {
    server: Server,
    /// The batch that waits for what the bank says.
    batch: String,
}

impl World {
    /// Where what the bank says goes.
    fn answers(&self) -> String {
        format!("{PAYOUTS}/{}/answers", self.batch)
    }
}

/// In the morning after a day that is closed. Hold 41 can be paid out; hold 42 is, and waits for what the bank says.
fn world() -> World {
    let disk = MemoryDisk::new();
    let server = at(&disk, CLOSED.start().0 + 12 * HOUR);
    set_up(server.address, 4);
    server.send("in", json!([pay(31, 1, 3, 100)]));
    server.stop().unwrap();
    let server = at(&disk, CLOSED.end().0 + 9 * HOUR);
    until("the day is closed", || {
        let told = server.get("/v1/books/closes").json();
        told["due"].is_null() && told["closes"][0]["day"] == CLOSED.to_string()
    });
    let hold = |id: u64| {
        let mut hold = pay(id, 1, 2, 100);
        hold["flags"] = json!(["pending"]);
        hold
    };
    server.send("holds", json!([hold(41), hold(42)]));
    let sent = server.post(PAYOUTS, ADMIN, "42", &payouts(42));
    let batch = sent.json()["batch"].as_str().unwrap().to_owned();
    World { server, batch }
}

/// A server whose clock stands at that moment.
fn at(disk: &MemoryDisk, millis: i64) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), "limits.requests_per_minute = 100000000");
    let disk = disk.clone();
    let open =
        Box::new(move || Ok(Kernel::open(store(&disk), all(), Logic::CURRENT, JOURNAL).unwrap()));
    let server = Server::with_clock(options, open, wall(move || millis));
    server.wait();
    server
}

fn payouts(hold: u64) -> Value {
    json!({
        "clearing_account_id": "2",
        "created_at": "2026-11-28T09:00:00+07:00",
        "execution": "2026-11-29",
        "format": "pain001",
        "debtor": { "name": "Khlong", "account": "9876543210", "bank": "KASITHBK" },
        "creditors": [{ "transfer_id": hold.to_string(), "name": "ร้าน", "account": "1",
            "bank": "004", "remittance": "Sales" }],
    })
}

fuzz!(fuzz_http_body, 400, {
    let world = world();
    (taken(&world), move |input: &[u8]| body(&world, input))
});

/// Bodies which their routes take: what is made of them gets behind the first look.
fn taken(world: &World) -> Vec<Vec<u8>> {
    let taken = bodies(world).map(|(route, body)| {
        let body = body.to_string().into_bytes();
        let reply = post(world, &route, &body);
        assert_eq!(reply.status, 200, "{route}: {reply:?}");
        body
    });
    taken.to_vec()
}

/// Each with its route.
fn bodies(world: &World) -> [(String, Value); 9] {
    let account = json!({ "id": "9", "ledger": 764, "code": 1, "flags": ["history"] });
    let asset = json!({ "ledger": 840, "scale": 2, "symbol": "USD" });
    let day = CLOSED.to_string();
    let file = format!("date,time,amount,reference,direction\n{day},13:00,1.00,\"a, b\",in\n");
    let answers = world.answers();
    let answers = answers.as_str();
    [
        (
            TRANSFERS,
            json!({ "transfers": [pay(5, 1, 2, 100), pay(6, 2, 3, 1)] }),
        ),
        (TRANSFERS, chain()),
        (ACCOUNTS, json!({ "accounts": [account] })),
        (ASSETS, json!({ "assets": [asset] })),
        (
            RECONCILIATIONS,
            json!({ "account_id": "1", "from": day, "to": day, "file": file }),
        ),
        (PAYOUTS, payouts(41)),
        (answers, json!({ "report": report(&world.batch) })),
        (answers, json!({ "paid": ["42"] })),
        (answers, json!({ "paid": ["42"], "returned": ["7"] })),
    ]
    .map(|(route, body)| (route.to_owned(), body))
}

/// A hold and a payment, both or neither.
fn chain() -> Value {
    let hold = json!({ "id": "7", "debit_account_id": "1", "credit_account_id": "2",
        "amount": "10", "ledger": 764, "code": 1, "flags": ["pending", "linked"], "timeout": 60 });
    json!({ "transfers": [hold, pay(8, 1, 2, 1)] })
}

/// Of a bank that waits.
fn report(batch: &str) -> String {
    let payment = format!(
        "<TxInfAndSts><OrgnlEndToEndId>{:032x}</OrgnlEndToEndId><TxSts>ACSP</TxSts></TxInfAndSts>",
        42
    );
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{batch}</OrgnlMsgId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts>{payment}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
    )
}

/// The same body has the same key.
fn post(world: &World, route: &str, body: &[u8]) -> Reply {
    let bearer = format!("Bearer {ADMIN}");
    let key = format!("\"{}\"", blake3::hash(body).to_hex());
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", &key),
        ("content-type", "application/json"),
    ];
    try_call(world.server.address, "POST", route, &headers, body).unwrap()
}

/// Debits and credits of each asset are the same, held and posted, in all that is durable.
fn assert_balanced(world: &World) {
    let read = world.server.handle.begin_read(|it| totals(it.store));
    let totals = read.unwrap().blocking_recv().unwrap().unwrap();
    // Somebody was paid before the first input.
    assert!(totals[&764].credits_posted.low > 0);
    for (asset, totals) in totals {
        assert!(totals.is_balanced(), "asset {asset}: {totals:?}");
    }
}

/// Whether a route takes it.
fn body(world: &World, input: &[u8]) -> bool {
    let mut is_taken = false;
    let answers = world.answers();
    let answers = [(answers.as_str(), "waiting")];
    for (route, member) in ROUTES.iter().chain(&answers) {
        let reply = post(world, route, input);
        match reply.status {
            200 => {
                assert!(!reply.json()[member].is_null(), "{route}: {}", reply.body);
                is_taken = true;
            }
            400 | 404 | 409 | 413 | 422 => assert!(!reply.problem().is_empty()),
            other => panic!("{route}: {other}: {}", reply.body),
        }
    }
    assert_balanced(world);
    is_taken
}

fuzz!(fuzz_http_request, 400, {
    let world = world();
    (requests(), move |input: &[u8]| request(&world, input))
});

/// Requests that are answered with what was asked for, and one with a cursor that is none.
fn requests() -> Seeds {
    let headers = format!("host: a\r\nconnection: close\r\nauthorization: Bearer {ADMIN}\r\n");
    let transfers = json!({ "transfers": [pay(61, 1, 2, 1)] }).to_string();
    let chain = chain().to_string();
    let genuine = [
        format!("GET /readyz HTTP/1.1\r\n{headers}\r\n"),
        format!("GET /v1/ledger/accounts/1/lines?limit=2 HTTP/1.1\r\n{headers}\r\n"),
        format!("GET /ledger HTTP/1.0\r\n{headers}\r\nGET /livez HTTP/1.1\r\n\r\n"),
        format!(
            "POST /v1/ledger/transfers HTTP/1.1\r\n{headers}idempotency-key: \"a\"\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{transfers}",
            transfers.len()
        ),
        format!(
            "POST /v1/ledger/transfers HTTP/1.1\r\n{headers}idempotency-key: \"c\"\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{chain}",
            chain.len()
        ),
        format!(
            "POST /v1/ledger/transfers HTTP/1.1\r\n{headers}idempotency-key: \"b\"\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
             {:x}\r\n{transfers}\r\n0\r\n\r\n",
            transfers.len()
        ),
    ];
    let other =
        format!("GET /v1/ledger/accounts/1/lines?limit=2&cursor=x HTTP/1.1\r\n{headers}\r\n");
    Seeds::and(
        genuine.map(String::into_bytes).to_vec(),
        vec![other.into_bytes()],
    )
}

/// Whatever comes, the server ends the connection by itself once no more is sent, says nothing
/// of a fault, and serves the next one; the books stay in balance.
fn request(world: &World, input: &[u8]) -> bool {
    let answer = answer_to(world.server.address, input);
    let said = String::from_utf8_lossy(&answer);
    assert!(!said.contains("HTTP/1.1 500"), "{said}");
    let alive = try_call(world.server.address, "GET", "/livez", &[], b"").unwrap();
    assert_eq!(alive.status, 200);
    assert_balanced(world);
    said.starts_with("HTTP/1.") && said.contains(" 200 OK\r\n")
}
