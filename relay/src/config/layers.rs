//! The layers of a configuration: which of them said what, and what they say together.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use khlong_store::secret_file::read_secret_file;
use khlong_store::text_file::read_text_file;

use super::check::host_in_address;
use super::{Config, ConfigError, Environment, Flags, SecretText};

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

    /// What they say together, with paths and files of secrets resolved and checked.
    ///
    /// # Errors
    /// [`ConfigError`]; every one says which key.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let folder = &self.folder;
        let mut config: Config = self
            .figment
            .extract()
            .map_err(|error| ConfigError::from_figment(&error))?;
        config.store.folder = folder.join(&config.store.folder);
        config.relay.host = host_in_address(&config.relay.host)?;
        config.read_secrets(folder)?;
        config.check()?;
        Ok(config)
    }

    /// Who said `key`, such as `listen.quic`.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        let Some(from) = self.figment.find_metadata(key) else {
            return Origin::Default;
        };
        if from.name == Environment::NAME {
            let path: Vec<&str> = key.split('.').collect();
            let variable = from.interpolate(&figment::Profile::Default, &path);
            return Origin::Environment { variable };
        }
        if from.name.contains("TOML") {
            Origin::File
        } else {
            Origin::Flag
        }
    }
}

impl Config {
    fn read_secrets(&mut self, folder: &Path) -> Result<(), ConfigError> {
        let (relay, policy) = (&mut self.relay, &mut self.policy);
        if relay.key.is_none() && relay.key_file.is_none() {
            relay.key_file = Some(PathBuf::from("relay.key"));
        }
        for file in [&mut relay.key_file, &mut policy.token_file] {
            *file = file.as_ref().map(|file| folder.join(file));
        }
        one_of(&mut relay.key, relay.key_file.as_deref(), "relay.key")?;
        one_of(
            &mut policy.token,
            policy.token_file.as_deref(),
            "policy.token",
        )
    }
}

/// A secret stands in its key or in the file beside it, never in both.
fn one_of(
    value: &mut Option<SecretText>,
    file: Option<&Path>,
    key: &'static str,
) -> Result<(), ConfigError> {
    let Some(file) = file else { return Ok(()) };
    if value.is_some() {
        return Err(ConfigError::Invalid {
            key,
            reason: format!("set either {key} or {key}_file, not both"),
        });
    }
    let text = read_secret_file(file).map_err(|source| ConfigError::SecretFile { key, source })?;
    *value = Some(text.into());
    Ok(())
}
