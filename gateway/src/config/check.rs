//! What no single key can say, and what the parts of the gateway get out of a configuration.

use std::path::Path;
use std::time::Duration;

use khlong_store::engine::rocks::RocksOptions;
use khlong_store::secret_file::read_secret_file;

use super::{Config, ConfigError, KeySection, SecretText};
use crate::app::Options;
use crate::app::limits::QUEUE_MAX;
use crate::http::ApiKey;
use crate::http::limits::{KEYS_MAX, SECRET_BYTES_MAX, SECRET_BYTES_MIN, SILENCE_MAX};
use crate::outbox;
use crate::outbox::schedule::Policy;

/// A key's name, which stands in the journal.
const NAME_BYTES_MAX: usize = 64;
const MIB: u64 = 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 3_600);

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, number, most) in [
            ("limits.connections", self.limits.connections, 65_536),
            ("limits.queue", self.limits.queue, QUEUE_MAX),
            (
                "limits.requests_per_minute",
                self.limits.requests_per_minute as usize,
                u32::MAX as usize,
            ),
            (
                "journal.retry_seconds",
                self.journal.retry_seconds as usize,
                600,
            ),
            (
                "store.block_cache_mib",
                self.store.block_cache_mib as usize,
                1 << 20,
            ),
            (
                "store.write_buffer_mib",
                self.store.write_buffer_mib as usize,
                1 << 12,
            ),
            (
                "idempotency.keep_days",
                self.idempotency.keep_days as usize,
                36_500,
            ),
        ] {
            if number == 0 || number > most {
                return Err(ConfigError::value(
                    key,
                    format!("a number from 1 to {most} is needed"),
                ));
            }
        }
        if self.keys.len() > KEYS_MAX {
            return Err(ConfigError::value(
                "keys",
                format!("at most {KEYS_MAX} keys are allowed"),
            ));
        }
        for name in self.keys.keys() {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
            if !fits || !name.bytes().all(plain) {
                return Err(ConfigError::value(
                    format!("keys.{name}"),
                    "a name has 1 to 64 letters, digits, - and _",
                ));
            }
        }
        Ok(())
    }

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
        let bytes = |mib: u32| usize::try_from(u64::from(mib) * MIB).unwrap_or(usize::MAX);
        Ok(Options {
            folder: self.store.folder.clone(),
            sizes: RocksOptions {
                write_buffer_bytes: bytes(self.store.write_buffer_mib),
                block_cache_bytes: bytes(self.store.block_cache_mib),
                reserve_bytes: u64::from(self.store.reserve_mib) * MIB,
            },
            journal: self.database()?,
            accept_loss: false,
            accept_time: false,
            keep_keys: DAY * self.idempotency.keep_days,
            queue: self.limits.queue,
            http: self.listen.http,
            admin: self.listen.admin,
            connections: self.limits.connections,
            silence_max: SILENCE_MAX,
            requests_per_minute: self.limits.requests_per_minute,
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
