//! What a restarted relay says to connections that it has forgotten.
//!
//! A relay that was killed comes back without its connections. Its clients find
//! out at once when it can send them a stateless reset (RFC 9000 §10.3), which
//! needs the same key as before: it comes from the relay's own key. With a random
//! one a client would wait for its idle timeout, a minute and a half.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};

const RESET_CONTEXT: &str = "khlong.network 2026-11 quic stateless reset v1";

/// The key that survives a restart.
#[derive(Clone)]
pub(crate) struct ResetKey([u8; 32]);

impl ResetKey {
    pub(crate) fn derive(relay_seed: &[u8; 32]) -> Self {
        Self(blake3::derive_key(RESET_CONTEXT, relay_seed))
    }

    pub(crate) fn endpoint_config(&self) -> EndpointConfig {
        let mut config = EndpointConfig::new(Arc::new(Keyed(self.0)));
        config.cid_generator(|| {
            Box::new(PlainIds {
                random: RandomState::new(),
                next: 0,
            })
        });
        config
    }
}

/// Connection ids without a mark of this process. quinn's own ids carry one and
/// it drops packets without it in silence, those of connections from before a
/// restart too.
struct PlainIds {
    /// SipHash under a random key: nobody else can tell the next id.
    random: RandomState,
    next: u64,
}

impl ConnectionIdGenerator for PlainIds {
    fn generate_cid(&mut self) -> ConnectionId {
        self.next += 1;
        ConnectionId::new(&self.random.hash_one(self.next).to_be_bytes())
    }

    fn cid_len(&self) -> usize {
        size_of::<u64>()
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Keyed BLAKE3 in the place of HMAC.
pub struct Keyed([u8; 32]);

impl Keyed {
    /// With a secret key.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl HmacKey for Keyed {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        let mac = blake3::keyed_hash(&self.0, data);
        for (out, byte) in signature_out.iter_mut().zip(mac.as_bytes()) {
            *out = *byte;
        }
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let given: [u8; blake3::OUT_LEN] = signature.try_into().map_err(|_| CryptoError)?;
        // Comparing two `Hash`es takes the same time whatever they hold.
        if blake3::keyed_hash(&self.0, data) == blake3::Hash::from_bytes(given) {
            Ok(())
        } else {
            Err(CryptoError)
        }
    }
}
