//! An operator compares with the bank what was booked.

use khlong_gateway::domains::books::Day;
use khlong_store::engine::memory::MemoryDisk;
use serde_json::{Value, json};

use crate::client::Reply;
use crate::days::{TODAY, Time, start};
use crate::server::{OPERATOR, Server, pay, set_up};
use crate::until::until;

pub(crate) const RECONCILIATIONS: &str = "/v1/books/reconciliations";

pub(crate) fn ask(server: &Server, path: &str, key: &str, body: &Value) -> Reply {
    server.post(path, OPERATOR, key, body)
}

pub(crate) fn refused(reply: &Reply, status: u16, problem: &str) {
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (status, problem),
        "{reply:?}"
    );
}

pub(crate) fn hex(id: u64) -> String {
    format!("{id:032x}")
}

/// Account 1 stands for the one at the bank; payments came in, and the day is closed.
pub(crate) fn banked(disk: &MemoryDisk) -> Server {
    let server = start(disk, &Time::at(TODAY.start().0 + 12 * 3_600_000));
    set_up(server.address, 5);
    let paid = [
        (31, 10_000),
        (32, 25_000),
        (33, 8_000),
        (34, 50_000),
        (35, 12_000),
    ];
    let all: Vec<Value> = paid
        .iter()
        .map(|(id, amount)| pay(*id, 1, 2, *amount))
        .collect();
    assert!(
        server
            .send("in", json!(all))
            .results()
            .iter()
            .all(|it| it == "ok")
    );
    let open = ask(&server, RECONCILIATIONS, "early", &compare(""));
    refused(&open, 409, "day-not-closed");
    server.stop().unwrap();
    on_the_next_day(disk)
}

pub(crate) fn on_the_next_day(disk: &MemoryDisk) -> Server {
    when_closed(disk, TODAY)
}

/// In the morning after `day`.
pub(crate) fn when_closed(disk: &MemoryDisk, day: Day) -> Server {
    let server = start(disk, &Time::at(day.end().0 + 9 * 3_600_000));
    until("the day is closed", || {
        server.get("/v1/books/closes").json()["due"].is_null()
    });
    server
}

pub(crate) fn compare(lines: &str) -> Value {
    json!({
        "account_id": "1",
        "from": TODAY.to_string(),
        "to": TODAY.to_string(),
        "file": format!("date,time,amount,reference,direction\n{lines}"),
    })
}

/// Two lines are right; one is missing, and one of each other fault is there.
pub(crate) fn bank_lines() -> String {
    let line = |amount: &str, reference: &str| format!("{TODAY},13:00,{amount},{reference},in\n");
    [
        line("100.00", &hex(31)),
        line("80.00", &hex(33)),
        line("80.00", &hex(33)),
        line("300.00", &hex(34)),
        line("200.00", &hex(34)),
        line("120.01", &hex(35)),
        line("42.00", "CASH"),
    ]
    .concat()
}

#[test]
fn a_banks_file_is_compared_and_recorded_and_moves_nothing() {
    let disk = MemoryDisk::new();
    let server = banked(&disk);
    let balances = |server: &Server| server.get("/v1/ledger/accounts/1").body;
    let before = balances(&server);
    let told = ask(&server, RECONCILIATIONS, "27 Nov", &compare(&bank_lines()));
    assert_eq!(told.status, 200, "{told:?}");
    let report = told.json();
    let mut kinds: Vec<_> = report["differences"].as_array().unwrap().iter().collect();
    kinds.sort_by_key(|it| it["kind"].as_str().unwrap().to_owned());
    let names: Vec<_> = kinds
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["duplicate", "extra", "missing", "one_satang", "split"]
    );
    assert_eq!(kinds[3]["ours"][0]["amount"], "12000");
    assert_eq!(kinds[3]["bank"][0]["amount"], "12001");
    assert_eq!(kinds[4]["bank"].as_array().unwrap().len(), 2);
    assert_eq!(kinds[2]["ours"][0]["transfer_id"], "32");
    assert_eq!(
        (&report["matched"], &report["entry"]),
        (&json!(2), &report["recorded"])
    );
    assert_eq!(balances(&server), before);
    let close = server.get(&format!("/v1/books/closes/{TODAY}")).json();
    assert_eq!(report["close"], close["close"]["hash"]);

    let page = server.get("/ledger").body;
    let last = format!("<p>Last close: {TODAY}, 5 records, hash <code>");
    let row = format!("<tr><td>1</td><td>{TODAY}</td><td>{TODAY}</td><td>2</td><td>5</td><td>");
    for part in [
        &last,
        "<p>Days that are due: none</p>",
        "<p>Open differences: 5</p>",
        &row,
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }

    // The same again: the same bytes, also after a restart. The same report under another key is
    // what was recorded first.
    let again = ask(&server, RECONCILIATIONS, "27 Nov", &compare(&bank_lines()));
    assert_eq!(again.body, told.body);
    server.stop().unwrap();
    let server = on_the_next_day(&disk);
    let again = ask(&server, RECONCILIATIONS, "27 Nov", &compare(&bank_lines()));
    assert_eq!((again.status, &again.body), (200, &told.body));
    let other_key = ask(&server, RECONCILIATIONS, "other", &compare(&bank_lines())).json();
    assert_eq!(other_key["recorded"], report["entry"]);
    assert_ne!(other_key["entry"], report["entry"]);
    let reused = ask(&server, RECONCILIATIONS, "27 Nov", &compare(""));
    refused(&reused, 422, "idempotency-key-reused");
    // A later comparison of the same day is the one that counts.
    let right = format!(
        "{TODAY},13:00,100.00,{},in\n{TODAY},13:00,250.00,{},in\n{TODAY},13:00,80.00,{},in\n{TODAY},13:00,500.00,{},in\n{TODAY},13:00,120.00,{},in\n",
        hex(31),
        hex(32),
        hex(33),
        hex(34),
        hex(35)
    );
    let told = ask(&server, RECONCILIATIONS, "right", &compare(&right)).json();
    assert_eq!(
        (&told["matched"], &told["differences"]),
        (&json!(5), &json!([]))
    );
    server.stop().unwrap();
    let server = on_the_next_day(&disk);
    assert!(
        server
            .get("/ledger")
            .body
            .contains("<p>Open differences: 0</p>")
    );
    server.stop().unwrap();
}

/// Differences of a day stay open when another day is compared, until that day is compared again.
#[test]
fn differences_are_open_until_each_of_their_days_is_compared_again() {
    let disk = MemoryDisk::new();
    banked(&disk).stop().unwrap();
    let (one, two) = (TODAY, TODAY.next());
    let compare = |from: Day, to: Day, lines: &str| {
        let mut body = compare(lines);
        (body["from"], body["to"]) = (json!(from.to_string()), json!(to.to_string()));
        body
    };
    let almost = [
        (31, "100.00"),
        (32, "250.00"),
        (33, "80.00"),
        (34, "500.00"),
    ]
    .map(|(id, amount)| format!("{TODAY},13:00,{amount},{},in\n", hex(id)))
    .concat();
    let extra = format!("{two},13:00,1.00,CASH,in\n");
    for (n, (body, open)) in [
        (compare(one, one, &bank_lines()), 5),
        (compare(two, two, ""), 5),
        (compare(two, two, &extra), 6),
        // The same as the first: it stands as it was recorded then.
        (compare(one, one, &bank_lines()), 6),
        (compare(one, one, &almost), 2),
        (compare(one, two, &almost), 1),
    ]
    .iter()
    .enumerate()
    {
        // Each start makes the page anew.
        let server = when_closed(&disk, two);
        let told = ask(&server, RECONCILIATIONS, &n.to_string(), body);
        assert_eq!(told.status, 200, "{told:?}");
        let page = server.get("/ledger").body;
        let part = format!("<p>Open differences: {open}</p>");
        assert!(page.contains(&part), "{n}: {page}");
        server.stop().unwrap();
    }
}

#[test]
fn what_cannot_be_compared_is_refused_and_not_journaled() {
    let disk = MemoryDisk::new();
    let server = banked(&disk);
    let head = server.get("/v1/journal/head").body;
    let with = |field: &str, value: Value| {
        let mut body = compare("");
        body[field] = value;
        body
    };
    let cases = [
        (
            compare("2026-11-27,1,2,3,4\n"),
            422,
            "reconciliation-refused",
        ),
        (
            compare("2026-11-26,13:00,1.00,x,in\n"),
            422,
            "reconciliation-refused",
        ),
        (
            with("to", json!(TODAY.next().to_string())),
            409,
            "day-not-closed",
        ),
        (
            with("from", json!(TODAY.next().to_string())),
            400,
            "malformed-request",
        ),
        (with("from", json!("2569-11-27")), 400, "malformed-request"),
        (with("from", json!("27/11/2026")), 400, "malformed-request"),
        (with("account_id", json!("99")), 404, "not-found"),
        (with("more", json!(1)), 400, "malformed-request"),
    ];
    for (n, (body, status, problem)) in cases.iter().enumerate() {
        let reply = ask(&server, RECONCILIATIONS, &format!("odd {n}"), body);
        if *problem == "reconciliation-refused" && n == 0 {
            assert!(
                reply.json()["detail"].as_str().unwrap().contains("line 2"),
                "{reply:?}"
            );
        }
        refused(&reply, *status, problem);
    }
    assert_eq!(server.get("/v1/journal/head").body, head);
    server.stop().unwrap();
}
