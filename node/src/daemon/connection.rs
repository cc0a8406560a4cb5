//! The daemon's side of one connection.

use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::line::{self, Asked, Control, ControlAnswer, Gap, Lines};
use crate::api::Response;
use crate::error::{ExitCode, NodeError};
use crate::node::{Heard, Node};

/// Longest wait that a [`Control::Sync`] may ask for: one hour.
const SYNC_MAX: Duration = Duration::from_secs(3_600);

/// Until the other side closes or breaks the rules.
pub(super) async fn serve(node: Node, stream: UnixStream) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    if let Err(error) = converse(&node, &mut reader, &mut writer).await {
        tracing::debug!(%error, "a connection to the socket ended");
    }
}

async fn converse(
    node: &Node,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> std::io::Result<()> {
    let mut lines = Lines::default();
    while let Some(bytes) = lines.next(reader, None).await? {
        match Asked::parse(&bytes) {
            Ok(Asked::Request(request)) => {
                let response = line::alive(writer, node.request(request)).await?;
                line::write(writer, &response).await?;
            }
            Ok(Asked::Control(Control::Events)) => {
                return events(node, lines, reader, writer).await;
            }
            Ok(Asked::Control(Control::Sync { timeout_ms })) => {
                let timeout = Duration::from_millis(timeout_ms).min(SYNC_MAX);
                let idle = line::alive(writer, node.wait_idle(timeout)).await?;
                line::write(writer, &ControlAnswer::Synced { idle }).await?;
            }
            Ok(Asked::Control(Control::Search(wanted))) => {
                let found = line::alive(writer, node.search(&wanted)).await?;
                let answer = found.map_or_else(|error| refused(&error), ControlAnswer::Found);
                line::write(writer, &answer).await?;
            }
            Ok(Asked::Control(Control::Checkpoint { folder })) => {
                let copied = line::alive(writer, node.checkpoint(folder)).await?;
                let answer = copied.map_or_else(|error| refused(&error), |()| ControlAnswer::Done);
                line::write(writer, &answer).await?;
            }
            Err(reason) => {
                let message = format!(
                    "the daemon does not understand the request ({reason}); use one version of khlong"
                );
                line::write(
                    writer,
                    &Response::Refused {
                        message,
                        exit_code: ExitCode::Usage as u8,
                    },
                )
                .await?;
            }
        }
    }
    Ok(())
}

fn refused(error: &NodeError) -> ControlAnswer {
    ControlAnswer::Refused {
        message: error.full_message(),
        exit_code: error.exit_code() as u8,
    }
}

/// Writes events until either side has enough. The listener says nothing any more: a line from it is the end.
async fn events(
    node: &Node,
    mut lines: Lines,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> std::io::Result<()> {
    let mut events = node.subscribe();
    line::write(writer, &ControlAnswer::Done).await?;
    loop {
        let heard = tokio::select! {
            heard = line::alive(writer, events.next()) => heard?,
            _ = lines.next(reader, None) => return Ok(()),
        };
        match heard {
            Some(Heard::Event(event)) => line::write(writer, &event).await?,
            Some(Heard::Missed(count)) => line::write(writer, &Gap::Missed { count }).await?,
            None => return Ok(()),
        }
    }
}
