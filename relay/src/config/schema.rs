//! What the file may hold, as JSON Schema (draft 2020-12). It is made from the types that
//! are read, so that neither can know a key that the other does not.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::Config;

/// A key of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Such as `listen`.
    pub section: String,
    /// Such as `quic`.
    pub name: String,
    /// Whether its value is never shown.
    pub is_secret: bool,
}

impl Key {
    /// Such as `listen.quic`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

/// The schema.
#[must_use]
pub fn schema() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value();
    tidy(&mut schema);
    schema
}

/// All keys, by section and name.
#[must_use]
pub fn keys() -> Vec<Key> {
    let schema = schema();
    let mut keys = Vec::new();
    for (section, inner) in properties(&schema).into_iter().flatten() {
        for (name, value) in properties(inner).into_iter().flatten() {
            keys.push(Key {
                section: section.clone(),
                name: name.clone(),
                // JSON Schema's word for what is told and never shown.
                is_secret: value.get("writeOnly") == Some(&Value::Bool(true)),
            });
        }
    }
    keys
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// Keeps the defaults of single keys: a whole section's repeat them, and TOML has no null.
fn tidy(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if members
        .get("default")
        .is_some_and(|default| default.is_null() || default.is_object())
    {
        members.remove("default");
    }
    let inner = members.get_mut("properties").and_then(Value::as_object_mut);
    for property in inner.into_iter().flat_map(Map::values_mut) {
        tidy(property);
    }
}
