//! `khlong-relay config check | show | schema`: the configuration alone.

use serde_json::{Value, json};

use super::{Arguments, CommandError, ConfigCommand, Overrides, SCHEMA_VERSION, print, tell};
use crate::config::schema::{self, Key};
use crate::config::{Config, Layers, Origin};
use crate::identity;

pub(super) fn execute(arguments: &Arguments, command: &ConfigCommand) -> Result<(), CommandError> {
    match command {
        ConfigCommand::Check(overrides) => check(arguments, overrides),
        ConfigCommand::Show(overrides) => show(arguments, overrides),
        ConfigCommand::Schema => {
            print(&format!("{:#}", schema::schema()));
            Ok(())
        }
    }
}

fn check(arguments: &Arguments, overrides: &Overrides) -> Result<(), CommandError> {
    let config = arguments.load(&overrides.flags())?;
    super::log::filter(&config.log.level)?;
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
    let config = layers.config().map_err(CommandError::Config)?;
    let keys = schema::keys();
    let shown: Vec<Shown<'_>> = keys
        .iter()
        .map(|key| Shown::new(key, &layers, &config))
        .collect();
    if arguments.json {
        let values: Vec<Value> = shown.iter().map(Shown::json).collect();
        let data = json!({ "schema_version": SCHEMA_VERSION, "config": arguments.config, "values": values });
        print(&data.to_string());
    } else {
        print_toml(&shown);
    }
    Ok(())
}

/// One key, what it is, and who said so.
struct Shown<'k> {
    key: &'k Key,
    value: Effective,
    origin: Origin,
}

enum Effective {
    /// As JSON, which has all kinds of value that the file has.
    Value(Value),
    NotSet,
    /// Something that is not shown, and where it is.
    Secret(&'static str),
}

impl<'k> Shown<'k> {
    fn new(key: &'k Key, layers: &Layers, config: &Config) -> Self {
        let path = key.path();
        let mut origin = layers.origin(&path);
        let value = if key.is_secret {
            let file = format!("{path}_file");
            if origin != Origin::Default {
                Effective::Secret("set")
            } else if value_of(config, &key.section, &format!("{}_file", key.name)).is_some() {
                origin = layers.origin(&file);
                Effective::Secret("from file")
            } else {
                Effective::NotSet
            }
        } else {
            match value_of(config, &key.section, &key.name) {
                Some(Value::String(text)) if is_path(&path) => {
                    Effective::Value(absolute(&text).into())
                }
                Some(value) => Effective::Value(value),
                None => Effective::NotSet,
            }
        };
        Self { key, value, origin }
    }

    fn origin(&self) -> (&'static str, Option<String>) {
        match &self.origin {
            Origin::Default => ("default", None),
            Origin::File => ("file", None),
            Origin::Environment { variable } => ("environment", Some(variable.clone())),
            Origin::Flag => {
                let path = self.key.path();
                let flag = Overrides::KEYS.iter().find(|(key, _)| *key == path);
                ("flag", flag.map(|(_, flag)| (*flag).to_owned()))
            }
        }
    }

    fn json(&self) -> Value {
        let (origin, name) = self.origin();
        let mut shown = json!({ "key": self.key.path(), "origin": origin });
        let (field, value) = match &self.value {
            Effective::Value(value) => ("value", value.clone()),
            Effective::NotSet => ("value", Value::Null),
            Effective::Secret(state) => ("secret", Value::from(*state)),
        };
        if let Some(members) = shown.as_object_mut() {
            members.insert(field.to_owned(), value);
            if let Some(name) = name {
                members.insert("name".to_owned(), name.into());
            }
        }
        shown
    }
}

/// Loads again as the same configuration, but for secrets that were written in it.
fn print_toml(shown: &[Shown<'_>]) {
    let mut section = "";
    for one in shown {
        if one.key.section != section {
            if !section.is_empty() {
                print("");
            }
            section = &one.key.section;
            print(&format!("[{section}]"));
        }
        let (origin, detail) = one.origin();
        let from = detail.map_or_else(|| origin.to_owned(), |name| format!("{origin}: {name}"));
        let name = &one.key.name;
        print(&match &one.value {
            Effective::Value(value) => format!("{name} = {} # {from}", toml(value)),
            Effective::NotSet => format!("# {name} is not set # {from}"),
            Effective::Secret(state) => format!("# {name}: {state} # {from}"),
        });
    }
}

/// What JSON and TOML write differently is only this one character in strings.
fn toml(value: &Value) -> String {
    value.to_string().replace('\u{7f}', "\\u007f")
}

fn value_of(config: &Config, section: &str, name: &str) -> Option<Value> {
    let all = serde_json::to_value(config).ok()?;
    let value = all.get(section)?.get(name)?;
    (!value.is_null()).then(|| value.clone())
}

fn is_path(path: &str) -> bool {
    path == "store.folder" || path.ends_with("_file")
}

/// A path means the same wherever what is shown is read.
fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}
