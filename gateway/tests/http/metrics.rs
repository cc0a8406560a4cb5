//! `/metrics` and the health checks at the operators' address.

use khlong_gateway::app::Options;
use khlong_gateway::app::limits::{
    BALANCES_AT_ONCE, BALANCES_PAUSE, EVICT_EVERY, FOLLOWER_WAITS, TABLES_EVERY,
};
use khlong_gateway::domains;
use khlong_gateway::domains::ledger::LEDGER_DOMAIN;
use khlong_gateway::kernel::{Kernel, Logic};
use khlong_store::engine::memory::MemoryDisk;
use serde_json::json;

use crate::client::{Reply, try_call};
use crate::days::{TODAY, Time, closes, kernel, start, start_on};
use crate::due::pass;
use crate::fixture::elsewhere::Elsewhere;
use crate::fixture::{JOURNAL, command, decide, opening, store};
use crate::paced::millis;
use crate::server::{Server, change_balances, often, pay, set_up};
use crate::until::found;

fn ask(server: &Server, path: &str) -> Reply {
    try_call(server.admin, "GET", path, &[], b"").unwrap()
}

pub(crate) fn metrics(server: &Server) -> String {
    let reply = ask(server, "/metrics");
    assert_eq!(reply.status, 200);
    let kind = &reply.headers["content-type"];
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(reply.body.ends_with("# EOF\n"), "{}", reply.body);
    reply.body
}

/// Until it is said: answers leave before the driver publishes.
fn until(server: &Server, lines: &[&str]) -> String {
    found(&format!("the metrics say {lines:?}"), || {
        // A turn of the driver, which publishes.
        server.get("/v1/journal/head");
        let text = metrics(server);
        let is_said = |line: &&str| text.lines().any(|one| one == *line);
        lines.iter().all(is_said).then_some(text)
    })
}

#[test]
fn what_happened_is_counted_and_nobody_is_named() {
    let disk = MemoryDisk::new();
    let time = Time::at(TODAY.end().0 - 1_000);
    let server = start(&disk, &time);
    set_up(server.address, 2);
    let paid = json!([pay(71_077, 1, 2, 31_337)]);
    for _ in 0..2 {
        assert_eq!(server.send("order-4711", paid.clone()).results(), ["ok"]);
    }
    let reused = server.send("order-4711", json!([pay(71_078, 1, 2, 5)]));
    assert_eq!(reused.problem(), "idempotency-key-reused");
    let unknown = server.get("/v1/secret-of-somebody");
    assert_eq!(unknown.status, 404);
    server.get("/v1/ledger/accounts/2");
    time.pass(2_000);
    closes(&server, 1);
    // Tables are looked at now and then, by the driver's clock.
    let now = (time.pass(millis(TABLES_EVERY)) + millis(TABLES_EVERY)) / 1_000;
    let head = server.get("/v1/journal/head").json();
    let head = head["entry"].as_u64().unwrap();
    // Assets, accounts, a transfer and a close.
    assert_eq!(head, 4);
    let entries = |name: &str| format!("khlong_gateway_{name} {head}");
    let of = |kind: &str, outcome: &str, count: u64| {
        format!("khlong_gateway_commands_total{{kind=\"{kind}\",outcome=\"{outcome}\"}} {count}")
    };
    let end = TODAY.end().0 / 1_000;
    let expected = [
        of("create_assets", "done", 1),
        of("create_accounts", "done", 1),
        of("create_transfers", "done", 1),
        of("create_transfers", "known", 1),
        of("create_transfers", "refused", 1),
        of("close_next", "done", 1),
        entries("journal_head"),
        entries("applied_index"),
        entries("idempotency_keys"),
        format!("{}.0", entries("commit_entries_sum")),
        entries("commit_entries_count"),
        entries("commit_seconds_count"),
        format!("khlong_gateway_last_close_day_seconds {end}"),
        "khlong_gateway_outbox_waiting 1".to_owned(),
        format!("khlong_gateway_tables_read_seconds {now}"),
        "khlong_gateway_imbalance 0".to_owned(),
        format!("khlong_gateway_balances_read_seconds {}", end - 1),
        "khlong_gateway_ready 1".to_owned(),
        "khlong_gateway_follows 0".to_owned(),
        "khlong_gateway_queue_inputs 0".to_owned(),
        "khlong_gateway_queue_inputs_max 256".to_owned(),
        "khlong_gateway_postgres_reconnects_total 0".to_owned(),
        "khlong_gateway_http_requests_total{route=\"/v1/ledger/transfers\",status=\"2xx\"} 2"
            .to_owned(),
        "khlong_gateway_http_requests_total{route=\"/v1/ledger/transfers\",status=\"4xx\"} 1"
            .to_owned(),
        "khlong_gateway_http_requests_total{route=\"/v1/ledger/accounts/{id}\",status=\"2xx\"} 1"
            .to_owned(),
        "khlong_gateway_http_requests_total{route=\"other\",status=\"4xx\"} 1".to_owned(),
        "khlong_gateway_http_request_seconds_count{route=\"other\"} 1".to_owned(),
    ];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let text = until(&server, &expected);
    // What took how long has any digits.
    let is_told = |line: &&str| !line.contains("http_request_seconds_sum");
    let text: String = text.lines().filter(is_told).collect();
    for name in [
        "4711", "71077", "31337", "somebody", "shop", "boss", "THB", "764",
    ] {
        assert!(!text.contains(name), "{name} in {text}");
    }
    // Nothing else is there: the books are at the other address.
    assert_eq!(ask(&server, "/v1/books/closes").status, 404);
    assert_eq!(server.get("/metrics").status, 404);
    server.stop().unwrap();
}

#[test]
fn labels_are_of_a_fixed_set_whatever_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let series = |server: &Server| {
        let text = metrics(server);
        let all = text.lines().filter(|line| line.contains("http_request"));
        all.count()
    };
    let ask = |n: u32| {
        server.get(&format!("/v1/ledger/accounts/{n}"));
        server.get(&format!("/nowhere/{n}"));
        let method = format!("M{n}");
        try_call(server.address, &method, "/v1/journal/head", &[], b"").unwrap();
    };
    ask(0);
    let before = series(&server);
    (1..20).for_each(ask);
    assert_eq!(series(&server), before);
    server.stop().unwrap();
}

/// Whether there is a sample of that name.
fn has(text: &str, name: &str) -> bool {
    let name = format!("khlong_gateway_{name} ");
    text.lines().any(|line| line.starts_with(&name))
}

/// A 0 that nobody has added up would say that all is well.
#[test]
fn balances_are_added_up_although_nobody_asks_and_no_imbalance_is_told_before() {
    let (disk, begin) = (MemoryDisk::new(), TODAY.start().0);
    let mut before = kernel(&disk, domains::all());
    // They are read in three steps, the last of which finds nothing more.
    let accounts = 2 * BALANCES_AT_ONCE as u128;
    for (key, ledger) in ["assets", "accounts"].iter().zip(opening(accounts)) {
        let asked = command(key, begin, LEDGER_DOMAIN, ledger.encode());
        decide(&mut before, &asked);
    }
    drop(before);
    let time = Time::at(begin);
    let server = start(&disk, &time);
    let first = found("the tables are looked at", || {
        Some(metrics(&server)).filter(|text| has(text, "tables_read_seconds"))
    });
    for unknown in ["imbalance", "balances_read_seconds"] {
        assert!(!has(&first, unknown), "{first}");
    }
    // Nothing is asked of the driver from here on.
    let last = found("all balances are added up", || {
        time.pass(millis(BALANCES_PAUSE));
        Some(metrics(&server)).filter(|text| has(text, "imbalance"))
    });
    for line in [
        "khlong_gateway_imbalance 0\n".to_owned(),
        // As of the entry at which it was begun.
        format!("khlong_gateway_balances_read_seconds {}\n", begin / 1_000),
    ] {
        assert!(last.contains(&line), "{line} in {last}");
    }
    server.stop().unwrap();
}

#[test]
fn keys_that_were_forgotten_are_not_counted() {
    const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
    let (disk, time) = (MemoryDisk::new(), Time::at(TODAY.start().0));
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        keep_keys: 2 * EVICT_EVERY,
        ..often(folder.path())
    };
    let open = Box::new(move || Ok(kernel(&disk, domains::all())));
    let server = Server::with_clock(options, open, time.clock());
    server.wait();
    set_up(server.address, 2);
    let keys = |head: u64, keys: u64| {
        pass(&server, &time, TABLES_EVERY);
        let lines = [
            format!("khlong_gateway_journal_head {head}"),
            format!("khlong_gateway_idempotency_keys {keys}"),
        ];
        until(&server, &lines.each_ref().map(String::as_str));
    };
    keys(2, 2);
    // Both are forgotten, by an entry that has a key of its own.
    pass(&server, &time, 131 * MINUTE);
    keys(3, 1);
    let paid = server.send("one", json!([pay(1, 1, 2, 5)]));
    assert_eq!(paid.results(), ["ok"]);
    keys(4, 2);
    server.stop().unwrap();
}

#[test]
fn an_imbalance_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let options = often(folder.path());
    let server = Server::of(options.clone());
    server.set_up(2);
    assert_eq!(
        server.send("one", json!([pay(1, 1, 2, 5)])).results(),
        ["ok"]
    );
    until(&server, &["khlong_gateway_imbalance 0"]);
    server.stop().unwrap();

    // Money from nowhere.
    change_balances(&options, 2, |row| row[71] ^= 0x10);
    let server = Server::of(options);
    until(&server, &["khlong_gateway_imbalance 16"]);
    server.stop().unwrap();
}

/// Of two on one journal `/readyz` leads to the one that appends; both still tell the truth.
#[test]
fn one_that_is_passed_over_says_that_another_one_works() {
    let elsewhere = Elsewhere::new();
    let time = Time::at(TODAY.start().0);
    let beside = |disk: &MemoryDisk| {
        let (disk, journal) = (disk.clone(), elsewhere.clone());
        start_on(&time, move || {
            let journal = Box::new(journal);
            Kernel::open_with(
                journal,
                store(&disk),
                domains::all(),
                Logic::CURRENT,
                JOURNAL,
            )
            .unwrap()
        })
    };
    let (first, second) = (beside(&MemoryDisk::new()), beside(&MemoryDisk::new()));
    set_up(first.address, 2);
    assert_eq!(ask(&first, "/readyz").status, 200);
    // It looks at the journal before it answers.
    assert_eq!(second.balance(2, "credits_posted"), "0");
    for reply in [ask(&second, "/readyz"), second.get("/readyz")] {
        let said = (reply.status, reply.body.as_str());
        assert_eq!(said, (503, "another gateway works\n"));
    }
    let text = until(&second, &["khlong_gateway_entries_followed_total 2"]);
    assert!(text.contains("khlong_gateway_ready 0\n"), "{text}");
    assert!(text.contains("khlong_gateway_follows 1\n"), "{text}");
    assert_eq!(ask(&second, "/livez").status, 200);
    assert_eq!(ask(&second, "/startupz").status, 200);
    // From here on it is the one that works.
    assert_eq!(
        second.send("one", json!([pay(1, 1, 2, 5)])).results(),
        ["ok"]
    );
    assert_eq!(ask(&second, "/readyz").status, 200);
    assert_eq!(first.balance(2, "credits_posted"), "5");
    assert_eq!(ask(&first, "/readyz").status, 503);
    // By the driver's clock, as it is not known whether the other one lives.
    time.pass(millis(FOLLOWER_WAITS) - 1);
    assert_eq!(ask(&first, "/readyz").status, 503);
    time.pass(1);
    assert_eq!(ask(&first, "/readyz").status, 200);
    first.stop().unwrap();
    second.stop().unwrap();
}
