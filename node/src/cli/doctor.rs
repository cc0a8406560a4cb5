//! `doctor`: one line for each check.

use clap::CommandFactory as _;
use serde::Serialize;

use super::Run;
use super::args::Cli;
use super::error::CliError;
use super::gate::LOCK_WAIT_MAX;
use crate::doctor::{self, Examination, Finding};
use crate::error::ExitCode;

/// Read from the environment without being a flag.
const LOG_FILTER: &str = "KHLONG_LOG";

#[derive(Serialize)]
struct Answer<'f> {
    kind: &'static str,
    exit_code: u8,
    checks: &'f [Finding],
}

pub(super) async fn run(run: &Run) -> Result<(), CliError> {
    let command = Cli::command();
    let mut settings: Vec<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned))
        .collect();
    settings.push(LOG_FILTER.to_owned());
    let findings = doctor::examine(&Examination {
        home: run.home.clone(),
        passphrase_file: run.passphrase_file.clone(),
        settings,
        patience: LOCK_WAIT_MAX.min(run.daemon_timeout),
        environment: std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .collect(),
    })
    .await;
    let code = doctor::exit_code(&findings);
    if run.output.json {
        run.output.object(&Answer {
            kind: "doctor",
            exit_code: code as u8,
            checks: &findings,
        })?;
    } else {
        for finding in &findings {
            run.output.line(&finding.to_string())?;
        }
    }
    if code == ExitCode::Ok {
        Ok(())
    } else {
        Err(CliError::Unwell(code))
    }
}
