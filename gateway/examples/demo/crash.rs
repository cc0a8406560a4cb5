//! A process that is killed while it sends transfers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use khlong_gateway::domains::ledger::transfer;

use crate::books::{Books, Clock, MERCHANT, SHOPPER, pay};
use crate::{Failure, check};

/// The argument that makes this program the one that is killed.
pub(crate) const CHILD: &str = "child";

/// More than the child comes to before it is killed; each moves one satang.
const TRANSFERS: u128 = 8_000;
/// Acknowledgements that are heard before the kill.
const HEARD: u128 = 40;
/// Transfers after the crash.
const MORE: u128 = 20;
/// Ids of these transfers begin behind it.
const FIRST: u128 = 1_000_000;

/// Sends one transfer after another, and says each number once it is durable.
pub(crate) fn child(folder: &Path, from: &str) -> Result<(), Failure> {
    let mut books = Books::open(folder, Clock::at(from.parse()?))?;
    for number in 1..=TRANSFERS {
        send(&mut books, number)?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{number}")?;
        out.flush()?;
    }
    Ok(())
}

/// The number of the entry. A second try has the same key, and so the same answer.
fn send(books: &mut Books, number: u128) -> Result<u64, Failure> {
    let one = pay(FIRST + number, SHOPPER, MERCHANT, 1);
    books.send(&format!("crash {number}"), &[one])
}

/// Runs a child on the folder and kills it. Returns the last number that it acknowledged.
pub(crate) fn run_and_kill(folder: &Path, clock: Clock) -> Result<u128, Failure> {
    let mut process = Command::new(std::env::current_exe()?)
        .arg(CHILD)
        .arg(folder)
        .arg(clock.now()?.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(process.stdout.take().ok_or("no output")?).lines();
    let mut acknowledged = 0;
    while acknowledged < HEARD {
        let Some(line) = lines.next() else { break };
        acknowledged = line?.parse().unwrap_or(0);
    }
    process.kill()?;
    let status = process.wait()?;
    // What it said before it died counts too.
    for line in lines.map_while(Result::ok) {
        acknowledged = line.parse().unwrap_or(acknowledged);
    }
    check(
        acknowledged >= HEARD && status.code().is_none(),
        &format!("the process was killed after it had acknowledged {acknowledged} transfers"),
    )?;
    Ok(acknowledged)
}

/// Looks for what was acknowledged, tries the last ones again and goes on. Returns how many
/// transfers there are then.
pub(crate) fn go_on(books: &mut Books, acknowledged: u128) -> Result<u128, Failure> {
    let is_there = |books: &Books, number: u128| -> Result<bool, Failure> {
        Ok(transfer(books.store(), FIRST + number)?.is_some())
    };
    let mut there = 0;
    for number in 1..=TRANSFERS {
        if !is_there(books, number)? {
            break;
        }
        there = number;
    }
    check(
        there >= acknowledged,
        &format!(
            "after a new start all of them are there, and {} more that were under way",
            there.saturating_sub(acknowledged)
        ),
    )?;
    check(
        there <= acknowledged + 1,
        "nothing is there that nobody had asked for",
    )?;
    let before = books.owed(MERCHANT)?;
    let first = send(books, acknowledged)?;
    check(
        send(books, acknowledged)? == first && books.owed(MERCHANT)? == before,
        "the last one, sent again, gets its first answer and moves nothing",
    )?;
    let last = there + MORE;
    for number in there + 1..=last {
        send(books, number)?;
    }
    Ok(last)
}
