//! `khlong-relay config check | show | schema`: the configuration alone.

use khlong_settings::effective::Effective;
use khlong_settings::schema;
use serde_json::json;

use super::{
    Arguments, CommandError, ConfigCommand, Overrides, SCHEMA_VERSION, log_filter, print, tell,
};
use crate::config::Config;
use crate::identity;

pub(super) fn execute(arguments: &Arguments, command: &ConfigCommand) -> Result<(), CommandError> {
    match command {
        ConfigCommand::Check(overrides) => check(arguments, overrides),
        ConfigCommand::Show(overrides) => show(arguments, overrides),
        ConfigCommand::Schema => {
            print(&format!("{:#}", schema::schema::<Config>()));
            Ok(())
        }
    }
}

fn check(arguments: &Arguments, overrides: &Overrides) -> Result<(), CommandError> {
    let config = arguments.load(&overrides.flags())?;
    log_filter(&config)?;
    identity::parse_configured(&config.relay).map_err(CommandError::Key)?;
    if arguments.json {
        let data =
            json!({ "schema_version": SCHEMA_VERSION, "config": arguments.config, "valid": true });
        print(&data.to_string());
    } else {
        tell(&format!("{} is valid", arguments.config.display()));
    }
    Ok(())
}

fn show(arguments: &Arguments, overrides: &Overrides) -> Result<(), CommandError> {
    let layers = arguments.layers(&overrides.flags())?;
    let config = Config::of(&layers).map_err(CommandError::Config)?;
    let effective =
        Effective::of(&layers, &config, &Overrides::KEYS).map_err(CommandError::Config)?;
    if arguments.json {
        let data = json!({
            "schema_version": SCHEMA_VERSION, "config": arguments.config, "values": effective.json(),
        });
        print(&data.to_string());
    } else {
        print(effective.toml().trim_end());
    }
    Ok(())
}
