//! The certificate of a relay: nothing but a container for its Ed25519 key.

use khlong_crdt::id::RelayKey;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::error::SetupError;
use super::reset::ResetKey;

/// PKCS #8 version 1 around an Ed25519 seed (RFC 8410 §7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// SubjectPublicKeyInfo around an Ed25519 key (RFC 8410 §4).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A relay's certificate and private key, as rustls takes them.
pub struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) private_key: PrivateKeyDer<'static>,
    pub(crate) reset_key: ResetKey,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(redacted)")
    }
}

impl Identity {
    /// Makes the self-signed certificate of the relay whose signing key has
    /// this seed.
    ///
    /// # Errors
    /// [`SetupError::Certificate`] when the provider refuses the key.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, SetupError> {
        let mut pkcs8 = PKCS8_PREFIX.to_vec();
        pkcs8.extend_from_slice(seed);
        let der = PrivatePkcs8KeyDer::from(pkcs8);
        let key_pair = rcgen::KeyPair::try_from(&der).map_err(SetupError::Certificate)?;
        let parameters = rcgen::CertificateParams::new(vec![super::SERVER_NAME.to_owned()])
            .map_err(SetupError::Certificate)?;
        let certificate = parameters
            .self_signed(&key_pair)
            .map_err(SetupError::Certificate)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            private_key: PrivateKeyDer::Pkcs8(der),
            reset_key: ResetKey::derive(seed),
        })
    }
}

/// The Ed25519 key in a SubjectPublicKeyInfo, and nothing else.
pub(crate) fn key_of_spki(spki: &[u8]) -> Option<RelayKey> {
    let key = spki.strip_prefix(&SPKI_PREFIX)?;
    Some(RelayKey::from_bytes(key.try_into().ok()?))
}
