//! `sync`, `status`, `outbox`.

use std::time::{Duration, Instant};

use super::args::{Outbox, Patience};
use super::error::CliError;
use super::gate::Gate;
use super::progress::Progress;
use super::wait::Drained;
use super::{Run, setup, show, wait};
use crate::api::{Request, Response};
use crate::error::NodeError;

pub(super) async fn status(run: &Run) -> Result<(), CliError> {
    let response = run.ask(Request::Status).await?;
    shown(run, &response)
}

/// Done when a relay is connected, everything that the relays have is here, and nothing is queued.
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
    let progress = Progress::new("sending");
    let drained = wait::drain(gate, &mut listener, timeout, &progress).await?;
    drop(progress);
    if let Drained::Refused(obstacle) = drained {
        return Err(obstacle.error().into());
    }
    loop {
        let left = timeout.saturating_sub(begun.elapsed());
        gate.wait_idle(left).await?;
        let Response::Status { queued, relays, .. } = gate.ask(Request::Status).await? else {
            return Err(CliError::Unexpected);
        };
        let all_here = relays
            .iter()
            .all(|relay| relay.state == "connected" && relay.caught_up);
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
                }
                .into());
            }
        }
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
