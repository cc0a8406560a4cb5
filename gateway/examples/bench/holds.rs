//! What a client notices of many holds: of those that were settled, and of those that expire at once.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains;
use khlong_gateway::domains::ledger::{LedgerCommand, Transfer, TransferFlags};
use khlong_store::journal::LocalJournal;

use crate::figures::{Figures, quantile};
use crate::http::{self, DATA};
use crate::ledger::{Accounts, Books, open_with, transfer};
use crate::processes::Failure;
use crate::scratch;

/// Of one command.
const BATCH: u64 = 8_000;
/// Ids of holds are above those of all clients, and those of their posts above them.
const HOLDS: u64 = 1 << 48;
const POSTS: u64 = 1 << 49;
/// A day, and the least: in seconds.
const LONG: u32 = 86_400;
const SHORT: u32 = 1;

pub(crate) fn measure(
    holds: u64,
    binaries: &Path,
    length: Duration,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let name = format!("after {holds} holds of a day that were posted, one client");
    let length = Some(length);
    one_client(binaries, length, &name, figures, |books| {
        hold(books, holds, LONG)?;
        post(books, holds)
    })?;
    let name = format!("while {holds} holds expire at once, one client");
    one_client(binaries, None, &name, figures, |books| {
        hold(books, holds, SHORT)?;
        std::thread::sleep(Duration::from_secs(SHORT.into()));
        Ok(())
    })
}

/// Single transfers over HTTP to a gateway that finds these books; without a length, one.
fn one_client(
    binaries: &Path,
    length: Option<Duration>,
    name: &str,
    figures: &mut Figures,
    fill: impl FnOnce(&mut Books) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let folder = scratch(binaries)?;
    http::init(binaries, folder.path())?;
    let kernel = open_with(
        &folder.path().join(DATA),
        Box::new(LocalJournal),
        domains::all(),
    )?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut books = Books::on(kernel, UnixMillis(i64::try_from(now.as_millis())?))?;
    fill(&mut books)?;
    drop(books);
    let (gateway, address) = http::start(binaries, folder.path())?;
    let begun = Instant::now();
    let over = || begun.elapsed() >= length.unwrap_or(Duration::from_millis(1));
    let measured = http::clients(address, 0, (1, 1), Accounts::Spread, &over)?;
    gateway.stop()?;
    if length.is_some() {
        figures.add(format!("{name}: transfers"), "/s", measured.rate);
        for (share, shown) in [(0.5, "p50"), (0.99, "p99")] {
            let value = quantile(&measured.waits, share);
            figures.add(format!("{name}: {shown}"), "ms", value);
        }
    } else {
        let first = quantile(&measured.waits, 1.0) / 1_000.0;
        figures.add(format!("{name}: the first transfer"), "s", first);
    }
    Ok(())
}

fn hold(books: &mut Books, holds: u64, timeout: u32) -> Result<(), Failure> {
    in_batches(books, holds, |n| Transfer {
        timeout,
        flags: TransferFlags::PENDING,
        ..transfer(HOLDS + n, Accounts::Spread)
    })
}

fn post(books: &mut Books, holds: u64) -> Result<(), Failure> {
    in_batches(books, holds, |n| Transfer {
        id: u128::from(POSTS + n),
        pending_id: transfer(HOLDS + n, Accounts::Spread).id,
        amount: 1,
        flags: TransferFlags::POST_PENDING_TRANSFER,
        ..Transfer::default()
    })
}

fn in_batches(
    books: &mut Books,
    count: u64,
    transfer: impl Fn(u64) -> Transfer,
) -> Result<(), Failure> {
    for first in (0..count).step_by(usize::try_from(BATCH)?) {
        let batch = (first..count.min(first + BATCH)).map(&transfer);
        books.give(&LedgerCommand::CreateTransfers(batch.collect()))?;
    }
    Ok(())
}
