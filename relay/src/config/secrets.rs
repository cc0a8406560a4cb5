//! Secrets that lie in files of their own.

use std::path::{Path, PathBuf};

use khlong_store::secret_file::read_secret_file;

use super::{Config, ConfigError, SecretText};

impl Config {
    /// Reads the files that are named, with relative paths from `folder`.
    pub(super) fn read_secrets(&mut self, folder: &Path) -> Result<(), ConfigError> {
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
    key: &str,
) -> Result<(), ConfigError> {
    let Some(file) = file else { return Ok(()) };
    if value.is_some() {
        let told = format!("set either {key} or {key}_file, not both");
        return Err(ConfigError::value(key, told));
    }
    let text = read_secret_file(file).map_err(|source| ConfigError::SecretFile {
        key: key.to_owned(),
        source,
    })?;
    *value = Some(text.into());
    Ok(())
}
