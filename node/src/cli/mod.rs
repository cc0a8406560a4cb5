//! The program `khlong`: one file per group of commands.
//!
//! Standard output is data only; what is meant for a person beside it goes to
//! standard error. Exit codes are those of [`crate::error::ExitCode`].

mod args;
mod blocks;
mod carriers;
mod copies;
mod doctor;
mod error;
mod export;
mod gate;
mod imports;
mod log;
mod messages;
mod output;
mod progress;
mod search;
mod serve;
mod setup;
mod show;
mod signals;
mod status;
mod timelines;
mod tui;
mod wait;

use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExit;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};

use self::args::{Cli, Command, Patience};
use self::error::CliError;
use self::gate::Gate;
use self::output::{Output, note};
use self::wait::Written;
use crate::api::{Request, Response};
use crate::error::{ExitCode, described};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ProcessExit {
    let cli = Cli::parse(); // leaves with exit code 2 and an explanation by itself
    let output = Output { json: cli.json };
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| CliError::Config(format!("the system gives no threads: {source}")))
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(cli, output));
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(()) => ProcessExit::from(ExitCode::Ok as u8),
        Err(error) => {
            tell(&error, output);
            ProcessExit::from(error.exit_code())
        }
    }
}

/// What the commands share.
struct Run {
    home: PathBuf,
    passphrase_file: Option<PathBuf>,
    /// Of a daemon.
    daemon_timeout: Duration,
    output: Output,
}

async fn run(cli: Cli, output: Output) -> Result<(), CliError> {
    let shared = Run {
        home: home(cli.home)?,
        passphrase_file: cli.passphrase_file,
        daemon_timeout: cli.daemon_timeout,
        output,
    };
    match cli.command {
        Command::Init(init) => setup::init(&shared, init).await,
        Command::Id { qr } => setup::id(&shared, qr).await,
        Command::Nickname { nickname, wait } => {
            setup::nickname(&shared, nickname, wait.into()).await
        }
        Command::Relay(relay) => setup::relay(&shared, relay).await,
        Command::Timeline(timeline) => timelines::run(&shared, timeline).await,
        Command::Send {
            timeline,
            text,
            wait,
        } => messages::send(&shared, timeline, text, None, wait.into()).await,
        Command::Reply {
            timeline,
            message,
            text,
            wait,
        } => messages::send(&shared, timeline, text, Some(message), wait.into()).await,
        Command::Edit {
            timeline,
            message,
            text,
            wait,
        } => {
            let body = messages::text(text)?;
            messages::change(
                &shared,
                Request::Edit {
                    timeline,
                    message,
                    body,
                },
                wait.into(),
            )
            .await
        }
        Command::Delete {
            timeline,
            message,
            wait,
        } => messages::change(&shared, Request::Delete { timeline, message }, wait.into()).await,
        Command::React {
            timeline,
            message,
            emoji,
            remove,
            wait,
        } => {
            let request = Request::React {
                timeline,
                message,
                emoji,
                remove,
            };
            messages::change(&shared, request, wait.into()).await
        }
        Command::Read { timeline, wait } => {
            messages::change(&shared, Request::Read { timeline }, wait.into()).await
        }
        Command::Log(log) => log::run(&shared, log).await,
        Command::Search(search) => search::run(&shared, search).await,
        Command::Tui { timeline } => tui::run(&shared, timeline).await,
        Command::Sync { timeout } => status::sync(&shared, timeout).await,
        Command::Status => status::status(&shared).await,
        Command::Block { member } => blocks::block(&shared, member).await,
        Command::Unblock { member } => blocks::unblock(&shared, member).await,
        Command::Blocked => blocks::list(&shared).await,
        Command::Outbox(outbox) => status::outbox(&shared, outbox).await,
        Command::Doctor => doctor::run(&shared).await,
        Command::Daemon => serve::run(&shared).await,
        Command::Backup { folder } => copies::backup(&shared, &folder).await,
        Command::Restore { folder } => copies::restore(&shared, &folder),
        Command::Import(import) => imports::run(&shared, import).await,
        Command::Export { timeline, digest } => export::run(&shared, timeline, digest).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "khlong", &mut script);
            output.bytes(&script)
        }
        Command::Man { folder } => manual(&folder),
    }
}

impl Run {
    /// For commands that only look: the network is left alone.
    async fn look(&self) -> Result<Gate, CliError> {
        self.open(false).await
    }

    async fn open(&self, online: bool) -> Result<Gate, CliError> {
        let passphrase_file = self.passphrase_file.as_deref();
        Gate::open(&self.home, passphrase_file, self.daemon_timeout, online).await
    }

    /// Asks one question that writes nothing.
    async fn ask(&self, request: Request) -> Result<Response, CliError> {
        let mut gate = self.look().await?;
        let response = gate.ask(request).await;
        gate.close().await;
        response
    }

    /// Asks for something that writes, then waits as told. Gives what came of
    /// both and the way to the node, which is to be closed.
    async fn write(
        &self,
        request: Request,
        patience: Patience,
    ) -> Result<(Settled, Gate), CliError> {
        let mut gate = self.open(!patience.offline()).await?;
        match write(&mut gate, request, patience).await {
            Ok(settled) => Ok((settled, gate)),
            Err(error) => {
                gate.close().await;
                Err(error)
            }
        }
    }
}

/// Something that was written here, however waiting for the network ended.
struct Settled {
    response: Response,
    /// Why it did not come as far as was waited for. To be told after the answer:
    /// who retries must know that it was written.
    waited: Result<(), CliError>,
}

async fn write(gate: &mut Gate, request: Request, patience: Patience) -> Result<Settled, CliError> {
    let mut listener = gate.subscribe().await?;
    let is_message = matches!(request, Request::Send { .. });
    let mut response = gate.ask(request).await?;
    let (timeline, message, seq) = match &response {
        Response::Written {
            timeline,
            message,
            envelope,
            ..
        } if is_message => (
            timeline.clone(),
            message.clone(),
            seq_of(envelope.as_deref()),
        ),
        Response::Written { timeline, .. } | Response::Invite { timeline, .. } => {
            (timeline.clone(), None, None)
        }
        Response::Timeline { timeline } => (timeline.id.clone(), None, None),
        Response::Id { .. }
        | Response::Relays { .. }
        | Response::Carriers { .. }
        | Response::NotLetIn { .. }
        | Response::Timelines { .. }
        | Response::Messages { .. }
        | Response::Blocked { .. }
        | Response::Status { .. }
        | Response::Outbox { .. }
        | Response::Imported { .. }
        | Response::Digest { .. }
        | Response::Refused { .. } => (String::new(), None, None),
    };
    let written = Written {
        timeline: &timeline,
        message: message.as_deref(),
        seq,
    };
    let settled = wait::settle(gate, &mut listener, patience, &written).await;
    let (come, waited) = match settled {
        Ok(come) => (come, Ok(())),
        // Where it is now; a daemon that is gone cannot tell.
        Err(error) => (
            wait::reached(gate, &written).await.unwrap_or_default(),
            Err(error),
        ),
    };
    if let (Response::Written { delivery, .. }, Some(come)) = (&mut response, come) {
        *delivery = come;
    }
    Ok(Settled { response, waited })
}

fn seq_of(envelope: Option<&str>) -> Option<u64> {
    envelope?.rsplit_once(':')?.1.parse().ok()
}

fn home(given: Option<PathBuf>) -> Result<PathBuf, CliError> {
    if let Some(home) = given {
        return Ok(home);
    }
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("XDG_DATA_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("khlong"))
        .ok_or_else(|| {
            CliError::Usage("no folder is named; give --home or set KHLONG_HOME".to_owned())
        })
}

fn manual(folder: &Path) -> Result<(), CliError> {
    let failed = |source| CliError::Unwritable {
        path: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(failed)
}

/// The reason on standard error, with its causes; with `--json` also as data.
fn tell(error: &CliError, output: Output) {
    if let CliError::Unwell(_) = error {
        return; // the answer has said it
    }
    let message = described(error);
    if output.json {
        let refused = Response::Refused {
            message: message.clone(),
            exit_code: error.exit_code(),
        };
        let _ = output.object(&refused);
    }
    note(&message);
}
