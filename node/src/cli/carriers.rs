//! `timeline relay add|rm|ls`.

use std::time::{Duration, Instant};

use khlong_crdt::address::SCHEME;

use super::args::{Carrier, Patience, WaitFor};
use super::error::CliError;
use super::gate::{Gate, Listener};
use super::output::note;
use super::{Run, show};
use crate::api::{CarrierView, Request, Response};
use crate::error::{ExitCode, NodeError};

pub(super) async fn run(run: &Run, command: Carrier) -> Result<(), CliError> {
    match command {
        Carrier::Ls { timeline } => {
            let response = run.ask(Request::TimelineRelayLs { timeline }).await?;
            shown(run, &response)
        }
        Carrier::Add {
            timeline,
            relay,
            wait,
        } => {
            let patience = Patience::from(wait);
            let change = Change {
                insists: patience.want == Some(WaitFor::Stored),
                awaits: Awaits::Given(relay.clone()),
                request: Request::TimelineRelayAdd { timeline, relay },
                patience,
            };
            change.run(run).await
        }
        Carrier::Rm {
            timeline,
            relay,
            force,
            wait,
        } => {
            let patience = Patience::from(wait);
            let change = Change {
                // Whoever hears that it is done turns the relay off.
                insists: !patience.offline(),
                awaits: Awaits::Left(relay.clone()),
                request: Request::TimelineRelayRm {
                    timeline,
                    relay,
                    force,
                },
                patience,
            };
            change.run(run).await
        }
    }
}

/// When a change is over.
enum Awaits {
    /// The relay at this address lacks nothing.
    Given(String),
    /// No relay is being left; the one of this name was to be.
    Left(String),
}

impl Awaits {
    fn is_over(&self, relays: &[CarrierView]) -> bool {
        match self {
            Self::Given(address) => {
                let mut named = relays.iter().filter(|view| view.address == *address);
                named.all(|view| view.lacking == 0 && view.state == "connected")
            }
            Self::Left(_) => relays.iter().all(|view| !view.leaving),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Given(_) => "given to the relay",
            Self::Left(_) => "taken away",
        }
    }

    const fn stands(&self) -> &'static str {
        match self {
            Self::Given(_) => {
                "the relay is added and is given the rest when it is reached; \
                 `khlong timeline relay ls` tells how much it lacks"
            }
            Self::Left(_) => {
                "it stays as long as no other relay has everything, or it has neither heard of it nor said that it has no room; this goes on by \
                 itself, and `khlong timeline relay ls` tells how far it is, and which relay refuses something: \
                 let its operator take it, or add another relay. A full relay must refuse twice, at least five seconds apart: \
                 say it again, or let a daemon run. If the relay is gone for good, say --force"
            }
        }
    }
}

struct Change {
    request: Request,
    patience: Patience,
    awaits: Awaits,
    /// Whether being late is a failure.
    insists: bool,
}

impl Change {
    async fn run(self, run: &Run) -> Result<(), CliError> {
        let mut gate = run.open(!self.patience.offline()).await?;
        let changed = self.changed(&mut gate).await;
        gate.close().await;
        let (response, is_over) = changed?;
        shown(run, &response).map_err(CliError::after_writing)?;
        if let (true, Awaits::Left(name)) = (is_over, &self.awaits)
            && let Response::Carriers { relays, .. } = &response
            && relays.iter().any(|view| is_called(view, name))
        {
            // Whoever turns it off now would turn off the timeline.
            let message = format!(
                "{name} stays: another admin has added it again, or has taken every other relay away; \
                 see `khlong timeline relay ls`"
            );
            let exit_code = ExitCode::Failure as u8;
            return Err(CliError::Refused { message, exit_code });
        }
        if is_over || !self.insists {
            return Ok(());
        }
        let waited = self.patience.timeout.as_millis();
        Err(NodeError::TimedOut {
            what: self.awaits.name(),
            waited_ms: u64::try_from(waited).unwrap_or(u64::MAX),
            stands: self.awaits.stands(),
        }
        .into())
    }

    /// The relays at the end of the wait, and whether it came to that.
    async fn changed(&self, gate: &mut Gate) -> Result<(Response, bool), CliError> {
        let mut listener = gate.subscribe().await?;
        let begun = Instant::now();
        let mut response = gate.ask(self.request.clone()).await?;
        loop {
            let Response::Carriers {
                timeline, relays, ..
            } = &response
            else {
                return Err(CliError::Unexpected);
            };
            let is_over = self.awaits.is_over(relays);
            let left = self.patience.timeout.saturating_sub(begun.elapsed());
            if is_over || self.patience.offline() || left.is_zero() {
                return Ok((response, is_over));
            }
            let timeline = timeline.clone();
            moved_on(&mut listener, left).await?;
            response = gate.ask(Request::TimelineRelayLs { timeline }).await?;
        }
    }
}

/// Whether a person who named a relay so may have meant this one.
fn is_called(view: &CarrierView, name: &str) -> bool {
    let bare = |address: &str| address.trim_start_matches(SCHEME).to_owned();
    // It may be called by another address of the same key.
    let named = bare(name);
    let key = named.split('@').next().unwrap_or_default();
    bare(&view.address).starts_with(key)
}

/// Until something happens, or time is up.
async fn moved_on(listener: &mut Listener, left: Duration) -> Result<(), CliError> {
    match tokio::time::timeout(left, listener.next()).await {
        Ok(heard) => heard.map(drop),
        Err(_) => Ok(()),
    }
}

fn shown(run: &Run, response: &Response) -> Result<(), CliError> {
    let Response::Carriers { relays, untold, .. } = response else {
        return Err(CliError::Unexpected);
    };
    for relay in untold {
        note(&format!(
            "{relay} has no room for the word that the timeline left it; \
             who knows no other relay of it needs a new link: `khlong timeline invite`"
        ));
    }
    if run.output.json {
        return run.output.object(response);
    }
    let mut relays = relays.iter();
    relays.try_for_each(|view| show::carrier(run.output, view))
}
