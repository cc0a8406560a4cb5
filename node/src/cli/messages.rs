//! `send`, `reply`, `edit`, `delete`, `react`, `read`.

use std::io::Read as _;
use std::path::PathBuf;

use super::args::Patience;
use super::error::CliError;
use super::{Run, show};
use crate::api::{Request, Response};

/// Read from standard input; a message may hold far less, and the node says so.
const STDIN_BYTES_MAX: u64 = 1024 * 1024;

pub(super) async fn send(
    run: &Run,
    timeline: String,
    body: String,
    reply_to: Option<String>,
    patience: Patience,
) -> Result<(), CliError> {
    let body = text(body)?;
    change(
        run,
        Request::Send {
            timeline,
            body,
            reply_to,
        },
        patience,
    )
    .await
}

pub(super) async fn change(
    run: &Run,
    request: Request,
    patience: Patience,
) -> Result<(), CliError> {
    let (settled, gate) = run.write(request, patience).await?;
    gate.close().await;
    shown(run, &settled.response)?;
    settled.waited
}

fn shown(run: &Run, response: &Response) -> Result<(), CliError> {
    let Response::Written {
        message,
        envelope,
        delivery,
        ..
    } = response
    else {
        return Err(CliError::Unexpected);
    };
    if run.output.json {
        return run.output.object(response);
    }
    match (message, envelope) {
        (Some(message), _) => run.output.line(&format!(
            "{}  {}",
            show::short(message),
            show::delivery(*delivery)
        )),
        (None, Some(_)) => run.output.line(show::delivery(*delivery)),
        (None, None) => run.output.line("nothing to do"),
    }
}

/// The text as given, or all of standard input without its last line end.
pub(super) fn text(given: String) -> Result<String, CliError> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(STDIN_BYTES_MAX)
        .read_to_string(&mut text);
    read.map_err(|source| CliError::Unreadable {
        path: PathBuf::from("standard input"),
        source,
    })?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}
