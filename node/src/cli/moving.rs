//! `timeline relays|move`.

use std::time::{Duration, Instant};

use khlong_sync::wire::code::ErrorCode;

use super::error::CliError;
use super::gate::{Gate, Listener};
use super::progress::Progress;
use super::{Run, show};
use crate::api::{Request, Response, TimelineRelayView};
use crate::error::NodeError;

/// How long former relays that are in reach are waited for once the timeline has moved.
const LEAVE_WAIT_MAX: Duration = Duration::from_secs(3);

pub(super) async fn relays(run: &Run, timeline: String) -> Result<(), CliError> {
    let response = run.ask(Request::TimelineRelays { timeline }).await?;
    shown(run, &response)
}

pub(super) async fn run(
    run: &Run,
    timeline: String,
    to: Vec<String>,
    timeout: Duration,
) -> Result<(), CliError> {
    let mut gate = run.open(true).await?;
    let outcome = moved(&mut gate, timeline, to, timeout).await;
    gate.close().await;
    let (response, waited) = outcome?;
    shown(run, &response).map_err(CliError::after_writing)?;
    waited
}

async fn moved(
    gate: &mut Gate,
    timeline: String,
    to: Vec<String>,
    timeout: Duration,
) -> Result<(Response, Result<(), CliError>), CliError> {
    let mut listener = gate.subscribe().await?;
    let response = gate.ask(Request::TimelineMove { timeline, to }).await?;
    let Response::TimelineRelays { timeline, .. } = &response else {
        return Err(CliError::Unexpected);
    };
    let timeline = timeline.clone();
    let waited = arrived(gate, &mut listener, &timeline, timeout).await;
    let response = gate.ask(Request::TimelineRelays { timeline }).await?;
    Ok((response, waited))
}

/// Until every relay that stays has everything; of the former ones those in reach are waited for a while.
async fn arrived(
    gate: &mut Gate,
    listener: &mut Listener,
    timeline: &str,
    timeout: Duration,
) -> Result<(), CliError> {
    let mut until = Instant::now() + timeout;
    let progress = Progress::new("moving");
    let (mut total, mut has_arrived) = (0, false);
    loop {
        let relays = of(gate, timeline).await?;
        let staying = || relays.iter().filter(|relay| !relay.leaving);
        let owed = staying().map(|relay| relay.owed).sum::<u64>();
        total = total.max(owed);
        progress.set(total, total - owed);
        if let Some(code) = staying().find_map(|relay| relay.code) {
            let code = ErrorCode::from_number(code);
            return Err(NodeError::RefusedByRelay { code }.into());
        }
        let is_there = owed == 0 && staying().all(|relay| !relay.arriving);
        if is_there && !has_arrived {
            has_arrived = true;
            until = until.min(Instant::now() + LEAVE_WAIT_MAX);
        }
        let is_awaited = |relay: &TimelineRelayView| relay.leaving && relay.last_error.is_none();
        if has_arrived && !relays.iter().any(is_awaited) {
            return Ok(());
        }
        let left = until.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, listener.next()).await {
            Ok(heard) => drop(heard?),
            Err(_) if has_arrived => return Ok(()),
            Err(_) => {
                return Err(NodeError::TimedOut {
                    what: "at its new relay",
                    waited_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
                    stands: "the former relays are used until it is, and the move goes on by itself",
                }
                .into());
            }
        }
    }
}

async fn of(gate: &mut Gate, timeline: &str) -> Result<Vec<TimelineRelayView>, CliError> {
    let timeline = timeline.to_owned();
    let response = gate.ask(Request::TimelineRelays { timeline }).await?;
    let Response::TimelineRelays { relays, .. } = response else {
        return Err(CliError::Unexpected);
    };
    Ok(relays)
}

fn shown(run: &Run, response: &Response) -> Result<(), CliError> {
    let Response::TimelineRelays { relays, .. } = response else {
        return Err(CliError::Unexpected);
    };
    if run.output.json {
        return run.output.object(response);
    }
    let mut relays = relays.iter();
    relays.try_for_each(|relay| show::timeline_relay(run.output, relay))
}
