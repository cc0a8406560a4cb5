//! `send`, `reply`, `edit`, `delete`, `react`, `read`.

use std::io::{self, Read as _};
use std::path::PathBuf;

use khlong_document::timeline::limits::MESSAGE_BODY_BYTES_MAX;

use super::Run;
use super::args::Patience;
use super::error::CliError;
use crate::api::{Request, Response};
use crate::error::ExitCode;
use crate::shown;

/// Read from standard input: a whole message, its line end, and one byte that tells a longer one.
const STDIN_BYTES_MAX: u64 = MESSAGE_BODY_BYTES_MAX as u64 + 2;

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
    shown(run, &settled.response).map_err(CliError::after_writing)?;
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
            shown::short(message),
            shown::delivery(*delivery)
        )),
        (None, Some(_)) => run.output.line(shown::delivery(*delivery)),
        (None, None) => run.output.line("nothing to do"),
    }
}

/// The text as given, or all of standard input without its last line end.
pub(super) fn text(given: String) -> Result<String, CliError> {
    if given != "-" {
        return Ok(given);
    }
    let unreadable = |source| CliError::Unreadable {
        path: PathBuf::from("standard input"),
        source,
    };
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(STDIN_BYTES_MAX)
        .read_to_end(&mut bytes);
    read.map_err(unreadable)?;
    let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    // Before the text is looked at: what was cut may end within a character.
    if body.len() > MESSAGE_BODY_BYTES_MAX {
        return Err(CliError::Refused {
            message: format!(
                "the text on standard input is too long for a message: at most {MESSAGE_BODY_BYTES_MAX} fit, in bytes"
            ),
            // As the node refuses one that was given as an argument.
            exit_code: ExitCode::Failure as u8,
        });
    }
    let text = std::str::from_utf8(body);
    let not_text = |error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error));
    Ok(text.map_err(not_text)?.to_owned())
}
