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
    let only = match &log.timeline {
        Some(timeline) => Some(history(run, gate, timeline, &log).await?.id),
        None => {
            name_muted(gate).await?;
            None
        }
    };
    match listener {
        Some(listener) => follow(run, gate, listener, only.as_deref(), &log).await,
        None => Ok(()),
    }
}

/// Whoever follows everything should know what is left out.
async fn name_muted(gate: &mut Gate) -> Result<(), CliError> {
    let Response::Timelines { timelines } = gate.ask(Request::TimelineLs).await? else {
        return Err(CliError::Unexpected);
    };
    for view in timelines.iter().filter(|view| view.muted) {
        note(&format!("{} is muted", show::name(view)));
    }
    Ok(())
}

async fn history(
    run: &Run,
    gate: &mut Gate,
    timeline: &str,
    log: &args::Log,
) -> Result<TimelineView, CliError> {
    let mut left = log.limit;
    let (timeline, mut from) = match log.from {
        Some(from) => (page(gate, timeline, from, 0).await?.0, from),
        None => {
            let (timeline, ..) = page(gate, timeline, 0, 0).await?;
            let from = newest(gate, &timeline, left, log.with_blocked).await?;
            (timeline, from)
        }
    };
    let mut hidden = 0;
    while left > 0 {
        let (_, messages) = page(gate, &timeline.id, from, left.min(PAGE_MESSAGES)).await?;
        if messages.is_empty() || run.output.is_unread() {
            break;
        }
        from += messages.len();
        for message in &messages {
            if message.blocked && !log.with_blocked {
                hidden += 1;
            } else {
                left = left.saturating_sub(1);
                print(run, &timeline, message, log)?;
            }
        }
    }
    if hidden > 0 {
        note(&format!(
            "{hidden} hidden: their authors are blocked; --with-blocked shows them"
        ));
    }
    Ok(timeline)
}

/// Where the newest `count` messages that are shown begin.
async fn newest(
    gate: &mut Gate,
    timeline: &TimelineView,
    count: usize,
    with_blocked: bool,
) -> Result<usize, CliError> {
    if timeline.blocked == 0 || with_blocked {
        return Ok(timeline.messages.saturating_sub(count));
    }
    let (mut from, mut left) = (timeline.messages, count);
    while from > 0 && left > 0 {
        let size = from.min(left).min(PAGE_MESSAGES);
        from -= size;
        let (_, messages) = page(gate, &timeline.id, from, size).await?;
        left -= messages.iter().filter(|it| !it.blocked).count().min(left);
    }
    Ok(from)
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

/// Shows what arrives and what changes until told to stop, in `only` or in every timeline that
/// is not muted. That the node ends first is an error, since what arrives then is not shown.
async fn follow(
    run: &Run,
    gate: &mut Gate,
    mut listener: Listener,
    only: Option<&str>,
    log: &args::Log,
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
                if only.is_none_or(|only| of == only) {
                    one(run, gate, of, message, log).await?;
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
    log: &args::Log,
) -> Result<(), CliError> {
    let request = Request::Message { timeline, message };
    let Response::Messages {
        timeline, messages, ..
    } = gate.ask(request).await?
    else {
        return Err(CliError::Unexpected);
    };
    if log.timeline.is_none() && timeline.muted {
        return Ok(());
    }
    messages
        .iter()
        .filter(|message| log.with_blocked || !message.blocked)
        .try_for_each(|message| print(run, &timeline, message, log))
}

/// With its timeline before it where several are followed.
fn print(
    run: &Run,
    timeline: &TimelineView,
    message: &MessageView,
    log: &args::Log,
) -> Result<(), CliError> {
    if run.output.json || log.timeline.is_some() {
        return line(run, &timeline.id, message, log.ids);
    }
    let title = show::name(timeline);
    show::message(run.output, Some(title), message, log.ids)
}

/// One message, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    timeline: &'a str,
    #[serde(flatten)]
    message: &'a MessageView,
}

/// Of the history of one timeline.
pub(super) fn line(
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
        show::message(run.output, None, message, ids)
    }
}
