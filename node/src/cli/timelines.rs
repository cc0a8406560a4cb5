//! `timeline new|invite|join|ls|rename|mute|unmute|leave`; `relay` is in [`super::carriers`].

use std::time::Duration;

use khlong_sync::wire::code::ErrorCode;

use super::args::{Patience, Timeline};
use super::error::CliError;
use super::gate::{Gate, Listener};
use super::{Run, Settled, carriers, show};
use crate::api::{Request, Response, TimelineView};
use crate::error::NodeError;

pub(super) async fn run(run: &Run, command: Timeline) -> Result<(), CliError> {
    let (request, patience): (Request, Patience) = match command {
        Timeline::Ls => return ls(run).await,
        Timeline::Relay(command) => return carriers::run(run, command).await,
        Timeline::Mute { timeline } => return mute(run, timeline, true).await,
        Timeline::Unmute { timeline } => return mute(run, timeline, false).await,
        Timeline::Join { link, wait } => return join(run, link, wait.into()).await,
        Timeline::Invite {
            timeline,
            to,
            read_only,
            expires,
            qr,
            wait,
        } => {
            let request = Request::TimelineInvite {
                timeline,
                to,
                read_only,
                // Rounded up: 0 would be for ever.
                expires_in_s: u64::try_from(expires.as_millis().div_ceil(1_000))
                    .unwrap_or(u64::MAX),
            };
            return invite(run, request, qr, wait.into()).await;
        }
        Timeline::New {
            title,
            kind,
            relays,
            wait,
        } => (
            Request::TimelineNew {
                title,
                kind: kind.name().to_owned(),
                relays,
            },
            wait.into(),
        ),
        Timeline::Rename {
            timeline,
            title,
            wait,
        } => (Request::TimelineRename { timeline, title }, wait.into()),
        Timeline::Leave { timeline, wait } => (Request::TimelineLeave { timeline }, wait.into()),
    };
    let (settled, mut gate) = run.write(request, patience).await?;
    let response = refreshed(&mut gate, settled.response).await;
    gate.close().await;
    shown(run, &response?).map_err(CliError::after_writing)?;
    settled.waited
}

async fn ls(run: &Run) -> Result<(), CliError> {
    let response = run.ask(Request::TimelineLs).await?;
    let Response::Timelines { timelines } = &response else {
        return Err(CliError::Unexpected);
    };
    if run.output.json {
        return run.output.object(&response);
    }
    timelines
        .iter()
        .try_for_each(|view| show::timeline(run.output, view))
}

async fn mute(run: &Run, timeline: String, muted: bool) -> Result<(), CliError> {
    let response = run.ask(Request::TimelineMute { timeline, muted }).await?;
    shown(run, &response)
}

async fn invite(run: &Run, request: Request, qr: bool, patience: Patience) -> Result<(), CliError> {
    let (settled, gate) = run.write(request, patience).await?;
    gate.close().await;
    let Response::Invite { link, .. } = &settled.response else {
        return Err(CliError::Unexpected);
    };
    if run.output.json {
        run.output.object(&settled.response)
    } else {
        let line = run.output.line(link);
        line.and_then(|()| {
            if qr {
                show::qr(run.output, link)
            } else {
                Ok(())
            }
        })
    }
    .map_err(CliError::after_writing)?;
    settled.waited
}

/// A joiner wants to read at once, so the history is waited for as well, as
/// long as the command waits at all.
async fn join(run: &Run, link: String, patience: Patience) -> Result<(), CliError> {
    let mut gate = run.open(!patience.offline()).await?;
    let joined = joined(&mut gate, link, patience).await;
    gate.close().await;
    let Settled { response, waited } = joined?;
    shown(run, &response).map_err(CliError::after_writing)?;
    waited
}

async fn joined(gate: &mut Gate, link: String, patience: Patience) -> Result<Settled, CliError> {
    let mut listener = gate.subscribe().await?;
    let settled = super::write(gate, Request::TimelineJoin { link }, patience).await?;
    let Settled {
        response,
        mut waited,
    } = settled;
    if !patience.offline() {
        if waited.is_ok() {
            waited = arrived(gate, &mut listener, &response, patience.timeout).await;
        }
        match check_let_in(gate, &response).await {
            Err(CliError::Node(error @ NodeError::NotLetIn { .. })) => return Err(error.into()),
            checked => waited = waited.and(checked),
        }
    }
    // That it is being joined is told in any case, also when nobody can say how far it came.
    let response = match refreshed(gate, response.clone()).await {
        Ok(now) => now,
        Err(error) => {
            waited = waited.and(Err(error));
            response
        }
    };
    Ok(Settled { response, waited })
}

/// Until the timeline has its genesis and what the relays have of it, or time is up.
async fn arrived(
    gate: &mut Gate,
    listener: &mut Listener,
    response: &Response,
    timeout: Duration,
) -> Result<(), CliError> {
    let Response::Timeline { timeline } = response else {
        return Ok(());
    };
    let arriving = async {
        while let Some(view) = find(gate, &timeline.id).await?
            && view.kind == "joining"
            && !is_refused(gate, &timeline.id).await?
        {
            listener.next().await?;
        }
        Ok::<(), CliError>(())
    };
    if let Ok(arrived) = tokio::time::timeout(timeout, arriving).await {
        arrived?;
    }
    gate.wait_idle(timeout).await?;
    Ok(())
}

/// Whether waiting longer cannot help: a relay's last word was no.
async fn is_refused(gate: &mut Gate, timeline: &str) -> Result<bool, CliError> {
    let Response::Outbox { entries } = gate.ask(Request::OutboxLs).await? else {
        return Err(CliError::Unexpected);
    };
    let mut own = entries.iter().filter(|entry| entry.timeline == timeline);
    Ok(own.any(|entry| entry.refused.is_some()))
}

/// Whoever waited for the relay hears what it said; what it refused leaves nothing behind.
async fn check_let_in(gate: &mut Gate, response: &Response) -> Result<(), CliError> {
    let Response::Timeline { timeline } = response else {
        return Ok(());
    };
    let timeline = timeline.id.clone();
    let ended = gate.ask(Request::TimelineJoinEnd { timeline }).await?;
    let Response::NotLetIn { code, .. } = ended else {
        return Ok(());
    };
    let code = ErrorCode::from_number(code);
    Err(NodeError::NotLetIn { code }.into())
}

/// The timeline as it stands after the wait.
async fn refreshed(gate: &mut Gate, response: Response) -> Result<Response, CliError> {
    let Response::Timeline { timeline } = &response else {
        return Ok(response);
    };
    let now = find(gate, &timeline.id).await?;
    Ok(now.map_or(response, |timeline| Response::Timeline { timeline }))
}

pub(super) async fn find(gate: &mut Gate, id: &str) -> Result<Option<TimelineView>, CliError> {
    let Response::Timelines { timelines } = gate.ask(Request::TimelineLs).await? else {
        return Err(CliError::Unexpected);
    };
    Ok(timelines.into_iter().find(|view| view.id == id))
}

fn shown(run: &Run, response: &Response) -> Result<(), CliError> {
    let Response::Timeline { timeline } = response else {
        return Err(CliError::Unexpected);
    };
    if run.output.json {
        run.output.object(response)
    } else {
        show::timeline(run.output, timeline)
    }
}
