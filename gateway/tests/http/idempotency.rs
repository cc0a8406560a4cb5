//! Idempotency keys: one key, one request, one answer.

use std::sync::mpsc;
use std::time::Duration;

use khlong_gateway::app::Options;
use serde_json::json;

use crate::client::try_call;
use crate::server::{OTHER, Server, TRANSFERS, WRITER, options, pay, try_post};

#[test]
fn a_retry_gets_the_same_bytes_and_moves_nothing_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    // One goes through, one does not.
    let batch = json!([pay(1, 1, 2, 500), pay(2, 2, 1, 9_999)]);
    let first = server.send("order 1", batch.clone());
    assert_eq!(first.results(), ["ok", "exceeds_credits"]);
    let again = server.send("order 1", batch.clone());
    assert_eq!((again.status, &again.body), (200, &first.body));
    let head = server.get("/v1/journal/head").body;
    server.stop().unwrap();

    let server = Server::start(folder.path());
    let again = server.send("order 1", batch);
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(
        server.get("/v1/journal/head").body,
        head,
        "no entry was added"
    );
    assert_eq!(server.balance(2, "credits_posted"), "500");
    server.stop().unwrap();
}

#[test]
fn a_key_without_quotes_and_other_blanks_are_the_same_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    let first = server.send("order-1", json!([pay(1, 1, 2, 500)]));
    let text = serde_json::to_string_pretty(&json!({ "transfers": [pay(1, 1, 2, 500)] })).unwrap();
    let bearer = format!("Bearer {WRITER}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", "order-1"),
        ("content-type", "application/json; charset=utf-8"),
    ];
    let again = try_call(server.address, "POST", TRANSFERS, &headers, text.as_bytes()).unwrap();
    assert_eq!(again.body, first.body);
    server.stop().unwrap();
}

#[test]
fn a_key_is_needed_and_stands_for_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    let bearer = format!("Bearer {WRITER}");
    let body = json!({ "transfers": [pay(1, 1, 2, 500)] }).to_string();
    let call = |keys: &[&str]| {
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        headers.extend(keys.iter().map(|key| ("idempotency-key", *key)));
        try_call(server.address, "POST", TRANSFERS, &headers, body.as_bytes()).unwrap()
    };
    let missing = call(&[]);
    assert_eq!(
        (missing.status, missing.problem().as_str()),
        (400, "idempotency-key-missing")
    );
    let long = format!("\"{}\"", "a".repeat(256));
    for keys in [
        &["\"\""][..],
        &["\"open"],
        &["a b"],
        &[&long],
        &["\"a\\b\""],
        &["a", "b"],
    ] {
        let reply = call(keys);
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (400, "idempotency-key-malformed"),
            "{keys:?}"
        );
    }
    // Nothing of all that was decided.
    assert_eq!(
        server.send("k", json!([pay(1, 1, 2, 500)])).results(),
        ["ok"]
    );
    let reused = server.send("k", json!([pay(1, 1, 2, 501)]));
    assert_eq!(
        (reused.status, reused.problem().as_str()),
        (422, "idempotency-key-reused")
    );
    server.stop().unwrap();
}

#[test]
fn keys_of_callers_and_routes_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    // `set up` is a key of the administrator and of the shop, for two routes.
    server.set_up(2);
    let mine = server.send("set up", json!([pay(1, 1, 2, 500)]));
    let body = json!({ "transfers": [pay(2, 1, 2, 7)] });
    let others = server.post(TRANSFERS, OTHER, "set up", &body);
    assert_eq!(
        (mine.results(), others.results()),
        (vec!["ok".to_owned()], vec!["ok".to_owned()])
    );
    assert_eq!(server.balance(2, "credits_posted"), "507");
    server.stop().unwrap();
}

#[test]
fn the_same_key_at_the_same_time_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    // What is asked meanwhile stays undecided.
    let held = server.hold_driver();
    let (tell, told) = mpsc::sync_channel(64);
    for _ in 0..2 {
        let (tell, address) = (tell.clone(), server.address);
        std::thread::spawn(move || {
            let body = json!({ "transfers": [pay(1, 1, 2, 500)] });
            let reply = try_post(address, TRANSFERS, WRITER, "twice", &body).unwrap();
            tell.send(reply).unwrap();
        });
    }
    let conflict = told.recv().unwrap();
    assert_eq!(
        (conflict.status, conflict.problem().as_str()),
        (409, "idempotency-key-under-way")
    );
    held.let_go();
    let answered = told.recv().unwrap();
    assert_eq!(answered.results(), ["ok"]);
    let again = server.send("twice", json!([pay(1, 1, 2, 500)]));
    assert_eq!(again.body, answered.body);
    server.stop().unwrap();
}

#[test]
fn a_key_is_forgotten_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    let sent = server.send("k", json!([pay(1, 1, 2, 5)]));
    assert_eq!(sent.results(), ["ok"]);
    server.stop().unwrap();
    // Within the time that is configured it is known, also after a restart.
    let server = Server::start(folder.path());
    assert_eq!(server.send("k", json!([pay(2, 1, 2, 5)])).status, 422);
    server.stop().unwrap();
    let options = Options {
        keep_keys: Duration::ZERO,
        ..options(folder.path(), "")
    };
    let server = Server::of(options);
    assert_eq!(server.send("k", json!([pay(2, 1, 2, 5)])).results(), ["ok"]);
    server.stop().unwrap();
}
