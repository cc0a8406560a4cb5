//! `khlong-gateway config check | show | schema`: the configuration alone.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use khlong_settings::effective::Effective;
use khlong_settings::schema;
use serde_json::{Map, Value};

use super::output::Output;
use super::run::{Overrides, filter};
use super::{CliError, RunError};
use crate::config::{Config, Environment, Layers};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether file, environment and flags are one that `run` takes, its secrets and certificates included. The folder is not looked at.
    Check(Asked),
    /// Print what is in effect, and where each value was said; secrets are not shown, and their files not read.
    Show(Asked),
    /// Print a JSON Schema of the file, for editors and for tools that write it.
    Schema,
}

/// Flags of `config check` and `config show`.
#[derive(Args, Debug)]
pub struct Asked {
    /// The configuration; paths in it are relative to its folder.
    #[arg(long, value_name = "FILE", default_value = "gateway.toml")]
    pub config: PathBuf,
    /// What wins over the configuration.
    #[command(flatten)]
    pub overrides: Overrides,
}

pub(super) fn execute(output: Output, command: &ConfigCommand) -> Result<(), CliError> {
    match command {
        ConfigCommand::Check(asked) => check(output, asked),
        ConfigCommand::Show(asked) => show(output, asked),
        ConfigCommand::Schema => output.text(&format!("{:#}\n", schema::schema::<Config>())),
    }
}

fn layers(asked: &Asked) -> Result<Layers, RunError> {
    let environment = Environment::of_process();
    Layers::read(&asked.config, environment, &asked.overrides.flags()).map_err(RunError::Config)
}

fn check(output: Output, asked: &Asked) -> Result<(), CliError> {
    let path = asked.config.display();
    let config = Config::of(&layers(asked)?).map_err(RunError::Config)?;
    filter(&config.log)?;
    let options = config.options().map_err(RunError::Config)?;
    let (keys, targets) = (options.keys.len(), options.outbox.targets.len());
    if output.json {
        let fields = [
            ("config", Value::from(path.to_string())),
            ("valid", Value::from(true)),
            ("keys", Value::from(keys)),
            ("targets", Value::from(targets)),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        return output.object(Map::from_iter(fields));
    }
    output.text(&format!(
        "{path} is valid: {keys} keys, {targets} targets of the outbox\n"
    ))
}

fn show(output: Output, asked: &Asked) -> Result<(), CliError> {
    let layers = layers(asked)?;
    let config = Config::of(&layers).map_err(RunError::Config)?;
    let effective = Effective::of(&layers, &config, &Overrides::KEYS).map_err(RunError::Config)?;
    if output.json {
        let fields = [
            ("config", Value::from(asked.config.display().to_string())),
            ("values", Value::from(effective.json())),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        return output.object(Map::from_iter(fields));
    }
    output.text(&effective.toml())
}
