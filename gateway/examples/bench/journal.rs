//! The gateway's journal on PostgreSQL beside the one in its folder: the same commands through
//! the same kernel, each group durable before the next, in turn on one disk.

use std::path::Path;
use std::time::Duration;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::app::postgres::{PostgresJournal, PostgresOptions, WITHIN_DEFAULT};
use khlong_gateway::domains::ledger::Ledger;
use khlong_store::journal::{Journal, LocalJournal};

use crate::figures::Figures;
use crate::ledger::{Accounts, BATCHES, Books, open_with};
use crate::processes::Failure;
use crate::server::Server;
use crate::{disk, scratch};

/// Where the journal lies. In the order in which they are measured, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Folder,
    Postgres,
}

impl Place {
    const ALL: [Self; 2] = [Self::Folder, Self::Postgres];

    fn name(self, batch: u64) -> String {
        let place = match self {
            Self::Folder => "the folder",
            Self::Postgres => "PostgreSQL",
        };
        format!("journal in {place}, batches of {batch}")
    }
}

pub(crate) fn measure(
    programs: &Path,
    binaries: &Path,
    length: Duration,
    figures: &mut Figures,
) -> Result<(), Failure> {
    for batch in BATCHES {
        for place in Place::ALL {
            let folder = scratch(binaries)?;
            let syncs = disk::syncs_per_second(folder.path())?;
            match place {
                Place::Folder => {
                    let journal = Box::new(LocalJournal);
                    run(place, journal, folder.path(), batch, length, figures)?;
                }
                Place::Postgres => {
                    let server = Server::start(programs, binaries)?;
                    server.check_durable()?;
                    let journal = Box::new(PostgresJournal::new(options(&server)?)?);
                    let last = run(place, journal, folder.path(), batch, length, figures)?;
                    let found = server.sql("select max(seq) from khlong.journal")?;
                    if found.trim() != last.to_string() {
                        return Err(format!("entry {last} was committed, not {found}").into());
                    }
                }
            }
            figures.add("disk: fdatasync of 4 KiB".to_owned(), "/s", syncs);
        }
    }
    Ok(())
}

/// Returns the last entry that was committed.
fn run(
    place: Place,
    journal: Box<dyn Journal>,
    folder: &Path,
    batch: u64,
    length: Duration,
    figures: &mut Figures,
) -> Result<u64, Failure> {
    let kernel = open_with(folder, journal, vec![Box::new(Ledger::without_owners())])?;
    let mut books = Books::on(kernel, UnixMillis(1))?;
    let name = place.name(batch);
    books.measure(batch, Accounts::Spread, length, &name, figures)?;
    Ok(books.kernel.head().seq.0)
}

fn options(server: &Server) -> Result<PostgresOptions, Failure> {
    let text = format!(
        "host={} user=postgres dbname=postgres",
        server.folder.path().display()
    );
    Ok(PostgresOptions::parse(&text, None, None, WITHIN_DEFAULT)?)
}

/// What the journal on PostgreSQL does of what the one in the folder does, run by run.
pub(crate) fn ratios(figures: &mut Figures) {
    for batch in BATCHES {
        let samples = |place: Place| {
            let name = format!("{}: transfers", place.name(batch));
            figures.samples(&name).map(<[f64]>::to_vec)
        };
        let (Some(ours), Some(theirs)) = (samples(Place::Folder), samples(Place::Postgres)) else {
            continue;
        };
        for (folder, postgres) in ours.iter().zip(&theirs) {
            let figure = format!("journal, batches of {batch}: PostgreSQL / the folder");
            figures.add(figure, "times", postgres / folder);
        }
    }
}
