//! Days that end while clients pay, and a close that is rejected.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use khlong_crdt::id::LogId;
use khlong_crdt::time::UnixMillis;
use khlong_gateway::app::Pauses;
use khlong_gateway::app::limits::{OWN_PAUSE_MAX, OWN_PAUSE_MIN};
use khlong_gateway::domains::books::{Day, verify_closes};
use khlong_gateway::domains::ledger::Ledger;
use khlong_gateway::domains::{self};
use khlong_gateway::kernel::{
    ApplyError, Context, Domain, Kernel, Logic, Rejection, replay, state_hash,
};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::error::StoreError;
use khlong_store::identity::Role;
use khlong_store::journal::{self, JournalError, JournalId, JournalSeq};
use khlong_store::rows::Rows;
use khlong_store::store::{OpenOptions, Store};
use khlong_store::table::Table;
use serde_json::{Value, json};

use crate::server::{Server, TRANSFERS, WRITER, get, pay, set_up, try_post};

/// 27 November 2026.
pub(crate) const TODAY: Day = Day(20_784);

pub(crate) fn kernel(disk: &MemoryDisk, domains: Vec<Box<dyn Domain>>) -> Kernel {
    let options = OpenOptions {
        role: Role::Gateway,
        fresh_log_id: LogId::from_bytes([7; 16]),
        accept_loss: false,
        sizes: RocksOptions {
            write_buffer_bytes: 1024 * 1024,
            block_cache_bytes: 1024 * 1024,
            reserve_bytes: 1024 * 1024,
        },
    };
    let store = Store::in_memory(disk, &options).unwrap();
    let journal = JournalId::from_bytes([9; 16]);
    Kernel::open(store, domains, Logic::CURRENT, journal).unwrap()
}

/// A clock that a test moves.
#[derive(Clone)]
pub(crate) struct Time(Arc<AtomicI64>);

impl Time {
    pub(crate) fn at(millis: i64) -> Self {
        Self(Arc::new(AtomicI64::new(millis)))
    }

    fn pass(&self, millis: i64) -> i64 {
        self.0.fetch_add(millis, Ordering::SeqCst)
    }
}

pub(crate) fn start(disk: &MemoryDisk, time: &Time) -> Server {
    start_with(disk, time, domains::all)
}

fn start_with(
    disk: &MemoryDisk,
    time: &Time,
    domains: impl FnOnce() -> Vec<Box<dyn Domain>> + Send + 'static,
) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let (disk, time) = (disk.clone(), time.clone());
    let open = Box::new(move || Ok(kernel(&disk, domains())));
    let clock = Arc::new(move || UnixMillis(time.0.load(Ordering::SeqCst)));
    let server = Server::on(folder.path(), open, clock);
    server.wait();
    server
}

/// So many closes, once they are there.
fn closes(server: &Server, count: usize) -> Vec<Value> {
    loop {
        let page = server.get("/v1/books/closes").json();
        let closes = page["closes"].as_array().unwrap().clone();
        if closes.len() == count && page["due"].is_null() {
            return closes;
        }
        assert!(closes.len() <= count, "{page}");
    }
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
    let server = start_with(&disk, &time, || vec![Box::new(Ledger::new())]);
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

/// A domain that always wants something, and always rejects it.
struct Stubborn;

impl Domain for Stubborn {
    fn number(&self) -> u8 {
        200
    }

    fn tables(&self) -> &'static [Table] {
        &[]
    }

    fn apply(&mut self, _: &mut Context<'_, '_>, _: &[u8]) -> Result<Vec<u8>, ApplyError> {
        Err(ApplyError::Rejected(Rejection::Invariant))
    }

    fn roll_back(&mut self) {}

    fn next_deadline(&self, _: &dyn Rows) -> Result<Option<UnixMillis>, StoreError> {
        Ok(Some(UnixMillis(0)))
    }

    fn due(&self) -> Option<Vec<u8>> {
        Some(Vec::new())
    }
}

#[test]
fn a_domain_that_rejects_what_is_due_keeps_no_other_from_it() {
    let disk = MemoryDisk::new();
    let time = Time::at(TODAY.start().0);
    let server = start_with(&disk, &time, || {
        vec![Box::new(Stubborn), Box::new(Ledger::new())]
    });
    set_up(server.address, 2);
    let mut hold = pay(1, 1, 2, 100);
    hold["flags"] = json!(["pending"]);
    hold["timeout"] = json!(1);
    assert_eq!(server.send("hold", json!([hold])).results(), ["ok"]);
    time.pass(1_000);
    // Nobody writes: the driver sweeps by itself.
    while server.get("/v1/ledger/transfers/1").json()["state"] != "expired" {
        std::thread::yield_now();
    }
    server.stop().unwrap();
    let stopped = kernel(&disk, Vec::new());
    let mut tries = 0;
    journal::read::<JournalError>(stopped.store(), JournalSeq(1), &mut |stored| {
        tries += u32::from(stored.entry.command[0] == 200);
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    assert_eq!(tries, 1, "it is left alone for a minute");
}

#[test]
fn a_pause_grows_with_each_rejection_and_is_its_own_domains() {
    let mut pauses = Pauses::default();
    let mut now = Instant::now();
    let mut lengths = Vec::new();
    for _ in 0..8 {
        assert_eq!(pauses.left(2, now), Duration::ZERO);
        let length = pauses.rejected(2, now);
        assert_eq!(pauses.left(2, now), length);
        assert_eq!(pauses.left(1, now), Duration::ZERO);
        lengths.push(length);
        now += length;
    }
    let minutes = [1, 2, 4, 8, 16, 32, 60, 60].map(|minutes| Duration::from_secs(60 * minutes));
    assert_eq!(lengths, minutes);
    assert_eq!((minutes[0], minutes[7]), (OWN_PAUSE_MIN, OWN_PAUSE_MAX));
    pauses.done(2);
    assert_eq!(pauses.rejected(2, now), OWN_PAUSE_MIN);
    // A rest as long as what was done, for clients.
    let cost = Duration::from_millis(70);
    pauses.rest(1, now, cost);
    assert_eq!(pauses.left(1, now), cost);
    pauses.done(1);
    assert_eq!(pauses.left(1, now), cost);
    // It makes no pause shorter.
    pauses.rest(2, now, cost);
    assert_eq!(pauses.left(2, now), OWN_PAUSE_MIN);
}
