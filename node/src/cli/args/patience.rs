//! How long a command waits, and for what.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// How far what was written must come before the command returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(in crate::cli) enum WaitFor {
    /// Not at all: it goes out with the next command or by the daemon
    None,
    /// A relay has it on disk and signed so
    Stored,
    /// A device of another member has it
    Delivered,
    /// Another member has read it
    Read,
}

/// For what every relay can confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum WaitStored {
    /// Not at all: it goes out with the next command or by the daemon
    None,
    /// A relay has it on disk and signed so
    Stored,
}

#[derive(Clone, Copy, Debug, Args)]
pub(in crate::cli) struct MessageWait {
    /// Return when it has come so far, or with exit code 5; without this option a relay is tried
    /// for a moment and whatever is not out by then stays queued
    #[arg(long, value_enum)]
    wait: Option<WaitFor>,
    /// How long to try (for example 500ms, 30s) [default: 30s with --wait, else 3s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(in crate::cli) struct StoredWait {
    /// Return when it has come so far, or with exit code 5; without this option a relay is tried
    /// for a moment and whatever is not out by then stays queued
    #[arg(long, value_enum)]
    wait: Option<WaitStored>,
    /// How long to try (for example 500ms, 30s) [default: 30s with --wait, else 3s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

/// Default patience of `--wait`.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);

/// Default patience without `--wait`: a handshake and one exchange over a slow mobile link.
const FLUSH_DEFAULT: Duration = Duration::from_secs(3);

/// What a command waits for after it wrote.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Patience {
    /// Absent: try, but do not insist.
    pub(in crate::cli) want: Option<WaitFor>,
    pub(in crate::cli) timeout: Duration,
}

impl Patience {
    fn new(want: Option<WaitFor>, timeout: Option<Duration>) -> Self {
        let default = if want.is_some() {
            WAIT_DEFAULT
        } else {
            FLUSH_DEFAULT
        };
        Self {
            want,
            timeout: timeout.unwrap_or(default),
        }
    }

    /// Whether the network may be left alone.
    pub(in crate::cli) fn offline(self) -> bool {
        self.want == Some(WaitFor::None)
    }
}

impl From<MessageWait> for Patience {
    fn from(wait: MessageWait) -> Self {
        Self::new(wait.wait, wait.timeout)
    }
}

impl From<StoredWait> for Patience {
    fn from(wait: StoredWait) -> Self {
        let want = wait.wait.map(|want| match want {
            WaitStored::None => WaitFor::None,
            WaitStored::Stored => WaitFor::Stored,
        });
        Self::new(want, wait.timeout)
    }
}

/// `500ms`, `30s`, `5m`, `12h`, `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and a unit: 500ms, 30s, 5m, 12h or 7d".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(unit_ms)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// A [`duration`] that is not over at once.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = duration(text)?;
    if lifetime.is_zero() {
        return Err("a link that lives no time is of no use to anybody".to_owned());
    }
    Ok(lifetime)
}
