//! The settings of both sides, for whoever drives QUIC: the dialer, the listener, and
//! the simulator, which runs `quinn-proto` under a virtual clock.
//!
//! One place, so that what is simulated is what is shipped.

use std::sync::Arc;

use khlong_crdt::id::RelayKey;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, ServerConfig};
use rustls::client::Resumption;

use super::error::SetupError;
use super::identity::Identity;
use super::limits::QuicLimits;
use super::verifier::PinnedKey;

/// The settings of a client that accepts one relay key and no other.
///
/// # Errors
/// [`SetupError::Tls`], [`SetupError::Cipher`] when the TLS provider lacks what QUIC needs.
pub fn client(limits: QuicLimits, relay: RelayKey) -> Result<ClientConfig, SetupError> {
    pinning(limits, relay).map(|(config, _)| config)
}

/// The same, with the verifier that remembers which key it met.
pub(crate) fn pinning(
    limits: QuicLimits,
    relay: RelayKey,
) -> Result<(ClientConfig, Arc<PinnedKey>), SetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let pin = Arc::new(PinnedKey::new(relay, Arc::clone(&provider)));
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(SetupError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<PinnedKey>::clone(&pin))
        .with_no_client_auth();
    tls.alpn_protocols = vec![super::ALPN.to_vec()];
    tls.resumption = Resumption::disabled();
    tls.enable_early_data = false;
    let mut config = ClientConfig::new(Arc::new(
        QuicClientConfig::try_from(tls).map_err(SetupError::Cipher)?,
    ));
    config.transport_config(Arc::new(limits.transport(0)));
    Ok((config, pin))
}

/// The settings of a relay that shows `identity`.
///
/// # Errors
/// As [`client`].
pub fn server(limits: QuicLimits, identity: &Identity) -> Result<ServerConfig, SetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(SetupError::Tls)?
        .with_no_client_auth()
        .with_single_cert(
            vec![identity.certificate.clone()],
            identity.private_key.clone_key(),
        )
        .map_err(SetupError::Tls)?;
    tls.alpn_protocols = vec![super::ALPN.to_vec()];
    tls.max_early_data_size = 0;
    tls.send_tls13_tickets = 0;
    let crypto = QuicServerConfig::try_from(tls).map_err(SetupError::Cipher)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(limits.transport(1)));
    config.max_incoming(limits.handshakes_max);
    Ok(config)
}
