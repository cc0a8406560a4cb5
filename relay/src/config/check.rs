//! What no single key can say: values that cannot be, or that contradict each other.

use khlong_crdt::address::{PORT_DEFAULT, RelayAddress};
use khlong_crdt::id::RelayKey;

use super::{Config, ConfigError, Opening, SecretText};

/// Longest token that a client can send; see `khlong_sync::limits`.
const TOKEN_BYTES_MAX: usize = khlong_sync::limits::TOKEN_BYTES_MAX;

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let invalid = |key, reason| Err(ConfigError::value(key, reason));
        let token = self.policy.token.as_ref().map(SecretText::expose);
        match (self.policy.opening, token) {
            (Opening::Token, None | Some("")) => {
                return invalid(
                    "policy.token",
                    "opening = \"token\" needs a token: set token or token_file",
                );
            }
            (Opening::Open, Some(_)) => {
                return invalid(
                    "policy.token",
                    "a token has no effect while opening = \"open\": remove one of them",
                );
            }
            (Opening::Token, Some(token)) if token.len() > TOKEN_BYTES_MAX => {
                return invalid("policy.token", "a token has at most 64 bytes");
            }
            (Opening::Token, Some(_)) | (Opening::Open, None) => {}
        }
        if self
            .relay
            .port
            .is_some_and(|port| port.0 == 0 || port.0 > u64::from(u16::MAX))
        {
            return invalid("relay.port", "a port is a number from 1 to 65535");
        }
        for (key, count) in [
            (
                "policy.envelopes_per_minute",
                self.policy.envelopes_per_minute,
            ),
            (
                "policy.openings_per_connection",
                self.policy.openings_per_connection,
            ),
            (
                "policy.openings_per_network_a_day",
                self.policy.openings_per_network_a_day,
            ),
            ("limits.connections", self.limits.connections),
            (
                "limits.connections_per_address",
                self.limits.connections_per_address,
            ),
        ] {
            count.check(key, u32::MAX.into())?;
        }
        self.store.check()
    }
}

/// The host as it stands in the address that clients get, which they take in no other spelling.
pub(super) fn host_in_address(host: &str) -> Result<String, ConfigError> {
    let anybody = RelayKey::from_bytes([0; 32]);
    match RelayAddress::new(anybody, host, PORT_DEFAULT) {
        Ok(address) => Ok(address.host),
        Err(_) => Err(ConfigError::value(
            "relay.host",
            "name the host, or its IP address without brackets, by which clients reach this relay",
        )),
    }
}
