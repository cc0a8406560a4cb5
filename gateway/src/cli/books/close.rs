//! `close`: closes the days that are over, on a folder that no gateway has.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::desk::{Desk, Writes, undecided};
use super::{BooksError, hex};
use crate::cli::CliError;
use crate::cli::output::Output;
use crate::domains::books::{BooksCommand, Close as DayClose, CloseAnswer, Day, due_days};

/// Flags of `close`.
#[derive(Args, Debug)]
pub struct Close {
    /// The folder of a gateway that does not run; one that runs closes its days by itself.
    pub folder: PathBuf,
    /// The last day to close, as 2026-11-27; otherwise all that are over. Days are those of Bangkok.
    #[arg(long, value_name = "DAY")]
    pub through: Option<Day>,
    /// How it writes.
    #[command(flatten)]
    pub writes: Writes,
}

/// Each day that is closed is one more close, printed at once; a second call finds none.
pub(in crate::cli) fn close(output: Output, asked: &Close) -> Result<(), CliError> {
    let mut desk = Desk::open(&asked.folder, &asked.writes)?;
    if let Some(day) = asked.through.filter(|day| desk.now() < day.end()) {
        return Err(BooksError::NotOver { day }.into());
    }
    let mut closes = Vec::new();
    loop {
        let due = due_days(desk.kernel().store(), desk.now()).map_err(BooksError::Store)?;
        let Some(day) = due.map(|due| due.from) else {
            break;
        };
        if asked.through.is_some_and(|through| day > through) {
            break;
        }
        let command = BooksCommand::CloseDay(day);
        let (decided, told) = desk.ask("close", &command, CloseAnswer::decode)?;
        match told {
            CloseAnswer::Unfinished { .. } => {}
            CloseAnswer::Closed(close) => {
                if !output.json {
                    let hash = hex(close.hash);
                    let (day, records) = (close.day, close.records);
                    output.text(&format!("{day}: {records} records, {hash}\n"))?;
                }
                closes.push(close);
            }
            // The journal's time stands behind the clock until it is reached.
            CloseAnswer::TooEarly { day, .. } => return Err(BooksError::NotOver { day }.into()),
            CloseAnswer::OutOfOrder { .. } | CloseAnswer::NothingYet => {
                return Err(undecided(&decided).into());
            }
        }
    }
    if !output.json {
        return Ok(());
    }
    let closes: Vec<Value> = closes.iter().map(fields).collect();
    output.object(Map::from_iter([
        ("kind".to_owned(), json!("closes")),
        ("closes".to_owned(), json!(closes)),
    ]))
}

fn fields(close: &DayClose) -> Value {
    json!({
        "day": close.day.to_string(),
        "last": close.last.0,
        "records": close.records,
        "hash": hex(close.hash),
    })
}
