//! `khlong timeline …`.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};

use super::patience::{StoredWait, lifetime};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Timeline {
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
pub(in crate::cli) enum Carrier {
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
    /// List the relays of a timeline: what each is still to be given, and which one served
    ///
    /// "last stored" is when a relay last signed for something of this timeline that this node
    /// brought it, "last sent" when it last sent this node something of it, in UTC by this machine's
    /// clock. What went before the daemon started is not known; without a daemon, nothing is.
    Ls {
        /// Timeline: its id, its title, or the start of either
        timeline: String,
    },
}

/// Kinds of timelines that a person opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Kind {
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
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Direct => "direct",
            Self::Channel => "channel",
            Self::Public => "public",
        }
    }
}
