//! What no single key can say: values that cannot be, or that contradict each other.

use super::{Config, ConfigError};
use crate::app::limits::QUEUE_MAX;
use crate::http::limits::KEYS_MAX;

/// A key's name, which stands in the journal.
const NAME_BYTES_MAX: usize = 64;
const CONNECTIONS_MAX: usize = 65_536;
const RETRY_SECONDS_MAX: usize = 600;

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, count, most) in [
            (
                "limits.connections",
                self.limits.connections,
                CONNECTIONS_MAX,
            ),
            ("limits.queue", self.limits.queue, QUEUE_MAX),
            (
                "limits.requests_per_minute",
                self.limits.requests_per_minute,
                u32::MAX as usize,
            ),
            (
                "journal.retry_seconds",
                self.journal.retry_seconds,
                RETRY_SECONDS_MAX,
            ),
        ] {
            count.check(key, most as u64)?;
        }
        self.store.check()?;
        let (http, admin) = (self.listen.http, self.listen.admin);
        let is_any = http.ip().is_unspecified() || admin.ip().is_unspecified();
        let is_one_place = http.ip() == admin.ip() || is_any;
        if http.port() == admin.port() && http.port() != 0 && is_one_place {
            return Err(ConfigError::value(
                "listen.admin",
                "another address than that of listen.http is needed",
            ));
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
}
