//! What all secrets share: versioned bytes, wiping, and a `Debug` that shows nothing.

use zeroize::Zeroizing;

use khlong_crdt::reader::Reader;

/// Version of [`encode`].
const SECRET_VERSION: u8 = 1;

/// Stored bytes that are not the secret that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Too short or too long.
    #[error("a stored {what} has the wrong length; restore the folder from a backup")]
    Length {
        /// The type that was asked for.
        what: &'static str,
    },
    /// Written by a newer program.
    #[error("a stored {what} has version {version}, newer than this program; upgrade it")]
    Version {
        /// The type that was asked for.
        what: &'static str,
        /// The version found.
        version: u8,
    },
    /// The bytes of another type.
    #[error("stored bytes are not a {what} (tag {tag}); restore the folder from a backup")]
    Tag {
        /// The type that was asked for.
        what: &'static str,
        /// The tag found.
        tag: u8,
    },
}

/// `version ‖ tag ‖ seed`.
pub(crate) fn encode(tag: u8, seed: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(34));
    bytes.extend_from_slice(&[SECRET_VERSION, tag]);
    bytes.extend_from_slice(seed);
    bytes
}

/// The inverse of [`encode`].
pub(crate) fn decode(
    what: &'static str,
    tag: u8,
    bytes: &[u8],
) -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let mut reader = Reader::new(bytes);
    let length = |_| SecretError::Length { what };
    let version = reader.u8().map_err(length)?;
    if version != SECRET_VERSION {
        return Err(SecretError::Version { what, version });
    }
    let found = reader.u8().map_err(length)?;
    if found != tag {
        return Err(SecretError::Tag { what, tag: found });
    }
    let seed = Zeroizing::new(reader.array().map_err(length)?);
    if !reader.is_empty() {
        return Err(SecretError::Length { what });
    }
    Ok(seed)
}

/// Everything about a secret that follows from `from_seed` and `seed`.
macro_rules! secret {
    ($name:ident, $tag:literal, $what:literal) => {
        impl $name {
            /// A new one, from 32 random bytes.
            #[must_use]
            pub fn generate(rng: &mut dyn rand_core::CryptoRng) -> Self {
                let mut seed = zeroize::Zeroizing::new([0; 32]);
                rand_core::Rng::fill_bytes(rng, seed.as_mut_slice());
                Self::from_seed(*seed)
            }

            /// `version 1 ‖ tag ‖ seed 32`, to be sealed before it is stored.
            #[must_use]
            pub fn to_bytes(&self) -> zeroize::Zeroizing<Vec<u8>> {
                crate::keys::secret::encode($tag, self.seed())
            }

            /// The inverse of [`Self::to_bytes`].
            ///
            /// # Errors
            /// [`SecretError`](crate::keys::SecretError) for another version, another
            /// type of secret or a wrong length.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, crate::keys::SecretError> {
                crate::keys::secret::decode($what, $tag, bytes).map(|seed| Self::from_seed(*seed))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl PartialEq for $name {
            /// In constant time.
            fn eq(&self, other: &Self) -> bool {
                blake3::Hash::from_bytes(*self.seed()) == blake3::Hash::from_bytes(*other.seed())
            }
        }

        impl Eq for $name {}
    };
}
pub(crate) use secret;
