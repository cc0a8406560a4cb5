//! The journal's database, with what it is proved by.

use std::time::Duration;

use khlong_settings::text_file::read_text_file;

use super::derive::read;
use super::{Config, ConfigError, SecretText};
use crate::app::postgres::{PostgresOptions, Tls};

/// The most that a password has; no server takes as much.
const PASSWORD_BYTES_MAX: usize = 1_024;

impl Config {
    /// Where the journal lies if that is not the folder; reads the files of secrets.
    ///
    /// # Errors
    /// [`ConfigError`]; none repeats a value.
    pub fn database(&self) -> Result<Option<PostgresOptions>, ConfigError> {
        let Some(text) = &self.journal.postgres else {
            let journal = &self.journal;
            if journal.password.is_some()
                || journal.password_file.is_some()
                || journal.ca_file.is_some()
            {
                return Err(ConfigError::value(
                    "journal.postgres",
                    "is missing: without it the journal lies in the folder, and nothing here is asked",
                ));
            }
            return Ok(None);
        };
        let password = self.password()?;
        let tls = self.authority()?;
        let within = Duration::from_secs(self.journal.retry_seconds.0);
        PostgresOptions::parse(text.expose(), password.as_deref(), tls, within)
            .map(Some)
            .map_err(|error| ConfigError::value("journal.postgres", error.to_string()))
    }

    fn password(&self) -> Result<Option<String>, ConfigError> {
        let key = "journal.password_file";
        let password = match (&self.journal.password, &self.journal.password_file) {
            (None, None) => return Ok(None),
            (Some(password), None) => SecretText::expose(password).to_owned(),
            (None, Some(file)) => read(key, file)?,
            (Some(_), Some(_)) => {
                return Err(ConfigError::value(
                    "journal",
                    "set one of password and password_file",
                ));
            }
        };
        if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
            return Err(ConfigError::value(
                key,
                format!("a password has 1 to {PASSWORD_BYTES_MAX} bytes"),
            ));
        }
        Ok(Some(password))
    }

    fn authority(&self) -> Result<Option<Tls>, ConfigError> {
        let Some(file) = &self.journal.ca_file else {
            return Ok(None);
        };
        let key = "journal.ca_file";
        let pem = read_text_file(file).map_err(|source| ConfigError::File {
            key: key.to_owned(),
            path: file.clone(),
            source,
        })?;
        Tls::trusting(pem.as_bytes()).map(Some).ok_or_else(|| {
            ConfigError::value(key, "certificates in PEM are needed, and nothing else")
        })
    }
}
