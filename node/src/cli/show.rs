//! Answers as text for people: nicknames and titles, and of ids only the start.

use super::error::CliError;
use super::output::Output;
use crate::api::{BlockedView, CarrierView, MessageView, OutboxView, RelayView, TimelineView};
use crate::shown::{delivery, escaped, short};

/// A time of an answer, up to the minute.
pub(super) fn minute(rfc3339: &str) -> String {
    rfc3339.get(..16).unwrap_or(rfc3339).replace('T', " ")
}

/// What people call a timeline: its title, else the start of its id.
pub(super) fn name(view: &TimelineView) -> &str {
    if view.title.is_empty() {
        short(&view.id)
    } else {
        &view.title
    }
}

/// `title` is for where messages of several timelines are mixed.
pub(super) fn message(
    output: Output,
    title: Option<&str>,
    message: &MessageView,
    whole_id: bool,
) -> Result<(), CliError> {
    let id = if whole_id {
        message.id.as_str()
    } else {
        short(&message.id)
    };
    let when = minute(&message.sent_at);
    let mut head = format!("{when}  {id}  {}", escaped(&message.author));
    if let Some(title) = title {
        head = format!("{}  {head}", escaped(title));
    }
    if message.blocked {
        head.push_str(" (blocked)");
    }
    if let Some(network) = &message.origin {
        head.push_str(&format!(" ({})", escaped(network)));
    }
    if let Some(answered) = &message.reply_to {
        head.push_str(&format!("  ↳ {}", short(answered)));
    }
    let body = if message.deleted {
        "(deleted)"
    } else {
        message.body.as_str()
    };
    let mut lines = body.lines();
    let mut tail = String::new();
    if message.edited && !message.deleted {
        tail.push_str("  (edited)");
    }
    for reaction in &message.reactions {
        tail.push_str(&format!(
            "  {} {}",
            escaped(&reaction.emoji),
            escaped(&reaction.by.join(", "))
        ));
    }
    if message.mine {
        tail.push_str(&format!("  [{}]", delivery(message.delivery)));
    }
    let first = escaped(lines.next().unwrap_or_default());
    let rest: Vec<String> = lines.map(|line| format!("    {}", escaped(line))).collect();
    output.raw(&format!(
        "{head}: {first}{}",
        if rest.is_empty() { tail.as_str() } else { "" }
    ))?;
    let last = rest.len();
    for (number, line) in rest.iter().enumerate() {
        let end = if number + 1 == last {
            tail.as_str()
        } else {
            ""
        };
        output.raw(&format!("{line}{end}"))?;
    }
    Ok(())
}

pub(super) fn timeline(output: Output, view: &TimelineView) -> Result<(), CliError> {
    let title = if view.title.is_empty() {
        "(no title yet)"
    } else {
        &view.title
    };
    let mut line = format!("{}  {title}  {}", short(&view.id), view.kind);
    if !view.followed {
        line.push_str(", left");
    }
    if view.muted {
        line.push_str(", muted");
    }
    line.push_str(&format!("  {} messages", view.messages));
    // What is muted draws no attention.
    let unread = if view.muted { 0 } else { view.unread as u64 };
    for (count, what) in [
        (unread, "unread"),
        (view.queued, "queued"),
        (view.parked as u64, "waiting for a key or a message"),
    ] {
        if count > 0 {
            line.push_str(&format!(", {count} {what}"));
        }
    }
    if !view.members.is_empty() {
        line.push_str(&format!("  with {}", view.members.join(", ")));
    }
    output.line(&line)
}

pub(super) fn carrier(output: Output, view: &CarrierView) -> Result<(), CliError> {
    let mut line = format!("{}  {}", view.address, view.state);
    if view.leaving {
        line.push_str(", is being left");
    }
    if view.lacking > 0 {
        line.push_str(&format!(", lacks {}", view.lacking));
    }
    if let Some(code) = &view.refuses {
        line.push_str(&format!(", refuses some of it: {code}"));
    }
    let (stored, pushed) = (&view.last_stored_at, &view.last_pushed_at);
    line.push_str(&served(stored.as_deref(), pushed.as_deref()));
    output.line(&line)
}

/// When a relay last stored something and sent something, as far as that is known.
fn served(stored: Option<&str>, pushed: Option<&str>) -> String {
    let last = |what: &str, at: Option<&str>| {
        at.map_or_else(String::new, |at| format!(", last {what} {}", minute(at)))
    };
    last("stored", stored) + &last("sent", pushed)
}

pub(super) fn blocked(output: Output, view: &BlockedView) -> Result<(), CliError> {
    let title = if view.title.is_empty() {
        short(&view.timeline)
    } else {
        &view.title
    };
    output.line(&format!(
        "{}  {}  in {}  since {}",
        short(&view.author_id),
        view.author,
        title,
        minute(&view.since)
    ))
}

pub(super) fn relay(output: Output, view: &RelayView) -> Result<(), CliError> {
    // It is nobody's failure: a command that only looks leaves the network alone.
    let state = if view.state == "off" {
        "not tried by this command; `khlong sync` connects, `khlong daemon` stays connected"
    } else {
        &view.state
    };
    let mut line = format!("{}  {state}", view.address);
    if view.probing {
        line.push_str(", has not answered yet");
    } else if view.state == "connected" && view.caught_up {
        line.push_str(", all here");
    }
    if view.reoffering > 0 {
        line.push_str(&format!(
            ", at most {} of its history still to be offered",
            view.reoffering
        ));
        if let Some(reason) = &view.reoffer_refused {
            line.push_str(&format!(", put off: {reason}"));
        }
    }
    if view.lacking > 0 {
        line.push_str(&format!(", lacks {} of yours", view.lacking));
    }
    if view.refused > 0 {
        line.push_str(&format!(", refused {} of yours", view.refused));
    }
    let (stored, pushed) = (&view.last_stored_at, &view.last_pushed_at);
    line.push_str(&served(stored.as_deref(), pushed.as_deref()));
    if let Some(error) = &view.last_error {
        line.push_str(&format!("  ({error})"));
    }
    output.line(&line)
}

pub(super) fn outbox_entry(output: Output, entry: &OutboxView) -> Result<(), CliError> {
    let (timeline, envelope) = (short(&entry.timeline), short(&entry.envelope));
    let mut line = format!(
        "{timeline}  {envelope}  #{}  {} bytes  since {}",
        entry.seq,
        entry.bytes,
        minute(&entry.queued_at)
    );
    if let Some(reason) = &entry.refused {
        line.push_str(&format!("  refused: {reason}"));
    }
    if let Some(reason) = &entry.put_off {
        line.push_str(&format!("  put off: {reason}"));
    }
    if let Some(next) = &entry.next_attempt {
        line.push_str(&format!(", again at {}", minute(next)));
    }
    match entry.attempts {
        0 => {}
        1 => line.push_str("  (1 attempt)"),
        many => line.push_str(&format!("  ({many} attempts)")),
    }
    output.line(&line)
}

/// A text as a QR code of half-height blocks, for the terminal of who scans it.
pub(super) fn qr(output: Output, text: &str) -> Result<(), CliError> {
    let code = fast_qr::QRBuilder::new(text).build().map_err(|_| {
        CliError::Usage("the text is too long for a QR code; copy it instead".to_owned())
    })?;
    output.raw(&code.to_str())
}
