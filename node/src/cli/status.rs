//! `sync`, `status`, `outbox`.

use std::time::{Duration, Instant};

use super::args::{Outbox, Patience};
use super::error::CliError;
use super::gate::Gate;
use super::progress::Progress;
use super::wait::Drained;
use super::{Run, setup, show, wait};
use crate::api::{RelayView, Request, Response};
use crate::error::NodeError;

/// Between two looks at who has answered.
const PROBE_LOOK_EVERY: Duration = Duration::from_millis(20);

/// Between two looks at how much has arrived, if somebody watches.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long `status` waits for relays that were asked whether they are still there.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

pub(super) async fn status(run: &Run) -> Result<(), CliError> {
    let mut gate = run.look().await?;
    let status = probed(&mut gate).await;
    gate.close().await;
    shown(run, &status?)
}

/// The status, once every connected relay has answered or has had the time to.
async fn probed(gate: &mut Gate) -> Result<Response, CliError> {
    let begun = Instant::now();
    let mut answer = gate.ask(Request::Probe).await?;
    while let Response::Relays { relays } = &answer
        && relays.iter().any(|relay| relay.probing)
        && begun.elapsed() < ANSWER_WAIT_MAX
    {
        gate.wait_idle(PROBE_LOOK_EVERY).await?;
        answer = gate.ask(Request::RelayLs).await?;
    }
    gate.ask(Request::Status).await
}

/// Done when every relay is connected and has answered, everything that they have is here, and nothing is queued.
pub(super) async fn sync(run: &Run, timeout: Duration) -> Result<(), CliError> {
    let mut gate = run.open(true).await?;
    let outcome = synced(&mut gate, timeout).await;
    let status = gate.ask(Request::Status).await;
    gate.close().await;
    shown(run, &status?)?;
    outcome
}

async fn synced(gate: &mut Gate, timeout: Duration) -> Result<(), CliError> {
    let begun = Instant::now();
    let mut listener = gate.subscribe().await?;
    // Of a relay that died in silence the node knows nothing yet.
    gate.ask(Request::Probe).await?;
    let progress = Progress::new("sending");
    let drained = wait::drain(gate, &mut listener, timeout, &progress).await?;
    drop(progress);
    if let Drained::Refused(obstacle) = drained {
        return Err(obstacle.error().into());
    }
    loop {
        let left = timeout.saturating_sub(begun.elapsed());
        let (queued, relays) = idle(gate, left).await?;
        let all_here = relays
            .iter()
            .all(|relay| relay.state == "connected" && relay.caught_up && !relay.probing);
        if queued == 0 && all_here && !relays.is_empty() {
            return Ok(());
        }
        if relays.is_empty() {
            return Err(CliError::Config(
                "no relay is known; add one with `khlong relay add`".to_owned(),
            ));
        }
        // A relay out of reach is tried again by the node itself; its events tell how that went.
        let left = timeout.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, listener.next()).await {
            Ok(heard) => drop(heard?),
            Err(_) => {
                wait::check_keys(&relays)?;
                let waited_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                return Err(NodeError::TimedOut {
                    what: "in step with every relay",
                    waited_ms,
                    stands: if relays
                        .iter()
                        .any(|relay| relay.reoffering > 0 || queued == 0 && relay.lacking > 0)
                    {
                        "a relay lacks what it had or missed; that is offered when it is reached"
                    } else if queued == 0 {
                        "nothing is queued here; what others wrote comes when a relay is reached"
                    } else {
                        wait::STAYS_QUEUED
                    },
                }
                .into());
            }
        }
    }
}

/// Waits until nothing moves, and shows meanwhile how much of what the relays
/// announced has come. What is queued then, and the relays.
async fn idle(gate: &mut Gate, timeout: Duration) -> Result<(u64, Vec<RelayView>), CliError> {
    let begun = Instant::now();
    let progress = Progress::new("receiving");
    loop {
        let left = timeout.saturating_sub(begun.elapsed());
        let slice = if progress.is_shown() {
            left.min(LOOK_EVERY)
        } else {
            left
        };
        let is_idle = gate.wait_idle(slice).await?;
        let Response::Status { queued, relays, .. } = gate.ask(Request::Status).await? else {
            return Err(CliError::Unexpected);
        };
        if is_idle || slice == left {
            return Ok((queued, relays));
        }
        let announced = relays.iter().map(|relay| relay.announced).sum::<u64>();
        let arrived = relays.iter().map(|relay| relay.arrived).sum::<u64>();
        progress.set(announced, arrived.min(announced));
    }
}

fn shown(run: &Run, response: &Response) -> Result<(), CliError> {
    let Response::Status {
        queued,
        relays,
        timelines,
    } = response
    else {
        return Err(CliError::Unexpected);
    };
    if run.output.json {
        return run.output.object(response);
    }
    setup::list(run.output, relays)?;
    timelines
        .iter()
        .try_for_each(|view| show::timeline(run.output, view))?;
    run.output.line(&match queued {
        0 => "nothing is queued".to_owned(),
        _ => format!("{queued} queued; `khlong outbox ls` shows them"),
    })
}

pub(super) async fn outbox(run: &Run, command: Outbox) -> Result<(), CliError> {
    let (request, patience) = match command {
        Outbox::Ls => (Request::OutboxLs, None),
        Outbox::Drop { timeline } => (Request::OutboxDrop { timeline }, None),
        Outbox::Retry { wait } => (Request::OutboxRetry, Some(Patience::from(wait))),
    };
    let mut waited = Ok(());
    let response = match patience {
        None => run.ask(request).await?,
        Some(patience) => {
            let (settled, mut gate) = run.write(request, patience).await?;
            let entries = gate.ask(Request::OutboxLs).await;
            gate.close().await;
            waited = settled.waited;
            entries?
        }
    };
    let Response::Outbox { entries } = &response else {
        return Err(CliError::Unexpected);
    };
    if run.output.json {
        run.output.object(&response)?;
    } else {
        entries
            .iter()
            .try_for_each(|entry| show::outbox_entry(run.output, entry))?;
    }
    waited
}
