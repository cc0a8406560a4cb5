//! After a command wrote: how far it waits for the network.

use std::time::{Duration, Instant};

use super::args::{Patience, WaitFor};
use super::error::CliError;
use super::gate::{Gate, Listener};
use super::progress::Progress;
use crate::api::{Delivery, Request, Response};
use crate::error::{ExitCode, NodeError};

/// What was written, as far as waiting needs it.
pub(super) struct Written<'a> {
    pub(super) timeline: &'a str,
    /// Present for a new message: only messages can be delivered and read.
    pub(super) message: Option<&'a str>,
}

/// Waits as the command was told, and says how far it came. Without `--wait`
/// nothing is insisted on; a daemon is not waited for then, since it goes on.
pub(super) async fn settle(
    gate: &mut Gate,
    listener: &mut Listener,
    patience: Patience,
    written: &Written<'_>,
) -> Result<Option<Delivery>, CliError> {
    match patience.want {
        Some(WaitFor::None) => Ok(None),
        None if gate.is_daemon() => Ok(None),
        None => {
            gate.wait_idle(patience.timeout).await?;
            reached(gate, written).await
        }
        Some(want) => insist(gate, listener, patience.timeout, want, written)
            .await
            .map(Some),
    }
}

async fn insist(
    gate: &mut Gate,
    listener: &mut Listener,
    timeout: Duration,
    want: WaitFor,
    written: &Written<'_>,
) -> Result<Delivery, CliError> {
    let begun = Instant::now();
    loop {
        let delivery = reached(gate, written).await?.unwrap_or(Delivery::Queued);
        if delivery == Delivery::Refused {
            return Err(CliError::Refused {
                message: "the relay refused it; `khlong outbox ls` tells why".to_owned(),
                exit_code: ExitCode::Untrusted as u8,
            });
        }
        if delivery >= wanted(want) {
            return Ok(delivery);
        }
        let left = timeout.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, listener.next()).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(NodeError::DaemonGone.into()),
            Err(_) => {
                let waited_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                return Err(NodeError::TimedOut {
                    what: name(want),
                    waited_ms,
                }
                .into());
            }
        }
    }
}

/// How far the message is; for other writes whether the timeline's outbox is empty.
async fn reached(gate: &mut Gate, written: &Written<'_>) -> Result<Option<Delivery>, CliError> {
    let timeline = written.timeline.to_owned();
    if let Some(message) = written.message {
        let request = Request::Message {
            timeline,
            message: message.to_owned(),
        };
        let Response::Messages { messages, .. } = gate.ask(request).await? else {
            return Err(CliError::Unexpected);
        };
        return Ok(messages.first().map(|message| message.delivery));
    }
    let Response::Timelines { timelines } = gate.ask(Request::TimelineLs).await? else {
        return Err(CliError::Unexpected);
    };
    let queued = timelines
        .iter()
        .filter(|view| timeline.is_empty() || view.id == timeline)
        .map(|view| view.queued);
    if queued.sum::<u64>() == 0 {
        return Ok(Some(Delivery::Stored));
    }
    let Response::Outbox { entries } = gate.ask(Request::OutboxLs).await? else {
        return Err(CliError::Unexpected);
    };
    let refused = entries
        .iter()
        .filter(|entry| timeline.is_empty() || entry.timeline == timeline)
        .any(|entry| entry.refused.is_some());
    Ok(Some(if refused {
        Delivery::Refused
    } else {
        Delivery::Queued
    }))
}

/// Waits until the outbox is empty, or time is up, and shows how it shrinks.
/// Whether it is empty.
pub(super) async fn drain(
    gate: &mut Gate,
    listener: &mut Listener,
    timeout: Duration,
    progress: &Progress,
) -> Result<bool, CliError> {
    let begun = Instant::now();
    let mut total = 0;
    loop {
        let Response::Status { queued, .. } = gate.ask(Request::Status).await? else {
            return Err(CliError::Unexpected);
        };
        total = total.max(queued);
        progress.set(total, total - queued);
        if queued == 0 {
            return Ok(true);
        }
        let left = timeout.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, listener.next()).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(NodeError::DaemonGone.into()),
            Err(_) => return Ok(false),
        }
    }
}

fn wanted(want: WaitFor) -> Delivery {
    match want {
        WaitFor::None => Delivery::Queued,
        WaitFor::Stored => Delivery::Stored,
        WaitFor::Delivered => Delivery::Delivered,
        WaitFor::Read => Delivery::Read,
    }
}

fn name(want: WaitFor) -> &'static str {
    match want {
        WaitFor::None => "written",
        WaitFor::Stored => "stored",
        WaitFor::Delivered => "delivered",
        WaitFor::Read => "read",
    }
}
