//! `--set key=value`: changes to a scenario before it is read.
//!
//! A key is a path with dots: `duration`, `group.students.count`,
//! `connect.wifi.share`. An element of a list is named by its number from 0 or
//! by its `name`. The value is TOML; what is no TOML value is a text, so
//! `--set duration=2h` needs no quotes.

use toml::{Table, Value};

use super::error::{ScenarioError, suggestion};

/// One `key=value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// As it was written, before the `=`.
    pub key: String,
    /// After the `=`.
    pub value: String,
}

impl Override {
    /// Splits `key=value`.
    ///
    /// # Errors
    /// [`ScenarioError::Override`] without a key or an `=`.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
            }),
            Some(_) | None => Err(ScenarioError::Override {
                text: text.to_owned(),
                problem: "write KEY=VALUE, such as group.students.count=20".to_owned(),
            }),
        }
    }

    /// `key=value`.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}={}", self.key, self.value)
    }

    /// Writes the value into `scenario`. Only the last part of the path may be new there.
    pub(super) fn apply(&self, scenario: &mut Table) -> Result<(), ScenarioError> {
        let refused = |problem| ScenarioError::Override {
            text: self.text(),
            problem,
        };
        let mut parts: Vec<&str> = self.key.split('.').collect();
        let last = parts.pop().filter(|last| !last.is_empty());
        let last = last.ok_or_else(|| refused("the key ends in a dot".to_owned()))?;
        let mut at = Place::Table(scenario);
        for part in parts {
            at = at.enter(part).map_err(refused)?;
        }
        at.put(last, parse_value(&self.value)).map_err(refused)
    }
}

/// The value as TOML, or as a text if it is none.
fn parse_value(text: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {text}\n"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Tables that a scenario may leave out, though a path goes through them.
const OPTIONAL_TABLES: &[&str] = &["routing", "prophet"];

enum Place<'a> {
    Table(&'a mut Table),
    List(&'a mut Vec<Value>),
}

impl<'a> Place<'a> {
    fn enter(self, part: &str) -> Result<Self, String> {
        let value = match self {
            Self::Table(table) => {
                if !table.contains_key(part) && OPTIONAL_TABLES.contains(&part) {
                    table.insert(part.to_owned(), Value::Table(Table::new()));
                }
                let hint = suggestion(part, table.keys().map(String::as_str));
                table
                    .get_mut(part)
                    .ok_or_else(|| format!("there is no `{part}`{hint}"))?
            }
            Self::List(list) => {
                let place = element(list, part)?;
                list.get_mut(place)
                    .ok_or_else(|| format!("there is no `{part}`"))?
            }
        };
        match value {
            Value::Table(table) => Ok(Self::Table(table)),
            Value::Array(list) => Ok(Self::List(list)),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => Err(format!("`{part}` has no parts")),
        }
    }

    fn put(self, last: &str, value: Value) -> Result<(), String> {
        match self {
            Self::Table(table) => {
                table.insert(last.to_owned(), value);
            }
            Self::List(list) => {
                let place = element(list, last)?;
                if let Some(element) = list.get_mut(place) {
                    *element = value;
                }
            }
        }
        Ok(())
    }
}

/// Place in a list, by number or by `name`.
fn element(list: &[Value], part: &str) -> Result<usize, String> {
    let names = || {
        list.iter()
            .filter_map(|value| value.get("name").and_then(Value::as_str))
    };
    let by_number = part.parse().ok().filter(|place| *place < list.len());
    by_number
        .or_else(|| {
            list.iter()
                .position(|value| value.get("name").and_then(Value::as_str) == Some(part))
        })
        .ok_or_else(|| {
            let hint = suggestion(part, names());
            format!(
                "the list has {} elements and none is named `{part}`{hint}",
                list.len()
            )
        })
}
