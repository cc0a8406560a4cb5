//! The command line as a person types it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::imports::args::Import;

/// Encrypted timelines that work offline and meet at a regional relay.
///
/// Messages are written to the local folder at once and go out when a relay is
/// reached. A running `khlong daemon` keeps the connection; without one, a
/// command that writes tries a relay for a moment and leaves the rest queued.
#[derive(Debug, Parser)]
#[command(name = "khlong", version, about, max_term_width = 100)]
pub(super) struct Cli {
    /// Folder of the node [default: $XDG_DATA_HOME/khlong or ~/.local/share/khlong]
    #[arg(
        long,
        global = true,
        env = "KHLONG_HOME",
        value_name = "FOLDER",
        hide_env_values = true
    )]
    pub(super) home: Option<PathBuf>,
    /// File whose first line is the passphrase of the key file
    #[arg(
        long,
        global = true,
        env = "KHLONG_PASSPHRASE_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub(super) passphrase_file: Option<PathBuf>,
    /// How long a daemon may be silent; then the exit code is 5
    #[arg(
        long,
        global = true,
        env = "KHLONG_DAEMON_TIMEOUT",
        value_name = "TIME",
        value_parser = duration,
        default_value = "30s",
        hide_env_values = true
    )]
    pub(super) daemon_timeout: Duration,
    /// Answer with one JSON object a line on standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a node in an empty folder: keys, identity, database
    Init(Init),
    /// Show who this node is, and the card by which others invite it
    Id {
        /// Also draw the card as a QR code
        #[arg(long)]
        qr: bool,
    },
    /// Change the nickname that members of your timelines see
    Nickname {
        /// The new nickname
        nickname: String,
        #[command(flatten)]
        wait: StoredWait,
    },
    /// Relays of this node
    #[command(subcommand)]
    Relay(Relay),
    /// Open, join, list and leave timelines
    #[command(subcommand)]
    Timeline(Timeline),
    /// Write a message
    Send {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        /// The text; `-` reads it from standard input
        text: String,
        #[command(flatten)]
        wait: MessageWait,
    },
    /// Answer a message
    Reply {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        /// Message: its id or the start of it
        message: String,
        /// The text; `-` reads it from standard input
        text: String,
        #[command(flatten)]
        wait: MessageWait,
    },
    /// Replace the text of your own message
    Edit {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        /// Message: its id or the start of it
        message: String,
        /// The new text; `-` reads it from standard input
        text: String,
        #[command(flatten)]
        wait: StoredWait,
    },
    /// Take back your own message
    Delete {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        /// Message: its id or the start of it
        message: String,
        #[command(flatten)]
        wait: StoredWait,
    },
    /// Add a reaction to a message, or take it back
    React {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        /// Message: its id or the start of it
        message: String,
        /// The reaction, an emoji as a rule
        emoji: String,
        /// Take it back
        #[arg(long)]
        remove: bool,
        #[command(flatten)]
        wait: StoredWait,
    },
    /// Mark everything that is here as read, and tell the others
    Read {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        #[command(flatten)]
        wait: StoredWait,
    },
    /// Show messages, oldest first
    Log(Log),
    /// Find messages in everything that is here, the newest first
    Search(super::search::Asked),
    /// Timelines, history and a line to write in on one screen; other commands work meanwhile
    #[command(after_help = crate::tui::KEYS)]
    Tui {
        /// Timeline to begin with: its id, its title, or the start of either
        timeline: Option<String>,
    },
    /// Exchange everything with the relays now
    Sync {
        /// Give up after so long (for example 500ms, 30s, 5m); then the exit code is 5
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
        timeout: Duration,
    },
    /// Show relays, timelines and what is still queued
    Status,
    /// Hide the messages of a member; only this node knows, and nothing is deleted
    Block {
        #[command(flatten)]
        member: Member,
    },
    /// Show the messages of a member again
    Unblock {
        #[command(flatten)]
        member: Member,
    },
    /// List blocked members
    Blocked,
    /// Envelopes that no relay has stored yet
    #[command(subcommand)]
    Outbox(Outbox),
    /// Look for what keeps this node from working, and say what to do; changes nothing
    Doctor,
    /// Keep the node running and connected, and answer other commands on a socket in its folder
    Daemon,
    /// Copy the whole node, keys included, into a new folder
    Backup {
        /// The new folder; must not exist
        folder: PathBuf,
    },
    /// Make a node from a backup; it goes on under a new author key
    Restore {
        /// A folder made by `khlong backup`
        folder: PathBuf,
    },
    /// Write the messages of another network's export into a timeline
    Import(Import),
    /// Write the whole history of a timeline to standard output
    Export {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        /// Only the hashes by which two replicas are compared
        #[arg(long)]
        digest: bool,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder
    Man {
        /// The folder; made if it is not there
        folder: PathBuf,
    },
}

/// A member of a timeline. It is somebody else in each: nothing says that two are one person.
#[derive(Debug, Args)]
pub(super) struct Member {
    /// Member: nickname, key (`prn_…`) or the start of the key
    pub(super) author: String,
    /// Only of this timeline: its id, its title, or the start of either
    #[arg(long)]
    pub(super) timeline: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Nickname that others see [default: the name of your account on this machine, else `anonymous`]
    #[arg(long)]
    pub(super) nickname: Option<String>,
    /// Keep the keys in a file that only you can read, without a passphrase
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(super) plain_keys: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Relay {
    /// Add a relay; the key of a known one with another address moves it
    Add {
        /// `khlong://KEY@HOST:PORT`
        address: String,
        /// File whose first line the relay asks of those who open timelines on it
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// List relays and the state of the connection to each
    Ls,
    /// Forget a relay; what only it carries stays here and goes to the next one that is added
    Rm {
        /// Its address, its key, or the start of either
        relay: String,
        /// Also when something waits to be stored there and nowhere else
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Timeline {
    /// Open a timeline
    New {
        /// Title, shown to every member
        title: String,
        /// What it is for
        #[arg(long, value_enum, default_value_t = Kind::Group)]
        kind: Kind,
        /// Relay that carries it, by address; may be repeated [default: every relay of this node]
        #[arg(long = "relay", value_name = "ADDRESS")]
        relays: Vec<String>,
        #[command(flatten)]
        wait: StoredWait,
    },
    /// Make an invite link; it can be used once
    Invite {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        /// Contact card of the one invited; without it whoever holds the link can use it
        #[arg(long, value_name = "CARD")]
        to: Option<String>,
        /// The one invited may read and not write
        #[arg(long)]
        read_only: bool,
        /// How long the link lives (for example 12h, 7d)
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = lifetime)]
        expires: Duration,
        /// Also draw the link as a QR code
        #[arg(long)]
        qr: bool,
        #[command(flatten)]
        wait: StoredWait,
    },
    /// Join by an invite link; with `--wait none` it is tried until a relay lets this node in
    Join {
        /// `khlong://KEY@HOST:PORT/join/…`
        link: String,
        #[command(flatten)]
        wait: StoredWait,
    },
    /// List timelines
    Ls,
    /// Give a timeline another title, for every member
    Rename {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        /// The new title
        title: String,
        #[command(flatten)]
        wait: StoredWait,
    },
    /// Which relays carry a timeline, for every member
    #[command(subcommand)]
    Relay(Carrier),
    /// Let a timeline stay in sync without drawing attention to itself
    Mute {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
    },
    /// Let a muted timeline draw attention again
    Unmute {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
    },
    /// Say goodbye and stop following; what is here stays readable
    Leave {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        #[command(flatten)]
        wait: StoredWait,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Carrier {
    /// Add a relay, which gets the whole history; admins only, and every member follows by itself
    Add {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        /// `khlong://KEY@HOST:PORT`
        relay: String,
        #[command(flatten)]
        wait: StoredWait,
    },
    /// Take a relay away once another one has everything; admins only, and every member follows by itself
    Rm {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
        /// Its address, its key, or the start of either
        relay: String,
        /// At once: it is gone for good
        #[arg(long, conflicts_with_all = ["wait", "timeout"])]
        force: bool,
        #[command(flatten)]
        wait: StoredWait,
    },
    /// List the relays of a timeline, and what each of them is still to be given
    Ls {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
    },
}

/// Kinds of timelines that a person opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Members read and write
    Group,
    /// Meant for two people; nothing keeps you from inviting more
    Direct,
    /// Meant for few who write: invite the others with --read-only
    Channel,
    /// Not secret: its key lies open at the relay; joining takes an invite all the same
    Public,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Direct => "direct",
            Self::Channel => "channel",
            Self::Public => "public",
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Log {
    /// Timeline: its id, its title, or the start of either. With --follow it may be left out: then every timeline
    /// that is not muted is followed
    #[arg(required_unless_present = "follow")]
    pub(super) timeline: Option<String>,
    /// Then go on and show what arrives, until interrupted. Other commands work meanwhile; without a daemon a second
    /// follower ends with the first
    #[arg(long)]
    pub(super) follow: bool,
    /// Show at most so many
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = crate::api::LOG_MESSAGES_DEFAULT)]
    pub(super) limit: usize,
    /// Skip so many from the start, instead of showing the newest
    #[arg(long, value_name = "COUNT")]
    pub(super) from: Option<usize>,
    /// Show whole message ids
    #[arg(long)]
    pub(super) ids: bool,
    /// Also show messages of blocked members
    #[arg(long)]
    pub(super) with_blocked: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Outbox {
    /// List them, oldest first
    Ls,
    /// Offer refused ones again, now
    Retry {
        #[command(flatten)]
        wait: StoredWait,
    },
    /// Stop offering those of a timeline; they stay in the local history
    Drop {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
    },
}

/// How far what was written must come before the command returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum WaitFor {
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
pub(super) enum WaitStored {
    /// Not at all: it goes out with the next command or by the daemon
    None,
    /// A relay has it on disk and signed so
    Stored,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct MessageWait {
    /// Return when it has come so far, or with exit code 5; without this option a relay is tried
    /// for a moment and whatever is not out by then stays queued
    #[arg(long, value_enum)]
    wait: Option<WaitFor>,
    /// How long to try (for example 500ms, 30s) [default: 30s with --wait, else 3s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct StoredWait {
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
pub(super) struct Patience {
    /// Absent: try, but do not insist.
    pub(super) want: Option<WaitFor>,
    pub(super) timeout: Duration,
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
    pub(super) fn offline(self) -> bool {
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
fn duration(text: &str) -> Result<Duration, String> {
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
fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = duration(text)?;
    if lifetime.is_zero() {
        return Err("a link that lives no time is of no use to anybody".to_owned());
    }
    Ok(lifetime)
}
