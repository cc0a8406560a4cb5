//! What clients notice of a long day that is closed: single transfers over HTTP while the gateway
//! adds it up, and the same gateway with the same clients right after.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains;
use khlong_gateway::domains::books::Day;
use khlong_gateway::domains::ledger::LedgerCommand;
use khlong_store::journal::LocalJournal;
use serde_json::Value;

use crate::figures::{Figures, quantile};
use crate::http::{self, Connection, DATA, Measured};
use crate::ledger::{Accounts, Books, open_with, transfer};
use crate::processes::{Failure, PAUSE};
use crate::scratch;

const CLIENTS: u64 = 16;
/// Transfers of one entry of the day.
const BATCH: u64 = 8_000;
/// Half a day.
const NOON_MS: i64 = 12 * 60 * 60 * 1_000;
/// Without a close, the clients are measured for at least so long.
const LEAST: Duration = Duration::from_secs(2);
/// A close that takes longer does not come to its end.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) fn measure(
    transfers: u64,
    binaries: &Path,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let folder = scratch(binaries)?;
    http::init(binaries, folder.path())?;
    let day = yesterday()?;
    fill(&folder.path().join(DATA), transfers, day)?;
    let (gateway, address) = http::start(binaries, folder.path())?;
    let begun = Instant::now();
    let (during, page) = while_it_closes(address)?;
    let took = begun.elapsed();
    check(&page, transfers, day)?;
    let without = for_as_long(address, took.max(LEAST))?;
    gateway.stop()?;
    let name = format!("close of {transfers} transfers, {CLIENTS} clients");
    figures.add(format!("{name}: took"), "s", took.as_secs_f64());
    add(figures, &format!("{name}, meanwhile"), &during);
    add(figures, &format!("{name}, after it"), &without);
    Ok(())
}

fn add(figures: &mut Figures, name: &str, measured: &Measured) {
    figures.add(format!("{name}: transfers"), "/s", measured.rate);
    for (share, shown) in [(0.5, "p50"), (0.99, "p99"), (1.0, "max")] {
        let value = quantile(&measured.waits, share);
        figures.add(format!("{name}: {shown}"), "ms", value);
    }
}

fn yesterday() -> Result<Day, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let today = Day::of(UnixMillis(i64::try_from(now.as_millis())?));
    Ok(Day(today.0.checked_sub(1).ok_or("the clock says 1970")?))
}

/// A gateway that was switched off at noon of `day`, after so many transfers. Their ids are above
/// those of all clients.
fn fill(folder: &Path, transfers: u64, day: Day) -> Result<(), Failure> {
    let kernel = open_with(folder, Box::new(LocalJournal), domains::all())?;
    let mut books = Books::on(kernel, UnixMillis(day.start().0 + NOON_MS))?;
    for first in (0..transfers).step_by(usize::try_from(BATCH)?) {
        let last = transfers.min(first + BATCH);
        let batch = (first..last).map(|n| transfer(n + (1 << 48), Accounts::Spread));
        books.give(&LedgerCommand::CreateTransfers(batch.collect()))?;
    }
    Ok(())
}

/// Clients pay until no day is due; then the page of closes says so.
fn while_it_closes(address: SocketAddr) -> Result<(Measured, Value), Failure> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let closed = until_closed(address);
            is_over.store(true, Ordering::Release);
            closed
        });
        let over = || is_over.load(Ordering::Acquire);
        let measured = http::clients(address, 0, (CLIENTS, 1), Accounts::Spread, &over);
        let page = watch.join().map_err(|_| "the watch panicked")??;
        Ok((measured?, page))
    })
}

fn until_closed(address: SocketAddr) -> Result<Value, Failure> {
    let begun = Instant::now();
    let mut connection = Connection::open(address)?;
    loop {
        let page = connection.get("/v1/books/closes")?;
        if page.get("due").is_some_and(Value::is_null) {
            return Ok(page);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("the day is not closed: {page}").into());
        }
        std::thread::sleep(PAUSE);
    }
}

fn check(page: &Value, transfers: u64, day: Day) -> Result<(), Failure> {
    let field = |name| page.pointer(&format!("/closes/0/{name}"));
    if field("day") == Some(&day.to_string().into()) && field("records") == Some(&transfers.into())
    {
        return Ok(());
    }
    Err(format!("{transfers} transfers of {day} were to be closed: {page}").into())
}

fn for_as_long(address: SocketAddr, length: Duration) -> Result<Measured, Failure> {
    let begun = Instant::now();
    let over = || begun.elapsed() >= length;
    // Other numbers than before: ids and keys are fresh.
    http::clients(address, CLIENTS, (CLIENTS, 1), Accounts::Spread, &over)
}
