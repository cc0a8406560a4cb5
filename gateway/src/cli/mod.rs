//! `khlong-gateway run | promptpay | init | config | check | verify | replay | export | journal | close | backup |
//! restore | statement | reconcile | payout | audit | completions | man`.
//!
//! Standard output is data only; words for people go to standard error. Exit codes are those of the
//! whole network: 0 ok, 1 failure, 2 usage, 3 configuration, a file is there already, a folder is not
//! a gateway's or is in use, 4 not allowed, 7 disk, 8 incompatible version, 9 integrity.

mod args;
pub mod backup;
pub mod books;
pub mod config;
mod database;
mod encode;
mod error;
mod export;
mod folder;
mod journal;
mod manual;
pub mod moving;
mod output;
mod replay;
mod run;
mod service;
mod show;
mod snapshot;
pub mod taking_back;

pub use self::args::{Arguments, Command, Decode, Encode, PromptPay, Published, Slip, SlipEncode};
pub use self::error::CliError;
pub use self::run::{Overrides, Run, RunError};

use self::output::Output;

impl Arguments {
    /// Does it.
    ///
    /// # Errors
    /// [`CliError`], which knows its exit code.
    pub fn execute(self) -> Result<(), CliError> {
        let output = Output {
            json: self.json,
            is_done: self.command.carries_out(),
        };
        match self.command {
            Command::Run(run) => run::execute(output, &run),
            Command::Promptpay(PromptPay::Encode(encode)) => encode::payment(output, &encode),
            Command::Promptpay(PromptPay::Decode(decode)) => show::payment(output, &decode),
            Command::Promptpay(PromptPay::Slip(Slip::Encode(slip))) => encode::slip(output, &slip),
            Command::Promptpay(PromptPay::Slip(Slip::Decode(slip))) => show::slip(output, &slip),
            Command::Init {
                folder,
                config,
                write_config,
            } => journal::init(output, &folder, config.as_deref(), write_config.as_deref()),
            Command::Verify {
                folder,
                config,
                published,
            } => journal::verify(output, &folder, config.as_deref(), &published),
            Command::Replay {
                folder,
                into,
                config,
                from_snapshot,
            } => replay::replay(
                output,
                &replay::Replay {
                    folder: &folder,
                    into: &into,
                    config: config.as_deref(),
                    from_snapshot: from_snapshot.as_deref(),
                },
            ),
            Command::Export { folder, config } => export::entries(&folder, config.as_deref()),
            Command::Close(asked) => books::close(output, &asked),
            Command::Config(command) => config::execute(output, &command),
            Command::Check { file, overrides } => {
                let config = file;
                let asked = config::Asked { config, overrides };
                config::execute(output, &config::ConfigCommand::Check(asked))
            }
            Command::Journal(what) => moving::execute(output, &what),
            Command::Backup(what) => backup::execute(output, &what),
            Command::Restore { backup, folder } => {
                backup::execute(output, &backup::Backup::Restore { backup, folder })
            }
            Command::Statement(asked) => books::statement(output, &asked),
            Command::Reconcile(asked) => books::reconcile(output, &asked),
            Command::Payout(asked) => books::payout(output, &asked),
            Command::Audit(asked) => books::audit(output, &asked),
            Command::Completions { shell } => manual::completions(output, shell),
            Command::Man { folder } => manual::pages(&folder),
        }
    }
}

impl Command {
    /// Whether it changes what a second time finds, and tells so at its end.
    fn carries_out(&self) -> bool {
        match self {
            Self::Init { .. }
            | Self::Replay { .. }
            | Self::Journal(_)
            | Self::Close(_)
            | Self::Restore { .. }
            | Self::Backup(backup::Backup::Create(_) | backup::Backup::Restore { .. })
            | Self::Payout(books::Payout::Export(_) | books::Payout::Settle(_)) => true,
            Self::Reconcile(asked) => asked.record,
            Self::Run(_)
            | Self::Promptpay(_)
            | Self::Config(_)
            | Self::Check { .. }
            | Self::Verify { .. }
            | Self::Export { .. }
            | Self::Backup(backup::Backup::Verify { .. })
            | Self::Statement(_)
            | Self::Payout(books::Payout::Again(_) | books::Payout::Answer(_))
            | Self::Audit(_)
            | Self::Completions { .. }
            | Self::Man { .. } => false,
        }
    }
}
