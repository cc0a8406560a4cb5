//! How fast the books are rebuilt from the journal, and how fast it is checked.

use std::path::Path;
use std::time::Instant;

use khlong_gateway::domains::ledger::LedgerCommand;
use khlong_gateway::kernel::{replay, state_hash};
use khlong_store::journal;

use crate::figures::Figures;
use crate::ledger::{Accounts, Books, open, transfer};
use crate::processes::Failure;
use crate::scratch;

/// Transfers of one entry.
const BATCH: u64 = 100;

pub(crate) fn measure(
    transfers: u64,
    binaries: &Path,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let (from, into) = (scratch(binaries)?, scratch(binaries)?);
    let mut books = Books::create(from.path())?;
    for first in (0..transfers).step_by(usize::try_from(BATCH)?) {
        let batch = (first..first + BATCH).map(|n| transfer(n, Accounts::Spread));
        books.give(&LedgerCommand::CreateTransfers(batch.collect()))?;
    }
    let source = books.kernel.store();

    let begun = Instant::now();
    let head = journal::verify(source)?;
    let checked = begun.elapsed().as_secs_f64();

    let mut kernel = open(into.path())?;
    let begun = Instant::now();
    let replayed = replay(source, &mut kernel)?;
    let took = begun.elapsed().as_secs_f64();
    if replayed != head || state_hash(source)? != state_hash(kernel.store())? {
        return Err("the replay came to another state".into());
    }
    let name = format!("replay, {transfers} transfers, {BATCH} an entry");
    figures.add(format!("{name}: rebuilt"), "/s", transfers as f64 / took);
    figures.add(
        format!("{name}: chain checked"),
        "/s",
        transfers as f64 / checked,
    );
    Ok(())
}
