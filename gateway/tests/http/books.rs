//! Accounts, transfers, lines and the page: what is written is what is read.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand, Transfer, transfer};
use khlong_gateway::http::limits::{LINE_JSON_BYTES, LINES_MAX};
use khlong_gateway::kernel::Command;
use serde_json::{Value, json};

use crate::server::{ADMIN, Server, WRITER, pay, try_post};
use crate::until::until;

#[test]
fn sixty_four_clients_spend_one_balance_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(3);
    assert_eq!(
        server.send("fund", json!([pay(1, 1, 2, 40)])).results(),
        ["ok"]
    );
    let address = server.address;
    let clients: Vec<_> = (0..64_u64)
        .map(|n| {
            std::thread::spawn(move || {
                let body = json!({ "transfers": [pay(100 + n, 2, 3, 1)] });
                let key = format!("client {n}");
                let reply = try_post(address, "/v1/ledger/transfers", WRITER, &key, &body).unwrap();
                reply.results().remove(0)
            })
        })
        .collect();
    let mut results: BTreeMap<String, u32> = BTreeMap::new();
    for client in clients {
        *results.entry(client.join().unwrap()).or_default() += 1;
    }
    let expected = [("ok", 40), ("exceeds_credits", 24)];
    assert_eq!(
        results,
        expected.map(|(name, n)| (name.to_owned(), n)).into()
    );
    assert_eq!(server.balance(2, "debits_posted"), "40");
    assert_eq!(server.balance(3, "credits_posted"), "40");
    server.stop().unwrap();
}

#[test]
fn a_read_sees_what_was_asked_before_it_also_in_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    let held = server.hold_driver();
    let asked = Transfer {
        id: 1,
        debit_account_id: 1,
        credit_account_id: 2,
        amount: 5,
        ledger: 764,
        code: 1,
        ..Transfer::default()
    };
    let handle = server.handle.clone();
    let mut write = pin!(handle.write(Command {
        caller: b"test".to_vec(),
        scope: b"test".to_vec(),
        key: b"k".to_vec(),
        admitted_at: UnixMillis(0),
        domain: LEDGER_DOMAIN,
        body: LedgerCommand::CreateTransfers(vec![asked]).encode(),
    }));
    // Once is enough to put it into the queue, where the driver finds both.
    let polled = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    let read = server
        .handle
        .begin_read(|committed| transfer(committed.store, 1).unwrap())
        .unwrap();
    held.let_go();
    assert_eq!(read.blocking_recv().unwrap().unwrap().0, asked);
    // And the answer is out before the read.
    let polled = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(_))), "{polled:?}");
    server.stop().unwrap();
}

#[test]
fn holds_are_posted_voided_and_expire() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with(folder.path(), "[limits]\nrequests_per_minute = 1000000");
    server.set_up(2);
    let hold = |id: u64, timeout: u32| {
        let mut hold = pay(id, 1, 2, 100);
        hold["flags"] = json!(["pending"]);
        hold["timeout"] = json!(timeout);
        hold
    };
    let settle = |id: u64, pending: u64, flag: &str, amount: &str| json!({ "id": id.to_string(), "pending_id": pending.to_string(), "amount": amount, "flags": [flag] });
    let held = server.send("hold", json!([hold(1, 0), hold(2, 0), hold(3, 1)]));
    assert_eq!(held.results(), ["ok", "ok", "ok"]);
    let settled = json!([
        settle(4, 1, "post_pending_transfer", "60"),
        { "id": "5", "pending_id": "2", "flags": ["void_pending_transfer"] },
        settle(6, 2, "void_pending_transfer", "0"),
    ]);
    let results = server.send("settle", settled).results();
    assert_eq!(results[..2], ["ok", "ok"]);
    assert_ne!(results[2], "ok");
    // The driver lets the third one expire by itself, a second after it was made.
    until("the hold expires", || {
        server.get("/v1/ledger/transfers/3").json()["state"] == "expired"
    });
    let states = [1, 2, 4].map(|id| {
        let reply = server.get(&format!("/v1/ledger/transfers/{id}"));
        reply.json()["state"].as_str().unwrap().to_owned()
    });
    assert_eq!(states, ["posted", "voided", "final"]);
    assert_eq!(server.balance(2, "credits_posted"), "60");
    assert_eq!(server.balance(2, "credits_pending"), "0");
    let lines = server.get("/v1/ledger/accounts/2/lines").json();
    let expiries = lines["lines"].as_array().unwrap().iter();
    assert_eq!(expiries.filter(|line| line["expiry"] == true).count(), 1);
    server.stop().unwrap();
}

#[test]
fn an_account_is_read_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    let all: Vec<Value> = (1..=25).map(|id| pay(id, 1, 2, id)).collect();
    server.send("some", json!(all[..10]));
    server.send("more", json!(all[10..]));
    let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = server
            .get(&format!("/v1/ledger/accounts/2/lines?limit=7{after}"))
            .json();
        pages += 1;
        for line in page["lines"].as_array().unwrap() {
            seen.push(
                line["transfer"]["amount"]
                    .as_str()
                    .unwrap()
                    .parse::<u64>()
                    .unwrap(),
            );
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!((seen, pages), ((1..=25).collect(), 4));
    server.stop().unwrap();
}

#[test]
fn the_largest_amount_and_id_come_back_digit_by_digit() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    let (id, amount) = (
        "340282366920938463463374607431768211454",
        "340282366920938463463374607431768211454",
    );
    let mut large = pay(1, 1, 2, 0);
    large["id"] = json!(id);
    large["amount"] = json!(amount);
    large["user_data_64"] = json!("18446744073709551615");
    large["user_data_128"] = json!(amount);
    assert_eq!(server.send("large", json!([large])).results(), ["ok"]);
    let read = server.get(&format!("/v1/ledger/transfers/{id}")).json();
    for field in ["id", "amount", "user_data_128"] {
        assert_eq!(read["transfer"][field], amount);
    }
    assert_eq!(read["transfer"]["user_data_64"], "18446744073709551615");
    server.stop().unwrap();
}

#[test]
fn the_page_shows_the_books_and_the_head_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(2);
    let mut hold = pay(2, 1, 2, 25);
    hold["flags"] = json!(["pending"]);
    server.send("some", json!([pay(1, 1, 2, 123_450), hold]));
    let page = server.get("/ledger");
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.headers["content-security-policy"].starts_with("default-src 'none'"));
    assert!(!page.body.contains("<script"));
    let row = "<tr><td>THB (764)</td><td>2</td><td>1234.50</td><td>1234.50</td><td>0.25</td><td>0.00</td></tr>";
    assert!(page.body.contains(row), "{}", page.body);
    let head = server.get("/v1/journal/head").json();
    assert_eq!(head["entry"], 3);
    assert!(page.body.contains(head["hash"].as_str().unwrap()));
    server.stop().unwrap();
}

/// One command may hold more than a page: its lines come in pages that have a bound in bytes.
#[test]
fn the_lines_of_the_largest_command_come_in_pages() {
    const LINES_BYTES_MAX: usize = LINES_MAX * LINE_JSON_BYTES;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let account = u128::MAX - 1;
    let accounts =
        [account, account - 1].map(|id| json!({ "id": id.to_string(), "ledger": 764, "code": 1 }));
    let assets = json!({ "assets": [{ "ledger": 764, "scale": 2, "symbol": "THB" }] });
    server.post("/v1/ledger/assets", ADMIN, "asset", &assets);
    let body = json!({ "accounts": accounts });
    let made = server.post("/v1/ledger/accounts", WRITER, "accounts", &body);
    assert_eq!(made.results(), ["ok", "ok"]);
    // Every field is as long as it may be.
    let ids: Vec<u128> = (0..8_190).map(|n| u128::MAX - 10_000 + n).collect();
    let largest = |id: &u128| {
        json!({
            "id": id.to_string(),
            "debit_account_id": account.to_string(),
            "credit_account_id": (account - 1).to_string(),
            "amount": (u128::MAX / 8_190).to_string(),
            "ledger": 764,
            "code": u16::MAX,
            "flags": ["pending"],
            "timeout": 1_000_000_000,
            "user_data_128": u128::MAX.to_string(),
            "user_data_64": u64::MAX.to_string(),
            "user_data_32": u32::MAX,
        })
    };
    let all: Vec<_> = ids.iter().map(largest).collect();
    let sent = server.send("largest", json!(all)).results();
    assert!(sent.len() == ids.len() && sent.iter().all(|result| result == "ok"));
    let (mut told, mut after, mut sizes) = (Vec::new(), String::new(), Vec::new());
    loop {
        let path = format!("/v1/ledger/accounts/{account}/lines?limit={LINES_MAX}{after}");
        let reply = server.get(&path);
        let page = reply.json();
        sizes.push(reply.body.len());
        for line in page["lines"].as_array().unwrap() {
            told.push(
                line["transfer"]["id"]
                    .as_str()
                    .unwrap()
                    .parse::<u128>()
                    .unwrap(),
            );
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(told, ids, "each once, in their order");
    assert_eq!(sizes.len(), 9);
    assert!(
        sizes.iter().all(|size| *size <= LINES_BYTES_MAX),
        "{sizes:?}"
    );
    assert!(
        sizes[0] > LINES_BYTES_MAX / 2,
        "a bound far from any page says nothing: {sizes:?}"
    );
    server.stop().unwrap();
}
