//! Links as real QUIC: `quinn-proto`, the protocol core of the shipped transport, under
//! the virtual clock.
//!
//! | file | what |
//! |---|---|
//! | [`config`] | the shipped settings, with every source of chance drawn from the run's seed |
//! | [`endpoint`] | one machine's UDP socket: connections, datagrams in and out, one timer |
//! | [`lanes`] | the lanes of one connection as QUIC streams, as `sync/PROTOCOL.md` lays them out |
//! | [`path`] | one direction of a link that carries datagrams: queue, rate, delay, loss |
//!
//! Handshakes are TLS with the shipped provider, whose entropy cannot be seeded. So keys and
//! ciphertext differ from run to run; lengths and times do not, and nothing else reaches
//! the trace or a core: the channel binding of proofs comes from the run's seed.

pub mod config;
pub mod endpoint;
pub mod lanes;
pub mod path;
