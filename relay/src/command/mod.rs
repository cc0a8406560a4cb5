//! `khlong-relay init | check | config | run | backup | completions | man`.
//!
//! Standard output is data only; logs and words for people go to standard
//! error. Exit codes are those of the whole network: 0 ok, 1 failure, 2 usage,
//! 3 config, 4 unauthorised, 7 quota or disk, 8 incompatible version, 9 integrity.

mod backup;
mod check;
mod config;
mod error;
mod init;
mod manual;
mod operate;
mod run;
mod service;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use khlong_settings::log::EnvFilter;
use khlong_store::folder::DATABASE_FOLDER;
use khlong_store::side_file::SIDE_FILE;

pub use self::error::CommandError;
use crate::config::{
    Config, Environment, Flags, Layers, ListenFlags, LogFlags, LogFormat, QUIC_DEFAULT,
};

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
    /// Look at the configuration alone.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Serve until SIGTERM or SIGINT.
    Run(Run),
    /// Back up the relay's log, running or not; check a backup; restore one. The key is not in it: keep a copy of your own.
    #[command(subcommand)]
    Backup(Backup),
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

/// What to do with backups.
#[derive(Debug, Subcommand)]
pub enum Backup {
    /// Copy all that was acknowledged into a new folder. A running relay goes on serving.
    Create(BackupCreate),
    /// Read every file of a backup and name what is damaged. Needs no configuration and changes nothing.
    Verify {
        /// The folder of the backup.
        #[arg(value_name = "DIR")]
        backup: PathBuf,
    },
    /// Make the folder `store.folder` from a backup, in a new epoch of the log: clients send again what they have.
    Restore(BackupRestore),
}

/// Flags of `backup create`.
#[derive(Args, Debug)]
pub struct BackupCreate {
    /// The folder to make; it must not exist.
    #[arg(value_name = "DIR")]
    pub target: PathBuf,
    /// HTTP address of the running relay, instead of `listen.admin`.
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
}

/// Flags of `backup restore`.
#[derive(Args, Debug)]
pub struct BackupRestore {
    /// The folder of the backup.
    #[arg(value_name = "DIR")]
    pub backup: PathBuf,
    /// Go on although the configuration has the key of another relay than the backup.
    #[arg(long)]
    pub other_key: bool,
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

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether file, environment and flags are valid together; the folder is not looked at.
    Check(Overrides),
    /// Print what is in effect, and where each value was said; secrets are not shown.
    Show(Overrides),
    /// Print a JSON Schema of the file, for editors and for tools that write it.
    Schema,
}

/// Flags of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// What wins over the configuration.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Go on although commits that were acknowledged are gone, in a new log epoch: clients send again what they have.
    #[arg(long)]
    pub accept_loss: bool,
}

/// Flags that win over the configuration.
#[derive(Args, Debug)]
pub struct Overrides {
    /// UDP address to listen on, instead of `listen.quic`.
    #[arg(long, value_name = "ADDRESS")]
    pub quic: Option<SocketAddr>,
    /// HTTP address for metrics and health, instead of `listen.admin`.
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
    /// What to log, instead of `log.level`: error, warn, info, debug, or a filter.
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
    /// How a line of the log is written, instead of `log.format`.
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
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
            Command::Config(command) => config::execute(&self, command),
            Command::Run(run) => run::execute(&self, run),
            Command::Backup(backup) => backup::execute(&self, backup),
            Command::Completions { shell } => {
                manual::completions(*shell);
                Ok(())
            }
            Command::Man { folder } => manual::pages(folder),
        }
    }

    fn load(&self, flags: &Flags) -> Result<Config, CommandError> {
        Config::of(&self.layers(flags)?).map_err(CommandError::Config)
    }

    fn layers(&self, flags: &Flags) -> Result<Layers, CommandError> {
        if !self.config.exists() {
            return Err(CommandError::NotConfigured {
                config: self.config.clone(),
            });
        }
        Layers::read(&self.config, Environment::of_process(), flags).map_err(CommandError::Config)
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

impl Overrides {
    /// The key that each flag sets.
    const KEYS: [(&str, &str); 4] = [
        ("listen.quic", "--quic"),
        ("listen.admin", "--admin"),
        ("log.level", "--log"),
        ("log.format", "--log-format"),
    ];

    fn flags(&self) -> Flags {
        Flags {
            listen: ListenFlags {
                quic: self.quic,
                admin: self.admin,
            },
            log: LogFlags {
                level: self.log.clone(),
                format: self.log_format,
            },
        }
    }
}

/// Whose events carry no key, token, id or text, at any level; each has a test.
const OURS: [&str; 4] = ["khlong_crdt", "khlong_store", "khlong_sync", "khlong_relay"];

fn log_filter(config: &Config) -> Result<EnvFilter, CommandError> {
    khlong_settings::log::filter(&config.log, &OURS).map_err(CommandError::Config)
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
