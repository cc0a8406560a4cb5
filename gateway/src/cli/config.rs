//! `khlong-gateway config check | show | schema`: the configuration alone.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::output::Output;
use super::run::{Overrides, filter};
use super::{CliError, RunError};
use crate::config::schema::{self, Key, Section, SectionKind};
use crate::config::{Config, Environment, Layers, Origin};

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
        ConfigCommand::Schema => output.text(&format!("{:#}\n", schema::schema())),
    }
}

fn layers(asked: &Asked) -> Result<Layers, RunError> {
    let environment = Environment::of_process();
    Layers::read(&asked.config, environment, &asked.overrides.flags()).map_err(RunError::Config)
}

fn check(output: Output, asked: &Asked) -> Result<(), CliError> {
    let path = asked.config.display();
    let config = layers(asked)?.config().map_err(RunError::Config)?;
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
    let config = layers.config().map_err(RunError::Config)?;
    let tables = tables(&schema::sections(), &layers, &config);
    if output.json {
        let all = tables.iter().flat_map(|table| &table.shown);
        let fields = [
            ("config", Value::from(asked.config.display().to_string())),
            ("values", all.map(Shown::json).collect()),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        return output.object(Map::from_iter(fields));
    }
    output.text(&toml_of(&tables))
}

/// A table as it stands in the file.
struct Table {
    /// `[listen]`, `[keys.NAME]` or `[[outbox.target]]`.
    head: String,
    shown: Vec<Shown>,
}

/// One key, what it is, and who said so.
struct Shown {
    /// Such as `keys.shop.role`; an element of a list has its number.
    path: String,
    name: String,
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

fn tables(sections: &[Section], layers: &Layers, config: &Config) -> Vec<Table> {
    let all = serde_json::to_value(config).unwrap_or_default();
    let mut tables = Vec::new();
    for section in sections {
        let place: Vec<&str> = section.name.split('.').collect();
        let values = place.iter().try_fold(&all, |value, name| value.get(*name));
        let mut table = |head: String, last: Option<&str>, values: &Value| {
            let place: Vec<&str> = place.iter().copied().chain(last).collect();
            let shown = section.keys.iter();
            let shown = shown.map(|key| Shown::new(&place, key, values, layers));
            tables.push(Table {
                head,
                shown: shown.collect(),
            });
        };
        let name = &section.name;
        match (section.kind, values) {
            (SectionKind::One, Some(values)) => table(format!("[{name}]"), None, values),
            (SectionKind::Named, Some(Value::Object(named))) => {
                for (own, values) in named {
                    table(format!("[{name}.{own}]"), Some(own), values);
                }
            }
            (SectionKind::Listed, Some(Value::Array(listed))) => {
                for (number, values) in listed.iter().enumerate() {
                    table(format!("[[{name}]]"), Some(&number.to_string()), values);
                }
            }
            (SectionKind::One | SectionKind::Named | SectionKind::Listed, _) => {}
        }
    }
    tables
}

impl Shown {
    fn new(section: &[&str], key: &Key, values: &Value, layers: &Layers) -> Self {
        let origin_of = |name: &str| {
            let place: Vec<&str> = section.iter().copied().chain([name]).collect();
            layers.origin(&place)
        };
        let value_of = |name: &str| values.get(name).filter(|value| !value.is_null());
        let mut origin = origin_of(&key.name);
        let value = if key.is_secret {
            let file = format!("{}_file", key.name);
            if origin != Origin::Default {
                Effective::Secret("set")
            } else if value_of(&file).is_some() {
                origin = origin_of(&file);
                Effective::Secret("from file")
            } else {
                Effective::NotSet
            }
        } else {
            match value_of(&key.name) {
                Some(Value::String(text)) if is_path(&key.name) => {
                    Effective::Value(absolute(text).into())
                }
                Some(value) => Effective::Value(value.clone()),
                None => Effective::NotSet,
            }
        };
        Self {
            path: format!("{}.{}", section.join("."), key.name),
            name: key.name.clone(),
            value,
            origin,
        }
    }

    fn origin(&self) -> (&'static str, Option<&str>) {
        match &self.origin {
            Origin::Default => ("default", None),
            Origin::File => ("file", None),
            Origin::Environment { variable } => ("environment", Some(variable)),
            Origin::Flag => {
                let flag = Overrides::KEYS.iter().find(|(key, _)| *key == self.path);
                ("flag", flag.map(|(_, flag)| *flag))
            }
        }
    }

    fn json(&self) -> Value {
        let (origin, name) = self.origin();
        let mut shown = json!({ "key": self.path, "origin": origin });
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

    /// A line of the file, with who said it.
    fn toml(&self) -> String {
        let (origin, detail) = self.origin();
        let from = detail.map_or_else(|| origin.to_owned(), |name| format!("{origin}: {name}"));
        let name = &self.name;
        match &self.value {
            // What JSON and TOML write differently is only this one character in strings.
            Effective::Value(value) => {
                let value = value.to_string().replace('\u{7f}', "\\u007f");
                format!("{name} = {value} # {from}\n")
            }
            Effective::NotSet => format!("# {name} is not set # {from}\n"),
            Effective::Secret(state) => format!("# {name}: {state} # {from}\n"),
        }
    }
}

/// Loads again as the same configuration, but for secrets that were written in it.
fn toml_of(tables: &[Table]) -> String {
    let tables = tables.iter().map(|table| {
        let lines: String = table.shown.iter().map(Shown::toml).collect();
        format!("{}\n{lines}", table.head)
    });
    tables.collect::<Vec<_>>().join("\n")
}

fn is_path(name: &str) -> bool {
    name == "folder" || name.ends_with("_file")
}

/// A path means the same wherever what is shown is read.
fn absolute(path: &str) -> String {
    let path = Path::new(path);
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.display().to_string()
}
