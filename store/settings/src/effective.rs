//! What is in effect, and who said so.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::schema::{self, Key, SectionKind};
use super::{ConfigError, Layers, Origin};

/// A configuration with who said what. Secrets are not in it.
#[derive(Debug)]
pub struct Effective(Vec<Table>);

/// A table as it stands in the file.
#[derive(Debug)]
struct Table {
    /// `[listen]`, `[keys.NAME]` or `[[outbox.target]]`.
    head: String,
    shown: Vec<Shown>,
}

/// One key, what it is, and who said so.
#[derive(Debug)]
struct Shown {
    /// Such as `keys.shop.role`; an element of a list has its number.
    path: String,
    name: String,
    value: Told,
    origin: Origin,
    /// The flag that said so, if one did.
    flag: Option<&'static str>,
}

#[derive(Debug)]
enum Told {
    /// As JSON, which has all kinds of value that the file has.
    Value(Value),
    NotSet,
    /// Something that is not shown, and where it is.
    Secret(&'static str),
}

impl Effective {
    /// Of `config`, which is what `layers` say together. `flags` has each flag behind the key that it
    /// sets, such as `("listen.http", "--http")`.
    ///
    /// # Errors
    /// [`ConfigError::NoText`].
    pub fn of<C: JsonSchema + Serialize>(
        layers: &Layers,
        config: &C,
        flags: &[(&str, &'static str)],
    ) -> Result<Self, ConfigError> {
        let all = serde_json::to_value(config).map_err(ConfigError::NoText)?;
        let mut tables = Vec::new();
        for section in schema::sections::<C>() {
            let place: Vec<&str> = section.name.split('.').collect();
            let values = place.iter().try_fold(&all, |value, name| value.get(*name));
            let mut table = |head: String, last: Option<&str>, values: &Value| {
                let place: Vec<&str> = place.iter().copied().chain(last).collect();
                let shown = section.keys.iter();
                let shown = shown.map(|key| Shown::new(&place, key, values, layers, flags));
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
        Ok(Self(tables))
    }

    /// An object for each key: `key`, `value` or for a secret `secret` (`set` or `from file`), `origin`
    /// (`default`, `file`, `environment` or `flag`), and the `name` of the variable or flag.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        let all = self.0.iter().flat_map(|table| &table.shown);
        all.map(Shown::json).collect()
    }

    /// Loads again as the same configuration, but for secrets that were written in it.
    #[must_use]
    pub fn toml(&self) -> String {
        let tables = self.0.iter().map(|table| {
            let lines: String = table.shown.iter().map(Shown::toml).collect();
            format!("{}\n{lines}", table.head)
        });
        tables.collect::<Vec<_>>().join("\n")
    }
}

impl Shown {
    fn new(
        section: &[&str],
        key: &Key,
        values: &Value,
        layers: &Layers,
        flags: &[(&str, &'static str)],
    ) -> Self {
        let origin_of = |name: &str| {
            let place: Vec<&str> = section.iter().copied().chain([name]).collect();
            layers.origin(&place)
        };
        let value_of = |name: &str| values.get(name).filter(|value| !value.is_null());
        let mut origin = origin_of(&key.name);
        let value = if key.is_secret {
            let file = format!("{}_file", key.name);
            if origin != Origin::Default {
                Told::Secret("set")
            } else if value_of(&file).is_some() {
                origin = origin_of(&file);
                Told::Secret("from file")
            } else {
                Told::NotSet
            }
        } else {
            match value_of(&key.name) {
                Some(Value::String(text)) if is_path(&key.name) => {
                    Told::Value(absolute(text).into())
                }
                Some(value) => Told::Value(value.clone()),
                None => Told::NotSet,
            }
        };
        let path = format!("{}.{}", section.join("."), key.name);
        let flag = flags.iter().find(|(key, _)| *key == path);
        Self {
            flag: flag.map(|(_, flag)| *flag),
            path,
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
            Origin::Flag => ("flag", self.flag),
        }
    }

    fn json(&self) -> Value {
        let (origin, name) = self.origin();
        let mut shown = json!({ "key": self.path, "origin": origin });
        let (field, value) = match &self.value {
            Told::Value(value) => ("value", value.clone()),
            Told::NotSet => ("value", Value::Null),
            Told::Secret(state) => ("secret", Value::from(*state)),
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
            Told::Value(value) => {
                let value = value.to_string().replace('\u{7f}', "\\u007f");
                format!("{name} = {value} # {from}\n")
            }
            Told::NotSet => format!("# {name} is not set # {from}\n"),
            Told::Secret(state) => format!("# {name}: {state} # {from}\n"),
        }
    }
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
