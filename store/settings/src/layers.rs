//! The layers of a configuration: which of them said what, and what they say together.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Tag, Value};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::text_file::read_text_file;
use super::{ConfigError, Environment};

/// Defaults, file, environment and flags, not yet judged.
pub struct Layers {
    figment: Figment,
    folder: PathBuf,
}

impl fmt::Debug for Layers {
    /// Without values: some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Which layer a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said it.
    Default,
    /// The file.
    File,
    /// A variable of the environment.
    Environment {
        /// Its name.
        variable: String,
    },
    /// The command line.
    Flag,
}

impl Layers {
    /// Of the file at `path`; relative paths in it start from its folder.
    ///
    /// # Errors
    /// [`ConfigError::Read`].
    pub fn read(
        path: &Path,
        environment: Environment,
        flags: &impl Serialize,
    ) -> Result<Self, ConfigError> {
        let text = read_text_file(path).map_err(|source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        Ok(Self::of(&text, folder, environment, flags))
    }

    /// The same from text. What `flags` serialises is what the command line said.
    #[must_use]
    pub fn of(text: &str, folder: &Path, environment: Environment, flags: &impl Serialize) -> Self {
        Self {
            figment: Figment::new()
                .merge(Toml::string(text))
                .merge(environment)
                .merge(Serialized::defaults(flags)),
            folder: folder.to_path_buf(),
        }
    }

    /// What relative paths start from.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What they say together. Paths are as written, and nothing is compared with anything.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`], [`ConfigError::Value`]; every one says which key.
    pub fn extract<C: DeserializeOwned>(&self) -> Result<C, ConfigError> {
        self.figment
            .extract()
            .map_err(|error| ConfigError::from_figment(&error))
    }

    /// Who said the value at this place, such as `["listen", "http"]`; an element of a list has its
    /// number.
    #[must_use]
    pub fn origin(&self, place: &[&str]) -> Origin {
        let tag = self.tag(place);
        let Some(from) = tag.and_then(|tag| self.figment.get_metadata(tag)) else {
            return Origin::Default;
        };
        if from.name == Environment::NAME {
            let variable = from.interpolate(&figment::Profile::Default, place);
            return Origin::Environment { variable };
        }
        if from.name.contains("TOML") {
            Origin::File
        } else {
            Origin::Flag
        }
    }

    fn tag(&self, place: &[&str]) -> Option<Tag> {
        let (section, rest) = place.split_first()?;
        let section = self.figment.find_value(section).ok()?;
        let found = rest.iter().try_fold(&section, |value, name| match value {
            Value::Dict(_, members) => members.get(*name),
            Value::Array(_, elements) => elements.get(name.parse::<usize>().ok()?),
            Value::String(..)
            | Value::Char(..)
            | Value::Bool(..)
            | Value::Num(..)
            | Value::Empty(..) => None,
        })?;
        Some(found.tag())
    }
}
