//! The client's check of a relay: the pinned key, and that the peer holds it.

use std::sync::{Arc, Mutex};

use khlong_crdt::id::RelayKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::identity::key_of_spki;

/// Accepts exactly one key. One verifier per connection attempt: it remembers
/// which key it met, so that the error can name it.
#[derive(Debug)]
pub(crate) struct PinnedKey {
    expected: RelayKey,
    met: Mutex<Option<RelayKey>>,
    provider: Arc<CryptoProvider>,
}

impl PinnedKey {
    pub(crate) fn new(expected: RelayKey, provider: Arc<CryptoProvider>) -> Self {
        Self {
            expected,
            met: Mutex::new(None),
            provider,
        }
    }

    /// The key of the certificate that was refused.
    pub(crate) fn refused(&self) -> Option<RelayKey> {
        let met = self
            .met
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        met.filter(|key| *key != self.expected)
    }
}

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !intermediates.is_empty() {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let key = key_of_spki(certificate.subject_public_key_info().as_ref())
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        *self
            .met
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(key);
        if key == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has no TLS 1.2".to_owned()))
    }

    /// Without this check the certificate of any relay could be replayed.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
