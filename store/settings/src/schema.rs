//! What the file may hold, as JSON Schema (draft 2020-12). It is made from the types that
//! are read, so that neither can know a key that the other does not.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// A table of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Such as `listen` or `outbox.target`.
    pub name: String,
    /// How often it is there.
    pub kind: SectionKind,
    /// Its keys, by name.
    pub keys: Vec<Key>,
}

/// How often a table is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// Once: `[listen]`.
    One,
    /// Under names of the operator's: `[keys.NAME]`.
    Named,
    /// As often as one likes: `[[outbox.target]]`.
    Listed,
}

/// A key of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Such as `http`.
    pub name: String,
    /// Whether its value is never shown.
    pub is_secret: bool,
}

/// The schema of `C`.
#[must_use]
pub fn schema<C: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<C>()
        .to_value();
    tidy(&mut schema);
    schema
}

/// All sections of `C`, by name.
#[must_use]
pub fn sections<C: JsonSchema>() -> Vec<Section> {
    let schema = schema::<C>();
    let mut sections = Vec::new();
    for (name, inner) in properties(&schema).into_iter().flatten() {
        if let Some(members) = properties(inner) {
            let (listed, single): (Vec<_>, Vec<_>) = members
                .iter()
                .partition(|(_, member)| elements(member).is_some());
            if !single.is_empty() {
                sections.push(section(name.clone(), SectionKind::One, single));
            }
            for (member, list) in listed {
                let keys = elements(list).into_iter().flatten();
                let name = format!("{name}.{member}");
                sections.push(section(name, SectionKind::Listed, keys));
            }
        } else if let Some(members) = inner.get("additionalProperties").and_then(properties) {
            sections.push(section(name.clone(), SectionKind::Named, members));
        }
    }
    sections
}

fn section<'s>(
    name: String,
    kind: SectionKind,
    members: impl IntoIterator<Item = (&'s String, &'s Value)>,
) -> Section {
    let key = |(name, value): (&String, &Value)| Key {
        name: name.clone(),
        // JSON Schema's word for what is told and never shown.
        is_secret: value.get("writeOnly") == Some(&Value::Bool(true)),
    };
    let keys = members.into_iter().map(key).collect();
    Section { name, kind, keys }
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// The keys of a list of tables.
fn elements(schema: &Value) -> Option<&Map<String, Value>> {
    properties(schema.get("items")?)
}

/// Keeps the defaults of single keys: a whole section's repeat them, and TOML has no null.
fn tidy(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if members
        .get("default")
        .is_some_and(|default| default.is_null() || default.is_object() || default.is_array())
    {
        members.remove("default");
    }
    for inner in ["additionalProperties", "items"] {
        if let Some(inner) = members.get_mut(inner) {
            tidy(inner);
        }
    }
    let inner = members.get_mut("properties").and_then(Value::as_object_mut);
    for property in inner.into_iter().flat_map(Map::values_mut) {
        tidy(property);
    }
}
