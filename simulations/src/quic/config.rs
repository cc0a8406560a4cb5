//! The shipped settings of both sides, with chance from the run's seed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use khlong_crdt::id::RelayKey;
use khlong_sync::transport::quic::config;
use khlong_sync::transport::quic::error::SetupError;
use khlong_sync::transport::quic::identity::Identity;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::transport::quic::reset::Keyed;
use quinn_proto::{
    ClientConfig, ConnectionId, ConnectionIdGenerator, EndpointConfig, ServerConfig, TimeSource,
};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::kernel::seeds::Seeds;

/// What the shipped generator makes too, so that headers are as long.
const CONNECTION_ID_BYTES: usize = 8;
/// A client's first guess at the server's connection id, as long as quinn's own.
const FIRST_ID_BYTES: usize = 20;
/// The date of retry tokens; nobody sends any.
const DATE_S: u64 = 1_795_651_200;

/// The settings of a client whose connection has this number.
///
/// # Errors
/// [`SetupError`] from the TLS provider.
pub fn client(relay: RelayKey, number: u64) -> Result<ClientConfig, SetupError> {
    let mut config = config::client(QuicLimits::default(), relay)?;
    config.initial_dst_cid_provider(Arc::new(move || first_id(number)));
    Ok(config)
}

/// The settings of a relay with the signing key of this seed.
///
/// # Errors
/// [`SetupError`] from the TLS provider.
pub fn server(signing_seed: &[u8; 32]) -> Result<ServerConfig, SetupError> {
    let identity = Identity::from_seed(signing_seed)?;
    let mut config = config::server(QuicLimits::default(), &identity)?;
    config.time_source(Arc::new(FixedDate));
    Ok(config)
}

/// The settings of a machine's socket in one of its lives. `reset` names the key of stateless
/// resets: a relay keeps it, so that it can reset connections of its earlier lives.
#[must_use]
pub fn endpoint(seeds: Seeds, name: &str, life: u32, reset: &str) -> EndpointConfig {
    let this_life = format!("{name}/{life}");
    let mut config = EndpointConfig::new(Arc::new(Keyed::new(seeds.bytes("quic reset", reset))));
    config.rng_seed(Some(seeds.bytes("quic", &this_life)));
    config.cid_generator(move || {
        Box::new(SeededIds {
            random: seeds.stream("quic ids", &this_life),
        })
    });
    config
}

/// A client's first guess at the server's id names the connection, so that both ends number it alike.
fn first_id(number: u64) -> ConnectionId {
    let mut bytes = [0; FIRST_ID_BYTES];
    for (place, byte) in bytes.iter_mut().zip(number.to_be_bytes()) {
        *place = byte;
    }
    ConnectionId::new(&bytes)
}

/// The number in a first id; `None` if it is none of ours.
pub(super) fn number_of(first_id: &ConnectionId) -> Option<u64> {
    first_id
        .first_chunk()
        .map(|bytes| u64::from_be_bytes(*bytes))
}

struct SeededIds {
    random: ChaCha8Rng,
}

impl ConnectionIdGenerator for SeededIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; CONNECTION_ID_BYTES];
        self.random.fill_bytes(&mut bytes);
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

struct FixedDate;

impl TimeSource for FixedDate {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(DATE_S)
    }
}
