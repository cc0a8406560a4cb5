//! `statement`: what an account did.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{BooksError, Reads, look};
use crate::cli::CliError;
use crate::cli::output::Output;
use crate::domains::books::{
    Day, StatementQuery, parse_cursor, statement as ask, statement_csv, statement_json,
};
use crate::domains::l10n;
use crate::domains::ledger::limits::PAGE_LINES_MAX;

/// Flags of `statement`.
#[derive(Args, Debug)]
pub struct Statement {
    /// The folder of the gateway.
    pub folder: PathBuf,
    /// The account, as 32 hexadecimal digits.
    #[arg(long, value_name = "ID", value_parser = super::id)]
    pub account: u128,
    /// The first day, as 2026-11-01. Days are those of Bangkok.
    #[arg(long, value_name = "DAY")]
    pub from: Day,
    /// The last day, included.
    #[arg(long, value_name = "DAY")]
    pub to: Day,
    /// Whose words and dates.
    #[arg(long, value_enum, default_value_t = Language::Thai)]
    pub language: Language,
    /// Go on behind the line at this place: the last one of the page before.
    #[arg(long, value_name = "PLACE")]
    pub after: Option<String>,
    /// Lines of a page.
    #[arg(long, value_name = "LINES", default_value_t = PAGE_LINES_MAX)]
    pub max: usize,
    /// What it reads.
    #[command(flatten)]
    pub reads: Reads,
}

/// Whose words and dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Thai, with years of the Buddhist Era.
    #[value(name = "th")]
    Thai,
    /// English.
    #[value(name = "en")]
    English,
}

/// CSV, or a JSON object if it was asked for.
pub(in crate::cli) fn statement(output: Output, asked: &Statement) -> Result<(), CliError> {
    let language = match asked.language {
        Language::Thai => l10n::Language::Thai,
        Language::English => l10n::Language::English,
    };
    let after = match &asked.after {
        Some(text) => Some(parse_cursor(text).ok_or_else(|| BooksError::Cursor(text.clone()))?),
        None => None,
    };
    let query = StatementQuery {
        account: asked.account,
        from: asked.from,
        to: asked.to,
        after,
        max: asked.max,
    };
    let rows = look(&asked.folder, asked.reads.config.as_deref())?;
    let told = ask(rows.as_ref(), query).map_err(BooksError::Statement)?;
    if output.json {
        let fields = statement_json(&told, language).map_err(BooksError::Format)?;
        output.object(fields)
    } else {
        output.text(&statement_csv(&told, language).map_err(BooksError::Format)?)
    }
}
