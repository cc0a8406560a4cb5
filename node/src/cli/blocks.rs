//! `block`, `unblock`, `blocked`.

use super::args::Member;
use super::error::CliError;
use super::{Run, show};
use crate::api::{Request, Response};

pub(super) async fn block(run: &Run, member: Member) -> Result<(), CliError> {
    let Member { author, timeline } = member;
    ask(run, Request::Block { author, timeline }).await
}

pub(super) async fn unblock(run: &Run, member: Member) -> Result<(), CliError> {
    let Member { author, timeline } = member;
    ask(run, Request::Unblock { author, timeline }).await
}

pub(super) async fn list(run: &Run) -> Result<(), CliError> {
    ask(run, Request::BlockedLs).await
}

/// All three show who is blocked now.
async fn ask(run: &Run, request: Request) -> Result<(), CliError> {
    let response = run.ask(request).await?;
    let Response::Blocked { members } = &response else {
        return Err(CliError::Unexpected);
    };
    if run.output.json {
        return run.output.object(&response);
    }
    members
        .iter()
        .try_for_each(|member| show::blocked(run.output, member))
}
