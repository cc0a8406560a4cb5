//! Bodies and addresses that cannot be read: a problem each, and nothing is decided.

use serde_json::json;

use crate::client::{Reply, try_call};
use crate::server::{Server, TRANSFERS, WRITER, pay};

fn send(server: &Server, key: &str, media_type: &str, body: &[u8]) -> Reply {
    let bearer = format!("Bearer {WRITER}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", key),
        ("content-type", media_type),
    ];
    try_call(server.address, "POST", TRANSFERS, &headers, body).unwrap()
}

#[test]
fn a_body_that_cannot_be_read_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    let before = server.get("/v1/journal/head").body;
    let good = pay(1, 1, 2, 5);
    let with = |field: &str, value: serde_json::Value| {
        let mut transfer = good.clone();
        transfer[field] = value;
        json!({ "transfers": [transfer] }).to_string()
    };
    let without_amount = |flags: &[&str]| {
        let transfer = json!({ "id": "2", "pending_id": "1", "flags": flags });
        json!({ "transfers": [transfer] }).to_string()
    };
    let many = json!({ "transfers": vec![json!({ "id": "1" }); 8_191] }).to_string();
    let bodies = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "[".repeat(100_000),
        json!({ "transfers": [] }).to_string(),
        json!({ "transfers": {} }).to_string(),
        json!({ "transfers": [good], "more": 1 }).to_string(),
        json!({ "transfers": [{}] }).to_string(),
        // Values without their names.
        json!([[["1", "1", "2", "5", "0", 764, 1]]]).to_string(),
        json!([[good]]).to_string(),
        json!({ "transfers": [["1", "1", "2", "5", "0", 764, 1]] }).to_string(),
        with("amonut", json!("5")),
        with("amount", json!(5)),
        with("amount", json!(null)),
        without_amount(&[]),
        without_amount(&["pending"]),
        // The whole hold would be given back, and nobody paid.
        without_amount(&["post_pending_transfer"]),
        with("amount", json!(-5)),
        with("amount", json!(5.0)),
        with("amount", json!("")),
        with("amount", json!("05")),
        with("amount", json!("+5")),
        with("amount", json!("-5")),
        with("amount", json!(" 5")),
        with("amount", json!("5e3")),
        with("amount", json!("๕")),
        with("amount", json!("340282366920938463463374607431768211456")),
        with("code", json!(65_536)),
        with("flags", json!(["expired"])),
        with("flags", json!(vec!["linked"; 9])),
        r#"{"transfers":[{"id":"1","id":"2"}]}"#.to_owned(),
        many,
    ];
    for (n, body) in bodies.iter().enumerate() {
        let reply = send(
            &server,
            &format!("bad-{n}"),
            "application/json",
            body.as_bytes(),
        );
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (400, "malformed-request"),
            "{n}: {:.80}",
            body
        );
    }
    let long = with(&"x".repeat(1_000_000), json!(1));
    let reply = send(&server, "long", "application/json", long.as_bytes());
    assert_eq!(reply.problem(), "malformed-request");
    assert!(reply.body.len() < 1_000, "{}", reply.body.len());
    let not_text = send(&server, "bytes", "application/json", &[0xff, 0xfe, 0x00]);
    assert_eq!(not_text.problem(), "malformed-request");
    let body = json!({ "transfers": [good] }).to_string();
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
    ] {
        let reply = send(&server, "type", media_type, body.as_bytes());
        assert_eq!((reply.status, reply.problem().as_str()), (415, "not-json"));
    }
    let large = " ".repeat(5 * 1024 * 1024 + 1);
    let reply = send(&server, "large", "application/json", large.as_bytes());
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (413, "body-too-large")
    );
    assert_eq!(server.get("/v1/journal/head").body, before);
    server.stop().unwrap();
}

#[test]
fn an_address_that_cannot_be_read_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(1);
    for path in [
        "/v1/ledger/accounts/x",
        "/v1/ledger/accounts/01",
        "/v1/ledger/accounts/-1",
        "/v1/ledger/accounts/%ff",
        "/v1/ledger/accounts/340282366920938463463374607431768211456",
        "/v1/ledger/transfers/1.0",
        "/v1/ledger/accounts/1/lines?limit=0",
        "/v1/ledger/accounts/1/lines?limit=1001",
        "/v1/ledger/accounts/1/lines?limit=1&limit=2",
        "/v1/ledger/accounts/1/lines?after=1",
        "/v1/ledger/accounts/1/lines?after=1-65536",
        "/v1/ledger/accounts/1/lines?after=18446744073709551615-0",
        "/v1/ledger/accounts/1/lines?before=1-0",
        "/v1/ledger/accounts/1/lines?limit",
        "/v1/ledger/accounts/1/lines?order=latest",
        "/v1/ledger/accounts/1/lines?from=yesterday",
        "/v1/ledger/accounts/1/lines?from=-1",
        // Seconds, a day without hyphens, and the last that is taken for a slip.
        "/v1/ledger/accounts/1/lines?from=1795737600",
        "/v1/ledger/accounts/1/lines?to=20261127",
        "/v1/ledger/accounts/1/lines?to=99999999999",
        "/v1/ledger/accounts/1/lines?from=9223372036854775808",
        "/v1/ledger/accounts/1/lines?from=1969-12-31T23:59:59Z",
        "/v1/ledger/accounts/1/lines?to=2026-11-27",
        "/v1/ledger/accounts/1/lines?to=2026-11-27T00%3A00%3AZ",
        "/v1/ledger/accounts/1/lines?to=2026-11-27T00%3A00%3A00%",
        "/v1/ledger/accounts/1/lines?to=%ff",
        "/v1/ledger/accounts/1/lines?to=1&to=2",
        "/v1/ledger/accounts/1/lines?from=200000000000&to=100000000000",
        "/v1/ledger/accounts?after=x",
        "/v1/ledger/accounts?limit=1001",
        "/v1/ledger/accounts?ledger=764",
        "/v1/ledger/assets?after=-1",
        "/v1/ledger/assets/x",
        "/v1/ledger/assets/4294967296",
        "/v1/books/payouts/1",
        "/v1/books/payouts?limit=101",
        "/v1/books/payouts?after=1",
        "/v1/books/reconciliations/1",
        "/v1/books/reconciliations?after=1",
    ] {
        let reply = server.get(path);
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (400, "malformed-request"),
            "{path}"
        );
    }
    // Behind everything there is nothing.
    let behind = server.get("/v1/ledger/accounts/1/lines?after=18446744073709551614-65535");
    assert_eq!(behind.json(), json!({ "lines": [], "next": null }));
    server.stop().unwrap();
}

#[test]
fn the_largest_batch_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    let all: Vec<_> = (1..=8_190).map(|id| pay(id, 1, 2, 1)).collect();
    let results = server.send("largest", json!(all)).results();
    assert_eq!(results.len(), 8_190);
    assert!(results.iter().all(|result| result == "ok"));
    assert_eq!(server.balance(2, "credits_posted"), "8190");
    server.stop().unwrap();
}
