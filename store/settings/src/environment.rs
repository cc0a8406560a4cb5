//! `KHLONG_SECTION__KEY` as a layer of the configuration.

use std::fmt;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

const PREFIX: &str = "KHLONG_";
const SEPARATOR: &str = "__";

/// Environment variables that name a key of the configuration. Values stay
/// text, so a token of digits is not mistaken for a number.
#[derive(Clone, Default)]
pub struct Environment(Vec<(String, String)>);

impl fmt::Debug for Environment {
    /// Names only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

impl Environment {
    /// What this layer is called in errors.
    pub(super) const NAME: &str = "environment";

    /// Of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::from_pairs(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    /// Of the given variables. Those without `__`, such as `KHLONG_HOME`, are
    /// not about the configuration.
    pub fn from_pairs(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let path = name.strip_prefix(PREFIX)?;
            path.contains(SEPARATOR)
                .then(|| (path.to_ascii_lowercase().replace(SEPARATOR, "."), value))
        });
        Self(ours.collect())
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(Self::NAME).interpolater(|_, path| {
            format!("{PREFIX}{}", path.join(SEPARATOR).to_ascii_uppercase())
        })
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut root = Dict::new();
        for (path, value) in &self.0 {
            insert(&mut root, path, value);
        }
        Ok(Map::from([(Profile::Default, root)]))
    }
}

fn insert(dict: &mut Dict, path: &str, value: &str) {
    let Some((section, rest)) = path.split_once('.') else {
        dict.insert(path.to_owned(), Value::from(value));
        return;
    };
    let mut inner = match dict.remove(section) {
        Some(Value::Dict(_, inner)) => inner,
        Some(_) | None => Dict::new(),
    };
    insert(&mut inner, rest, value);
    dict.insert(section.to_owned(), Value::from(inner));
}
