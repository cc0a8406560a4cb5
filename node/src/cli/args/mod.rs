//! The command line as a person types it.

mod patience;
mod timelines;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use self::patience::duration;
pub(super) use self::patience::{MessageWait, Patience, StoredWait, WaitFor};
pub(super) use self::timelines::{Carrier, Timeline};
use super::imports::args::Import;

/// Encrypted timelines that work offline and meet at a regional relay.
///
/// Messages are written to the local folder at once and go out when a relay is
/// reached. A running `khlong daemon` keeps the connection; without one, a
/// command that writes tries a relay for a moment and leaves the rest queued.
#[derive(Debug, Parser)]
#[command(name = "khlong", version, about, max_term_width = 100)]
pub(in crate::cli) struct Cli {
    /// Folder of the node [default: $XDG_DATA_HOME/khlong or ~/.local/share/khlong]
    #[arg(
        long,
        global = true,
        env = "KHLONG_HOME",
        value_name = "FOLDER",
        hide_env_values = true
    )]
    pub(in crate::cli) home: Option<PathBuf>,
    /// File whose first line is the passphrase of the key file
    #[arg(
        long,
        global = true,
        env = "KHLONG_PASSPHRASE_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,
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
    pub(in crate::cli) daemon_timeout: Duration,
    /// Answer with one JSON object a line on standard output
    #[arg(long, global = true)]
    pub(in crate::cli) json: bool,
    #[command(subcommand)]
    pub(in crate::cli) command: Command,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
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
    Search(crate::cli::search::Asked),
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
pub(in crate::cli) struct Member {
    /// Member: nickname, key (`prn_…`) or the start of the key
    pub(in crate::cli) author: String,
    /// Only of this timeline: its id, its title, or the start of either
    #[arg(long)]
    pub(in crate::cli) timeline: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Init {
    /// Nickname that others see [default: the name of your account on this machine, else `anonymous`]
    #[arg(long)]
    pub(in crate::cli) nickname: Option<String>,
    /// Keep the keys in a file that only you can read, without a passphrase
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(in crate::cli) plain_keys: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Relay {
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

#[derive(Debug, Args)]
pub(in crate::cli) struct Log {
    /// Timeline: its id, its title, or the start of either. With --follow it may be left out: then every timeline
    /// that is not muted is followed
    #[arg(required_unless_present = "follow")]
    pub(in crate::cli) timeline: Option<String>,
    /// Then go on and show what arrives, until interrupted. Other commands work meanwhile; without a daemon a second
    /// follower ends with the first
    #[arg(long)]
    pub(in crate::cli) follow: bool,
    /// Show at most so many
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = crate::api::LOG_MESSAGES_DEFAULT)]
    pub(in crate::cli) limit: usize,
    /// Skip so many from the start, instead of showing the newest
    #[arg(long, value_name = "COUNT")]
    pub(in crate::cli) from: Option<usize>,
    /// Show whole message ids
    #[arg(long)]
    pub(in crate::cli) ids: bool,
    /// Also show messages of blocked members
    #[arg(long)]
    pub(in crate::cli) with_blocked: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Outbox {
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
