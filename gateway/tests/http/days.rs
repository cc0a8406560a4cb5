//! Days that end while clients pay.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use khlong_gateway::app::DriverClock;
use khlong_gateway::domains::books::{Day, verify_closes};
use khlong_gateway::domains::ledger::Ledger;
use khlong_gateway::domains::{self};
use khlong_gateway::kernel::{Domain, Kernel, Logic, replay, state_hash};
use khlong_store::engine::memory::MemoryDisk;
use serde_json::{Value, json};

use crate::fixture::{JOURNAL, store};
use crate::server::{Server, TRANSFERS, WRITER, get, pay, set_up, try_post, wall};
use crate::until::found;

/// 27 November 2026.
pub(crate) const TODAY: Day = Day(20_784);

pub(crate) fn kernel(disk: &MemoryDisk, domains: Vec<Box<dyn Domain>>) -> Kernel {
    Kernel::open(store(disk), domains, Logic::CURRENT, JOURNAL).unwrap()
}

/// A clock that a test moves.
#[derive(Clone)]
pub(crate) struct Time(Arc<AtomicI64>);

impl Time {
    pub(crate) fn at(millis: i64) -> Self {
        Self(Arc::new(AtomicI64::new(millis)))
    }

    pub(crate) fn pass(&self, millis: i64) -> i64 {
        self.0.fetch_add(millis, Ordering::SeqCst)
    }

    /// For a driver.
    pub(crate) fn clock(&self) -> DriverClock {
        let time = Arc::clone(&self.0);
        wall(move || time.load(Ordering::SeqCst))
    }
}

pub(crate) fn start(disk: &MemoryDisk, time: &Time) -> Server {
    start_with(disk, time, domains::all)
}

pub(crate) fn start_with(
    disk: &MemoryDisk,
    time: &Time,
    domains: impl FnOnce() -> Vec<Box<dyn Domain>> + Send + 'static,
) -> Server {
    let disk = disk.clone();
    start_on(time, move || kernel(&disk, domains()))
}

/// On a kernel that `open` makes.
pub(crate) fn start_on(time: &Time, open: impl FnOnce() -> Kernel + Send + 'static) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let open = Box::new(move || Ok(open()));
    let server = Server::on(folder.path(), open, time.clock());
    server.wait();
    server
}

/// So many closes, once they are there.
pub(crate) fn closes(server: &Server, count: usize) -> Vec<Value> {
    found(&format!("{count} days are closed"), || {
        let page = server.get("/v1/books/closes").json();
        let closes = page["closes"].as_array().unwrap().clone();
        assert!(closes.len() <= count, "{page}");
        (closes.len() == count && page["due"].is_null()).then_some(closes)
    })
}

/// The ids of the transfers that an account's statement tells of.
fn told(server: &Server, day: Day) -> BTreeSet<String> {
    let (mut ids, mut after) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/v1/books/statements/2?from={day}&to={day}&limit=100{after}");
        let page = server.get(&path).json();
        for line in page["lines"].as_array().unwrap() {
            let id = line["transfer"]["id"].as_str().unwrap().to_owned();
            assert!(ids.insert(id), "twice in one day");
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return ids,
        }
    }
}

#[test]
fn clients_pay_while_the_day_ends_and_every_record_is_in_one_day() {
    const CLIENTS: u64 = 64;
    const EACH: u64 = 8;
    let disk = MemoryDisk::new();
    // Midnight comes after the 200th answer.
    let time = Time::at(TODAY.end().0 - 200);
    let server = start(&disk, &time);
    set_up(server.address, 2);
    assert_eq!(server.get("/v1/books/closes").json()["due"], Value::Null);
    let address = server.address;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let time = time.clone();
            std::thread::spawn(move || {
                for n in 0..EACH {
                    let id = 1 + client * EACH + n;
                    let body = json!({ "transfers": [pay(id, 1, 2, 1)] });
                    let key = format!("transfer {id}");
                    let reply = try_post(address, TRANSFERS, WRITER, &key, &body).unwrap();
                    assert_eq!(reply.results(), ["ok"]);
                    time.pass(1);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let first = closes(&server, 1).remove(0);
    assert_eq!(first["day"], TODAY.to_string());
    // Once more to the end of the day, in steps that a clock may take.
    let tomorrow = TODAY.next();
    while time.pass(14 * 60_000) < tomorrow.end().0 {
        server.get("/v1/journal/head");
    }
    let both = closes(&server, 2);
    assert_eq!(both[0], first, "a close never changes");
    assert_eq!(both[1]["former_hash"], first["hash"]);
    assert_eq!(both[1]["after"], first["last"]);
    let counts = [&both[0], &both[1]].map(|close| close["records"].as_u64().unwrap());
    assert_eq!(counts[0] + counts[1], CLIENTS * EACH);
    assert!(counts[0] >= 200 - CLIENTS && counts[1] > 0, "{counts:?}");
    let days = [TODAY, tomorrow].map(|day| told(&server, day));
    assert_eq!(days.each_ref().map(|ids| ids.len() as u64), counts);
    assert!(days[0].is_disjoint(&days[1]));
    let close = server.get(&format!("/v1/books/closes/{TODAY}")).json();
    assert_eq!(close["close"], first);
    let sums = &close["totals"][0];
    assert_eq!(sums["debits_posted"], counts[0].to_string());
    assert_eq!(sums["credits_posted"], counts[0].to_string());
    server.stop().unwrap();
    // Added up again, and replayed.
    let stopped = kernel(&disk, domains::all());
    let last = verify_closes(stopped.store()).unwrap().unwrap();
    assert_eq!(last.day, tomorrow);
    let mut again = kernel(&MemoryDisk::new(), domains::all());
    replay(stopped.store(), &mut again).unwrap();
    let states = [&stopped, &again].map(|kernel| state_hash(kernel.store()).unwrap());
    assert_eq!(states[0], states[1]);
}

#[test]
fn a_gateway_that_was_away_closes_what_it_missed_and_pages_tell_of_it() {
    let disk = MemoryDisk::new();
    let time = Time::at(TODAY.start().0);
    // As an earlier build left it, which had the ledger alone.
    let server = start_with(&disk, &time, || vec![Box::new(Ledger::without_owners())]);
    set_up(server.address, 2);
    assert_eq!(
        server.send("one", json!([pay(1, 1, 2, 5)])).results(),
        ["ok"]
    );
    let none = server.get("/v1/books/closes").json();
    assert_eq!((&none["closes"], &none["due"]), (&json!([]), &Value::Null));
    server.stop().unwrap();
    let days = 12;
    let server = start(&disk, &Time::at(Day(TODAY.0 + days).start().0));
    let all = closes(&server, days as usize);
    assert_eq!(all[0]["records"], 1);
    assert!(all[1..].iter().all(|close| close["records"] == 0));
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = server
            .get(&format!("/v1/books/closes?limit=5{after}"))
            .json();
        seen.extend(page["closes"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
    let address = server.address;
    let open = get(
        address,
        &format!("/v1/books/closes/{}", Day(TODAY.0 + days)),
    );
    assert_eq!((open.status, open.problem().as_str()), (404, "not-found"));
    for odd in [
        "/v1/books/closes/27.11.2026",
        "/v1/books/closes?after=1",
        "/v1/books/closes?limit=0",
        "/v1/books/closes?limit=1&limit=1",
        "/v1/books/closes?day=1",
        "/v1/books/closes/2026-11-27?after=x",
        "/v1/books/statements/2",
        "/v1/books/statements/2?from=2026-11-27&to=2026-11-26",
        "/v1/books/statements/2?from=2026-11-27&to=2026-11-27&after=x",
        "/v1/books/statements/x?from=2026-11-27&to=2026-11-27",
    ] {
        let refused = get(address, odd);
        assert_eq!(refused.status, 400, "{odd}");
        assert_eq!(refused.problem(), "malformed-request");
    }
    server.stop().unwrap();
}

#[test]
fn the_classes_of_a_day_come_page_by_page() {
    let disk = MemoryDisk::new();
    let server = start(&disk, &Time::at(TODAY.start().0));
    set_up(server.address, 2);
    let account = |id: u32, code: u16| json!({ "id": id.to_string(), "ledger": 764, "code": code });
    let body = json!({ "accounts": [account(12, 300), account(11, 2)] });
    let made = server.post("/v1/ledger/accounts", WRITER, "more", &body);
    assert_eq!(made.results(), ["ok", "ok"]);
    let all = json!([pay(1, 1, 11, 5), pay(2, 1, 12, 7), pay(3, 11, 12, 1)]);
    assert_eq!(server.send("all", all).results(), ["ok", "ok", "ok"]);
    server.stop().unwrap();
    let server = start(&disk, &Time::at(TODAY.end().0));
    closes(&server, 1);
    let page = |query: &str| {
        let page = server.get(&format!("/v1/books/closes/{TODAY}{query}"));
        page.json()
    };
    let whole = page("");
    let codes: Vec<_> = whole["totals"].as_array().unwrap().iter().collect();
    let codes: Vec<_> = codes.iter().map(|class| &class["code"]).collect();
    assert_eq!(codes, [1, 2, 300]);
    assert_eq!(whole["next"], Value::Null);
    let (mut seen, mut after) = (Vec::new(), String::new());
    for place in 0..3 {
        let one = page(&format!("?limit=1{after}"));
        assert_eq!(one["close"], whole["close"]);
        assert_eq!(one["next"].is_null(), place == 2, "{one}");
        after = format!("&after={}", one["next"].as_str().unwrap_or_default());
        seen.extend(one["totals"].as_array().unwrap().clone());
    }
    assert_eq!(Value::Array(seen), whole["totals"]);
    assert_eq!(page("?after=764-2")["totals"][0]["code"], 300);
    assert_eq!(page("?after=764-300")["totals"], json!([]));
    server.stop().unwrap();
}
