//! The layers of a configuration: which of them said what, and what they say together.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Tag, Value};
use khlong_store::text_file::read_text_file;

use super::{Config, ConfigError, Environment, Flags};

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
    pub fn read(path: &Path, environment: Environment, flags: &Flags) -> Result<Self, ConfigError> {
        let text = read_text_file(path).map_err(|source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        Ok(Self::of(&text, folder, environment, flags))
    }

    /// The same from text.
    #[must_use]
    pub fn of(text: &str, folder: &Path, environment: Environment, flags: &Flags) -> Self {
        Self {
            figment: Figment::new()
                .merge(Toml::string(text))
                .merge(environment)
                .merge(Serialized::defaults(flags)),
            folder: folder.to_path_buf(),
        }
    }

    /// What they say together, with paths resolved and checked. Files of secrets are read by
    /// [`Config::options`].
    ///
    /// # Errors
    /// [`ConfigError`]; every one says which key.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut config: Config = self
            .figment
            .extract()
            .map_err(|error| ConfigError::from_figment(&error))?;
        config.resolve(&self.folder);
        config.check()?;
        Ok(config)
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

impl Config {
    /// Relative paths start from `folder`.
    fn resolve(&mut self, folder: &Path) {
        self.store.folder = folder.join(&self.store.folder);
        let journal = &mut self.journal;
        let mut files = vec![&mut journal.password_file, &mut journal.ca_file];
        files.extend(self.keys.values_mut().map(|key| &mut key.secret_file));
        for target in &mut self.outbox.target {
            files.extend([&mut target.secret_file, &mut target.ca_file]);
        }
        for file in files {
            *file = file.as_ref().map(|file| folder.join(file));
        }
    }
}
