//! `journal take-back`.

use std::error::Error as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::journal::object;
use super::output::{Output, hexadecimal};
use super::{CliError, database};
use crate::app::postgres::Heard;
use crate::app::taking_back::{self, Own, Reading, TakeBackError, TakenBack};
use crate::app::{AppError, Clock, Fresh, Opening};

/// What the folder cannot know.
const TAKEN_BACK: &str = "If host or dbname was a slip and the database is there, start nothing here: throw this folder away, drop nothing there, and make the folder anew with `khlong-gateway init FOLDER --config FILE`. What the database alone had behind that is lost. Before the first export of payouts compare with the bank what was sent since: holds of a batch that is lost would be sent a second time.\n";

/// Flags of `journal take-back`.
#[derive(Args, Debug)]
pub struct TakeBack {
    /// The folder of a gateway that does not run; of several beside one database the one with the most entries, which
    /// `verify` tells.
    pub folder: PathBuf,
    /// The configuration that names the database (`journal.postgres`). It is asked first: one that has the journal is
    /// not lost.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// You know that the database is lost for good, and that no gateway will be started with it again. Entries that only
    /// it had are lost with it.
    #[arg(long, required = true)]
    pub database_is_lost: bool,
    /// Go on although the clock seems wrong: you have looked at it.
    #[arg(long)]
    pub accept_time: bool,
    /// Go on although commits of the folder that were acknowledged are gone as well, in a new log epoch.
    #[arg(long)]
    pub accept_loss: bool,
}

pub(super) fn execute(output: Output, asked: &TakeBack) -> Result<(), CliError> {
    let options = database::named(&asked.config)?;
    let opening = Opening {
        folder: asked.folder.clone(),
        accept_loss: asked.accept_loss,
        ..Opening::default()
    };
    let reading = Reading {
        now: Clock::start().now().wall,
        is_accepted: asked.accept_time,
    };
    let taken = Fresh::draw()
        .map_err(TakeBackError::Open)
        .and_then(|fresh| taking_back::take_back(&opening, options, fresh, reading))
        .map_err(|error| untaken(&asked.folder, error))?;
    if let Some(doubt) = taken.doubt {
        // That nobody reads standard error any more is no failure.
        let _ = writeln!(std::io::stderr(), "khlong-gateway: {doubt}");
    }
    say(output, &taken)
}

fn say(output: Output, taken: &TakenBack) -> Result<(), CliError> {
    let Own { head, state, epoch } = &taken.own;
    let (journal, hash) = (hexadecimal(head.id.as_bytes()), hexadecimal(&head.hash));
    let (state, entries) = (hexadecimal(state), head.seq.0);
    let heard = heard(&taken.heard);
    if output.json {
        return output.object(object(json!({
            "kind": "journal_taken_back",
            "journal": journal,
            "entries": entries,
            "head": hash,
            "state": state,
            "epoch": epoch,
            "epoch_entry": entries,
            "database": heard,
        })));
    }
    output.text(&format!(
        "journal: {journal}\nentries: {entries}\nhead: {hash}\nstate: {state}\nepoch: {epoch}\nepoch_entry: {entries}\ndatabase: {heard}\nThe journal goes on behind entry {}. {TAKEN_BACK}",
        entries.saturating_sub(1)
    ))
}

fn heard(heard: &Heard) -> String {
    match heard {
        Heard::Nobody(error) => match error.source() {
            Some(cause) => format!("no answer ({cause})"),
            None => "no answer".to_owned(),
        },
        Heard::NoJournal => "no journal".to_owned(),
        Heard::Journal(..) => "another journal".to_owned(),
    }
}

/// What the commands that read say in these cases, with the path.
fn untaken(folder: &Path, error: TakeBackError) -> CliError {
    match error {
        TakeBackError::Open(AppError::NoGateway { path }) => CliError::NoGateway { path },
        TakeBackError::Open(AppError::Store(error)) | TakeBackError::Mark(error) => {
            CliError::store(folder, error)
        }
        TakeBackError::Open(AppError::Kernel(error)) | TakeBackError::Folder(error) => {
            CliError::kernel(folder, error)
        }
        error @ (TakeBackError::Open(_)
        | TakeBackError::Postgres(_)
        | TakeBackError::AtHome { .. }
        | TakeBackError::Empty { .. }
        | TakeBackError::ThereAgain { .. }
        | TakeBackError::NeverServed { .. }
        | TakeBackError::NotLost { .. }
        | TakeBackError::Differs { .. }) => CliError::TakeBack(error),
    }
}
