//! What keeps a node from working, found by looking only.
//!
//! Nothing is opened for writing, locked or migrated, so it works where the node does not:
//! with another process in the folder, on a full disk, without the passphrase. A relay is
//! asked as a stranger may ask it: it is told no name, only how far this node has read.

mod clock;
mod database;
mod folder;
mod network;
mod relays;
mod settings;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use self::database::Database;
pub use self::settings::SECTIONS_OF_OTHERS;
use crate::error::ExitCode;

/// What to look at.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The node's folder.
    pub home: PathBuf,
    /// The file of the passphrase, if one is named.
    pub passphrase_file: Option<PathBuf>,
    /// Environment variables that the program reads.
    pub settings: Vec<String>,
    /// Environment variables that are set.
    pub environment: Vec<String>,
    /// How long another process may have the folder open without answering.
    pub patience: Duration,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing is wrong.
    Ok,
    /// Something is.
    Problem,
    /// Not looked at, because of what else was found.
    Skipped,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the check: `settings`, `owner`, `lock`, `database`, `disk`, `relays`, `udp`,
    /// `key`, `clock` or `log`.
    pub check: &'static str,
    /// How it ended.
    pub state: State,
    /// What was found.
    pub says: String,
    /// What to do about a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// What a command that meets the problem ends with; 0 without one.
    pub exit_code: u8,
    #[serde(skip)]
    code: ExitCode,
}

impl Finding {
    fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self::without_problem(check, State::Ok, says.into())
    }

    fn skipped(check: &'static str, says: impl Into<String>) -> Self {
        Self::without_problem(check, State::Skipped, says.into())
    }

    fn without_problem(check: &'static str, state: State, says: String) -> Self {
        Self {
            check,
            state,
            says,
            remedy: None,
            exit_code: 0,
            code: ExitCode::Ok,
        }
    }

    fn problem(
        check: &'static str,
        code: ExitCode,
        says: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            check,
            state: State::Problem,
            says: says.into(),
            remedy: Some(remedy.into()),
            exit_code: code as u8,
            code,
        }
    }

    /// One check's problems as one finding: each is told, a remedy once, and the code is that of the first.
    fn together(problems: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut problems = problems.into_iter();
        let mut whole = problems.next()?;
        let mut remedies: Vec<String> = whole.remedy.take().into_iter().collect();
        for problem in problems {
            whole.says = format!("{}; {}", whole.says, problem.says);
            remedies.extend(problem.remedy.filter(|remedy| !remedies.contains(remedy)));
        }
        whole.remedy = (!remedies.is_empty()).then(|| remedies.join("; "));
        Some(whole)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Ok => "ok",
            State::Problem => "problem",
            State::Skipped => "skipped",
        };
        write!(f, "{state:<8} {:<9} {}", self.check, self.says)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; to do: {remedy}"),
            None => Ok(()),
        }
    }
}

/// Looks at everything. Needs a tokio runtime; takes seconds where a relay is silent.
pub async fn examine(what: &Examination) -> Vec<Finding> {
    let mut findings = vec![settings::check(what), folder::owner(&what.home)];
    findings.push(folder::lock(&what.home, what.patience).await);
    let Database { finding, relays } = database::check(&what.home);
    findings.push(finding);
    findings.push(folder::disk(&what.home));
    let met = match &relays {
        Some(relays) => network::meet(relays).await,
        None => Vec::new(),
    };
    findings.extend(relays::check(relays.is_some(), &met));
    findings.push(clock::check(&what.home, &met));
    findings.push(relays::log(&met));
    findings
}

/// The exit code for all of them: that of the first problem, since what stands first causes what follows.
#[must_use]
pub fn exit_code(findings: &[Finding]) -> ExitCode {
    let first = findings
        .iter()
        .find(|finding| finding.state == State::Problem);
    first.map_or(ExitCode::Ok, |finding| finding.code)
}
