//! What the parts of the relay get out of a configuration.

use khlong_sync::transport::quic::limits::QuicLimits;

use super::{Config, Opening, SecretText};
use crate::hub::{self, OpeningRate, Policy, WriteRate};

impl Config {
    /// The hub's policy.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let opening = match self.policy.opening {
            Opening::Open => hub::Opening::Open,
            Opening::Token => {
                let token = self.policy.token.as_ref().map(SecretText::expose);
                hub::Opening::Token(token.unwrap_or_default().as_bytes().to_vec())
            }
        };
        let count = |count: super::Count| u32::try_from(count.0).unwrap_or(u32::MAX);
        Policy {
            opening,
            timeline_quota_bytes: self.policy.timeline_quota.0,
            opening_rate: OpeningRate {
                per_connection: count(self.policy.openings_per_connection),
                per_network_a_day: count(self.policy.openings_per_network_a_day),
            },
            open_quota_bytes: self.policy.open_quota.0,
            write_rate: WriteRate {
                envelopes_per_minute: count(self.policy.envelopes_per_minute),
            },
            retention: hub::Retention {
                default: self.retention.default.0,
                maximum: self.retention.maximum.0,
            },
        }
    }

    /// Limits of the transport.
    #[must_use]
    pub fn quic_limits(&self) -> QuicLimits {
        let count = |count: super::Count| usize::try_from(count.0).unwrap_or(usize::MAX);
        QuicLimits {
            connections_max: count(self.limits.connections),
            connections_per_address_max: count(self.limits.connections_per_address),
            ..QuicLimits::default()
        }
    }
}
