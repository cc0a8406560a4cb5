//! What the parts of the gateway get out of a configuration. Files of secrets are read here.

use std::path::Path;
use std::time::Duration;

use khlong_store::secret_file::read_secret_file;

use super::{Config, ConfigError, Count, KeySection, SecretText};
use crate::app::Options;
use crate::http::ApiKey;
use crate::http::limits::{BODY_WITHIN, SECRET_BYTES_MAX, SECRET_BYTES_MIN, SILENCE_MAX};
use crate::outbox;
use crate::outbox::schedule::Policy;

const DAY: Duration = Duration::from_secs(24 * 3_600);

impl Config {
    /// The keys with the hashes of their secrets; reads the files of secrets.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, ConfigError> {
        let mut keys: Vec<ApiKey> = Vec::new();
        for (name, section) in &self.keys {
            let hash = hash(name, section)?;
            if let Some(other) = keys.iter().find(|known| known.hash == hash) {
                return Err(ConfigError::value(
                    format!("keys.{name}"),
                    format!("has the secret of keys.{}; give each its own", other.name),
                ));
            }
            keys.push(ApiKey {
                name: name.clone(),
                role: section.role,
                hash,
            });
        }
        Ok(keys)
    }

    /// What a gateway is started with.
    ///
    /// # Errors
    /// As [`Self::api_keys`].
    pub fn options(&self) -> Result<Options, ConfigError> {
        let number = |count: Count| usize::try_from(count.0).unwrap_or(usize::MAX);
        let per_minute = self.limits.requests_per_minute.0;
        Ok(Options {
            folder: self.store.folder.clone(),
            sizes: self.store.rocks_options(),
            journal: self.database()?,
            accept_loss: false,
            accept_time: false,
            keep_keys: DAY * self.idempotency.keep.0,
            queue: number(self.limits.queue),
            http: self.listen.http,
            admin: self.listen.admin,
            connections: number(self.limits.connections),
            silence_max: SILENCE_MAX,
            body_within: BODY_WITHIN,
            requests_per_minute: u32::try_from(per_minute).unwrap_or(u32::MAX),
            keys: self.api_keys()?,
            outbox: outbox::Options {
                targets: self.targets()?,
                policy: Policy::default(),
            },
        })
    }
}

fn hash(name: &str, section: &KeySection) -> Result<blake3::Hash, ConfigError> {
    let secret = section.secret.as_ref().map(SecretText::expose);
    match (&section.hash, secret, &section.secret_file) {
        (Some(hash), None, None) => blake3::Hash::from_hex(hash).map_err(|_| {
            ConfigError::value(
                format!("keys.{name}.hash"),
                "64 hexadecimal digits are needed, as b3sum prints them",
            )
        }),
        (None, Some(secret), None) => hash_of(&format!("keys.{name}.secret"), secret),
        (None, None, Some(file)) => {
            let key = format!("keys.{name}.secret_file");
            hash_of(&key, &read(&key, file)?)
        }
        _ => Err(ConfigError::value(
            format!("keys.{name}"),
            "set exactly one of hash, secret and secret_file",
        )),
    }
}

/// The secret in a file.
pub(super) fn read(key: &str, path: &Path) -> Result<String, ConfigError> {
    read_secret_file(path).map_err(|source| ConfigError::SecretFile {
        key: key.to_owned(),
        source,
    })
}

fn hash_of(key: &str, secret: &str) -> Result<blake3::Hash, ConfigError> {
    let fits = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len());
    if !fits || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ConfigError::value(
            key,
            "a secret has 32 to 256 printable ASCII characters without blanks",
        ));
    }
    Ok(blake3::hash(secret.as_bytes()))
}
