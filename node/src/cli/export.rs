//! `export`: the whole history, or the hashes by which replicas are compared.

use super::error::CliError;
use super::log::{PAGE_MESSAGES, line, page};
use super::progress::Progress;
use super::{Run, gate::Gate};
use crate::api::{Request, Response};

pub(super) async fn run(run: &Run, timeline: String, digest: bool) -> Result<(), CliError> {
    let mut gate = run.look().await?;
    let outcome = if digest {
        hashes(run, &mut gate, timeline).await
    } else {
        whole(run, &mut gate, &timeline).await
    };
    gate.close().await;
    outcome
}

async fn whole(run: &Run, gate: &mut Gate, timeline: &str) -> Result<(), CliError> {
    let progress = Progress::new("exporting");
    let (view, mut messages) = page(gate, timeline, 0, PAGE_MESSAGES).await?;
    let mut done = 0;
    while !messages.is_empty() && !run.output.is_unread() {
        messages
            .iter()
            .try_for_each(|message| line(run, &view.id, message, true))?;
        done += messages.len();
        progress.set(view.messages as u64, done as u64);
        messages = page(gate, &view.id, done, PAGE_MESSAGES).await?.1;
    }
    Ok(())
}

async fn hashes(run: &Run, gate: &mut Gate, timeline: String) -> Result<(), CliError> {
    let response = gate.ask(Request::Digest { timeline }).await?;
    let Response::Digest {
        state_hash,
        canonical_hash,
        messages,
        ..
    } = &response
    else {
        return Err(CliError::Unexpected);
    };
    if run.output.json {
        return run.output.object(&response);
    }
    run.output.line(&format!("messages   {messages}"))?;
    run.output.line(&format!("state      {state_hash}"))?;
    run.output.line(&format!("canonical  {canonical_hash}"))
}
