//! Secrets at rest: rows sealed by one master key.
//!
//! The master key itself lives behind the `SecretStore` (a file sealed by a
//! passphrase, or a 0600 file chosen explicitly), so that a copied database
//! folder without it opens nothing new. The peer takes it as an argument.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::error::NodeError;

/// Bytes of the master key.
pub const MASTER_KEY_BYTES: usize = 32;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const CONTEXT: &str = "khlong.network 2026-11 node vault v1";
const INDEX_CONTEXT: &str = "khlong.network 2026-11 search index v1";
const SNAPSHOT_CONTEXT: &str = "khlong.network 2026-11 node snapshot v1";

/// The key that seals every secret of one node at rest: 32 random bytes. Wiped
/// from memory when dropped, and never shown.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; MASTER_KEY_BYTES]>);

impl MasterKey {
    /// From a key file, or, in a simulation, from its seed.
    #[must_use]
    pub fn from_bytes(bytes: [u8; MASTER_KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(redacted)")
    }
}

/// What seals the search index of one node. Wiped from memory when dropped, and never shown.
#[derive(Clone)]
pub struct IndexKey(Zeroizing<[u8; 32]>);

impl IndexKey {
    /// That of the node with this master key.
    #[must_use]
    pub fn of(master: &MasterKey) -> Self {
        Self(Zeroizing::new(blake3::derive_key(
            INDEX_CONTEXT,
            &*master.0,
        )))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey(redacted)")
    }
}

/// Seals and opens rows of the tables `secret` and `snapshot`, each by a key of its own.
pub(crate) struct Vault {
    cipher: XChaCha20Poly1305,
    snapshots: XChaCha20Poly1305,
    index_key: IndexKey,
}

impl Vault {
    pub(crate) fn new(master: &MasterKey) -> Self {
        let cipher = |context| {
            let key = Zeroizing::new(blake3::derive_key(context, &*master.0));
            XChaCha20Poly1305::new((&*key).into())
        };
        Self {
            cipher: cipher(CONTEXT),
            snapshots: cipher(SNAPSHOT_CONTEXT),
            index_key: IndexKey::of(master),
        }
    }

    pub(crate) fn index_key(&self) -> &IndexKey {
        &self.index_key
    }

    /// `version ‖ nonce ‖ ciphertext`; the row's name is authenticated, so rows cannot be swapped.
    pub(crate) fn seal(&self, name: &str, secret: &[u8], nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
        seal(&self.cipher, name.as_bytes(), secret, nonce)
    }

    /// The same of a row of `snapshot`, under its key.
    pub(crate) fn seal_snapshot(
        &self,
        key: &[u8],
        snapshot: &[u8],
        nonce: [u8; NONCE_BYTES],
    ) -> Vec<u8> {
        seal(&self.snapshots, key, snapshot, nonce)
    }

    /// What was sealed under this key by this master key; else nothing.
    pub(crate) fn open_snapshot(&self, key: &[u8], row: &[u8]) -> Option<Vec<u8>> {
        open(&self.snapshots, key, row)
    }

    /// # Errors
    /// [`NodeError::Secret`] when the row was not sealed by this master key under this name.
    pub(crate) fn open(&self, name: &str, row: &[u8]) -> Result<Zeroizing<Vec<u8>>, NodeError> {
        open(&self.cipher, name.as_bytes(), row)
            .map(Zeroizing::new)
            .ok_or_else(|| NodeError::Secret {
                name: name.to_owned(),
            })
    }
}

fn seal(
    cipher: &XChaCha20Poly1305,
    name: &[u8],
    secret: &[u8],
    nonce: [u8; NONCE_BYTES],
) -> Vec<u8> {
    let payload = Payload {
        msg: secret,
        aad: name,
    };
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), payload)
        .expect("a row is far below the cipher's limit");
    [&[VERSION][..], &nonce, &sealed].concat()
}

fn open(cipher: &XChaCha20Poly1305, name: &[u8], row: &[u8]) -> Option<Vec<u8>> {
    let (&version, rest) = row.split_first()?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload {
        msg: sealed,
        aad: name,
    };
    let opened = cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
    (version == VERSION).then_some(opened)
}
