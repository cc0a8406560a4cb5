//! `khlong-relay init | check | run | completions | man`.
//!
//! Standard output is data only; logs and words for people go to standard
//! error. Exit codes are those of the whole network: 0 ok, 1 failure, 2 usage,
//! 3 config, 7 quota or disk, 8 incompatible version, 9 integrity.

mod check;
mod error;
mod init;
mod manual;
mod run;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use khlong_store::folder::DATABASE_FOLDER;
use khlong_store::side_file::SIDE_FILE;

pub use self::error::CommandError;
use crate::config::{Config, Environment, Flags, ListenFlags, LogFlags, QUIC_DEFAULT};

/// Version of the machine-readable output.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// The regional relay of the Khlong network: it stores and forwards what it cannot read.
#[derive(Debug, Parser)]
#[command(name = "khlong-relay", version, arg_required_else_help = true)]
pub struct Arguments {
    /// The configuration file; paths in it are relative to its folder.
    #[arg(
        long,
        global = true,
        env = "KHLONG_RELAY_CONFIG",
        default_value = "relay.toml",
        value_name = "FILE"
    )]
    pub config: PathBuf,
    /// Data on standard output as one JSON object.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the configuration, the relay's key and its folder; print the relay's address.
    Init(Init),
    /// Check the configuration and every row of the folder, without serving; print the relay's address.
    Check,
    /// Serve until SIGTERM or SIGINT.
    Run(Run),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder.
    Man {
        /// The folder; made if it is not there.
        folder: PathBuf,
    },
}

/// Flags of `init`.
#[derive(Args, Debug)]
pub struct Init {
    /// Host name or IP address by which clients will reach this relay.
    #[arg(long, default_value = "localhost")]
    pub host: String,
    /// UDP address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value_t = QUIC_DEFAULT)]
    pub quic: SocketAddr,
    /// HTTP address for metrics and health; keep it private.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    pub admin: SocketAddr,
}

/// Flags of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// UDP address to listen on, instead of `listen.quic`.
    #[arg(long, value_name = "ADDRESS")]
    pub quic: Option<SocketAddr>,
    /// HTTP address for metrics and health, instead of `listen.admin`.
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
    /// What to log, instead of `log.level`: error, warn, info, debug, or a filter.
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
    /// Go on although commits that were acknowledged are gone, in a new log epoch: clients send again what they have.
    #[arg(long)]
    pub accept_loss: bool,
}

impl Arguments {
    /// Does it.
    ///
    /// # Errors
    /// [`CommandError`], which knows its exit code.
    pub fn execute(self) -> Result<(), CommandError> {
        match &self.command {
            Command::Init(init) => init::execute(&self, init),
            Command::Check => check::execute(&self),
            Command::Run(run) => run::execute(&self, run),
            Command::Completions { shell } => {
                manual::completions(*shell);
                Ok(())
            }
            Command::Man { folder } => manual::pages(folder),
        }
    }

    fn load(&self, flags: &Flags) -> Result<Config, CommandError> {
        if !self.config.exists() {
            return Err(CommandError::NotConfigured {
                config: self.config.clone(),
            });
        }
        Config::load(&self.config, Environment::of_process(), flags).map_err(CommandError::Config)
    }

    /// Only `init` makes the folder: a name that is mistyped, or a disk that is not
    /// mounted, must not become an empty relay.
    fn check_folder(&self, config: &Config) -> Result<(), CommandError> {
        let folder = &config.store.folder;
        // Either is enough: a relay that lost one of them is damaged, not missing.
        if [DATABASE_FOLDER, SIDE_FILE]
            .map(|name| folder.join(name))
            .iter()
            .any(|path| path.exists())
        {
            return Ok(());
        }
        Err(CommandError::NotInitialised {
            folder: folder.clone(),
            config: self.config.clone(),
        })
    }
}

impl Run {
    fn flags(&self) -> Flags {
        Flags {
            listen: ListenFlags {
                quic: self.quic,
                admin: self.admin,
            },
            log: LogFlags {
                level: self.log.clone(),
            },
        }
    }
}

/// A word for people; that nobody reads it is not our failure.
fn tell(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A line of data; a reader that has gone away is not our failure.
fn print(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
