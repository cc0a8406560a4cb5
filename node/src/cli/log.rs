//! `log`: the history, and what arrives.

use serde::Serialize;

use super::args;
use super::error::CliError;
use super::gate::{Gate, Listener};
use super::output::note;
use super::signals::Interrupted;
use super::{Run, show};
use crate::api::{Event, MessageView, Request, Response, TimelineView};
use crate::error::NodeError;
use crate::node::Heard;

/// Messages asked for at once: with bodies of 16 KiB about 3 MiB, far below the longest line of the socket.
pub(super) const PAGE_MESSAGES: usize = 200;

pub(super) async fn run(run: &Run, log: args::Log) -> Result<(), CliError> {
    // Before the node is opened, so that no signal finds the program without its handlers.
    let stop = log.follow.then(Interrupted::listen).transpose()?;
    let mut gate = run.open(log.follow).await?;
    let outcome = match stop {
        None => show_all(run, &mut gate, log).await,
        Some(mut stop) => {
            let shared = gate.share(&run.home, |text| note(&text));
            let outcome = tokio::select! {
                outcome = show_all(run, &mut gate, log) => outcome.map_err(ended),
                () = stop.come() => Ok(()),
                () = run.output.reader_leaves() => Ok(()),
            };
            if let Some(shared) = shared {
                shared.end().await;
            }
            outcome
        }
    };
    gate.close().await;
    outcome
}

/// What a person who follows should know beside the reason.
fn ended(error: CliError) -> CliError {
    if matches!(error, CliError::Node(NodeError::DaemonGone)) {
        return NodeError::FollowedDaemonGone.into();
    }
    error
}

async fn show_all(run: &Run, gate: &mut Gate, log: args::Log) -> Result<(), CliError> {
    // Before the history is read, so that nothing falls between the two.
    let listener = if log.follow {
        Some(gate.subscribe().await?)
    } else {
        None
    };
    let timeline = history(run, gate, &log).await?;
    match listener {
        Some(listener) => follow(run, gate, listener, &timeline.id, log.ids).await,
        None => Ok(()),
    }
}

async fn history(run: &Run, gate: &mut Gate, log: &args::Log) -> Result<TimelineView, CliError> {
    let mut left = log.limit;
    let (timeline, mut from) = match log.from {
        Some(from) => (page(gate, &log.timeline, from, 0).await?.0, from),
        None => {
            let (timeline, ..) = page(gate, &log.timeline, 0, 0).await?;
            let from = timeline.messages.saturating_sub(left);
            (timeline, from)
        }
    };
    while left > 0 {
        let (_, messages) = page(gate, &timeline.id, from, left.min(PAGE_MESSAGES)).await?;
        if messages.is_empty() || run.output.is_unread() {
            break;
        }
        from += messages.len();
        left -= messages.len().min(left);
        messages
            .iter()
            .try_for_each(|message| print(run, &timeline.id, message, log.ids))?;
    }
    Ok(timeline)
}

/// A stretch of the history.
pub(super) async fn page(
    gate: &mut Gate,
    timeline: &str,
    from: usize,
    limit: usize,
) -> Result<(TimelineView, Vec<MessageView>), CliError> {
    let request = Request::Log {
        timeline: timeline.to_owned(),
        from: Some(from),
        limit: Some(limit),
    };
    let Response::Messages {
        timeline, messages, ..
    } = gate.ask(request).await?
    else {
        return Err(CliError::Unexpected);
    };
    Ok((timeline, messages))
}

/// Shows what arrives and what changes until told to stop. That the node ends
/// first is an error, since what arrives then is not shown.
async fn follow(
    run: &Run,
    gate: &mut Gate,
    mut listener: Listener,
    timeline: &str,
    ids: bool,
) -> Result<(), CliError> {
    while !run.output.is_unread() {
        match listener.next().await? {
            Heard::Event(
                Event::Message {
                    timeline: of,
                    message,
                }
                | Event::Changed {
                    timeline: of,
                    message,
                },
            ) => {
                if of == timeline {
                    one(run, gate, of, message, ids).await?;
                }
            }
            Heard::Event(
                Event::State { .. }
                | Event::Delivery { .. }
                | Event::Relay { .. }
                | Event::Fork { .. },
            ) => {}
            Heard::Event(Event::Missed { count }) | Heard::Missed(count) => {
                note(&format!(
                    "{count} events were missed; `khlong log` shows everything"
                ));
            }
        }
    }
    Ok(())
}

async fn one(
    run: &Run,
    gate: &mut Gate,
    timeline: String,
    message: String,
    ids: bool,
) -> Result<(), CliError> {
    let request = Request::Message { timeline, message };
    let Response::Messages {
        timeline, messages, ..
    } = gate.ask(request).await?
    else {
        return Err(CliError::Unexpected);
    };
    messages
        .iter()
        .try_for_each(|message| print(run, &timeline.id, message, ids))
}

/// One message, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    timeline: &'a str,
    #[serde(flatten)]
    message: &'a MessageView,
}

pub(super) fn print(
    run: &Run,
    timeline: &str,
    message: &MessageView,
    ids: bool,
) -> Result<(), CliError> {
    if run.output.json {
        run.output.object(&Line {
            kind: "message",
            timeline,
            message,
        })
    } else {
        show::message(run.output, message, ids)
    }
}
