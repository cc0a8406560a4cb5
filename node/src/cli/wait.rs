//! After a command wrote: how far it waits for the network.

use std::time::{Duration, Instant};

use khlong_sync::wire::code::ErrorCode;

use super::args::{Patience, WaitFor};
use super::error::CliError;
use super::gate::{Gate, Listener};
use super::progress::Progress;
use crate::api::{Delivery, OutboxView, RelayView, Request, Response};
use crate::error::{ExitCode, NodeError};

/// What was written, as far as waiting needs it.
pub(super) struct Written<'a> {
    pub(super) timeline: &'a str,
    /// Present for a new message: only messages can be delivered and read.
    pub(super) message: Option<&'a str>,
    /// Place of that message's envelope in the own chain.
    pub(super) seq: Option<u64>,
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
        if !matches!(delivery, Delivery::Refused | Delivery::Dropped) && delivery >= wanted(want) {
            return Ok(delivery);
        }
        let obstacle = match delivery {
            Delivery::Queued | Delivery::Refused | Delivery::Dropped => {
                obstacle(gate, written).await?
            }
            Delivery::Stored | Delivery::Delivered | Delivery::Read | Delivery::Received => None,
        };
        if let Some(obstacle) = obstacle
            && obstacle.needs_somebody()
            && (obstacle.for_good || everyone_answered(gate).await?)
        {
            return Err(obstacle.error().into());
        }
        let left = timeout.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, listener.next()).await {
            Ok(heard) => drop(heard?),
            Err(_) => {
                let late = NodeError::TimedOut {
                    what: name(want),
                    waited_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
                    stands: standing(delivery),
                };
                let why = obstacle.filter(Obstacle::tells_more_than_late);
                if why.is_none() {
                    check_keys(&relays(gate).await?)?;
                }
                return Err(why.map_or(late, |obstacle| obstacle.error()).into());
            }
        }
    }
}

/// How far the message is; for other writes whether the timeline's outbox is empty.
pub(super) async fn reached(
    gate: &mut Gate,
    written: &Written<'_>,
) -> Result<Option<Delivery>, CliError> {
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
    let obstacle = obstacle(gate, written).await?;
    Ok(Some(match obstacle {
        Some(Obstacle { for_good: true, .. }) => Delivery::Refused,
        Some(_) | None => Delivery::Queued,
    }))
}

/// Why something is not stored: what a relay said against it.
#[derive(Clone, Copy)]
pub(super) struct Obstacle {
    code: ErrorCode,
    /// Nothing changes before somebody acts on it.
    for_good: bool,
}

impl Obstacle {
    fn of(entry: &OutboxView) -> Option<Self> {
        let code = ErrorCode::from_number(entry.code?);
        let for_good = entry.refused.is_some();
        Some(Self { code, for_good })
    }

    /// Whether waiting alone does not help: a refusal for good, or want of room,
    /// which an operator has to make.
    fn needs_somebody(&self) -> bool {
        self.for_good || ExitCode::of_refusal(self.code) == ExitCode::Full
    }

    /// Whether scripts tell it apart: else "timed out" says as much.
    fn tells_more_than_late(&self) -> bool {
        ExitCode::of_refusal(self.code) != ExitCode::Failure
    }

    pub(super) fn error(self) -> NodeError {
        NodeError::RefusedByRelay { code: self.code }
    }
}

/// What holds up the message, or anything of the timeline.
async fn obstacle(gate: &mut Gate, written: &Written<'_>) -> Result<Option<Obstacle>, CliError> {
    let Response::Outbox { entries } = gate.ask(Request::OutboxLs).await? else {
        return Err(CliError::Unexpected);
    };
    let of_timeline =
        |entry: &&OutboxView| written.timeline.is_empty() || entry.timeline == written.timeline;
    let first = || entries.iter().filter(of_timeline).find_map(Obstacle::of);
    let Some(seq) = written.seq else {
        return Ok(first());
    };
    let own = entries.iter().filter(of_timeline);
    let own = own.filter(|entry| entry.seq == seq).find_map(Obstacle::of);
    Ok(match own {
        // The relay does not know the timeline, because it refused what opens it.
        Some(own) if own.code == ErrorCode::UnknownTimeline => first(),
        Some(_) => own,
        // Behind what is put off others wait too; a refusal for good concerns its envelope only.
        None => first().filter(|obstacle| !obstacle.for_good),
    })
}

/// Whether a relay is in reach and none is being asked any more.
async fn everyone_answered(gate: &mut Gate) -> Result<bool, CliError> {
    if !gate.wait_idle(Duration::ZERO).await? {
        return Ok(false);
    }
    let relays = relays(gate).await?;
    Ok(relays.iter().any(|relay| relay.state == "connected"))
}

async fn relays(gate: &mut Gate) -> Result<Vec<RelayView>, CliError> {
    let Response::Relays { relays } = gate.ask(Request::RelayLs).await? else {
        return Err(CliError::Unexpected);
    };
    Ok(relays)
}

/// Whether nothing came because no relay is reached and one of them has a wrong key: waiting
/// longer would not help, and somebody may be in between.
pub(super) fn check_keys(relays: &[RelayView]) -> Result<(), CliError> {
    let is_reached = relays.iter().any(|relay| relay.state == "connected");
    let wrong = relays.iter().find(|relay| relay.wrong_key);
    match wrong {
        Some(relay) if !is_reached => {
            let why = relay.last_error.clone().unwrap_or_default();
            Err(NodeError::WrongKey(why).into())
        }
        Some(_) | None => Ok(()),
    }
}

/// How waiting for an empty outbox ended.
pub(super) enum Drained {
    Empty,
    /// Time was up.
    Late,
    /// Everything that is left is refused.
    Refused(Obstacle),
}

/// Waits until the outbox is empty, or time is up, and shows how it shrinks.
pub(super) async fn drain(
    gate: &mut Gate,
    listener: &mut Listener,
    timeout: Duration,
    progress: &Progress,
) -> Result<Drained, CliError> {
    let begun = Instant::now();
    let mut total = 0;
    loop {
        let Response::Status { queued, .. } = gate.ask(Request::Status).await? else {
            return Err(CliError::Unexpected);
        };
        total = total.max(queued);
        progress.set(total, total - queued);
        if queued == 0 {
            return Ok(Drained::Empty);
        }
        // The outbox may be long: it is looked through only when nothing moves.
        if everyone_answered(gate).await?
            && let Some(obstacle) = whole_obstacle(gate).await?
        {
            return Ok(Drained::Refused(obstacle));
        }
        let left = timeout.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, listener.next()).await {
            Ok(heard) => drop(heard?),
            Err(_) => return Ok(Drained::Late),
        }
    }
}

/// The first refusal, if nothing of the outbox can go out before somebody acts.
async fn whole_obstacle(gate: &mut Gate) -> Result<Option<Obstacle>, CliError> {
    let Response::Outbox { entries } = gate.ask(Request::OutboxLs).await? else {
        return Err(CliError::Unexpected);
    };
    let mut first = None;
    for entry in &entries {
        match Obstacle::of(entry) {
            Some(obstacle) if obstacle.needs_somebody() => first = first.or(Some(obstacle)),
            Some(_) | None => return Ok(None),
        }
    }
    Ok(first)
}

/// What holds of something that is in the outbox still.
pub(super) const STAYS_QUEUED: &str = "it stays queued and goes out when a relay is reached";

fn standing(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Queued => STAYS_QUEUED,
        Delivery::Stored => "it is stored: a relay has it, and others get it when they connect",
        Delivery::Delivered => "it is delivered: a device of another member has it",
        Delivery::Read | Delivery::Received => "another member has it",
        Delivery::Dropped => "it was taken out of the outbox, and no relay has it",
        Delivery::Refused => "a relay refused it; see `khlong outbox ls`",
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
