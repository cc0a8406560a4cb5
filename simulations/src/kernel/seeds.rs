//! Randomness: one stream for each (purpose, name), all from one root seed.
//!
//! A stream's key is a hash of the root seed, the purpose and the *name* of
//! whom it is for. So adding or removing a node moves no other node's
//! randomness, and two variants of a run share it: common random numbers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

const STREAM_CONTEXT: &str = "khlong.network 2026-11 simulation stream v1";

/// The root of a run's randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    root: u64,
}

impl Seeds {
    /// From the number that a person gives as `--seed`.
    #[must_use]
    pub const fn new(root: u64) -> Self {
        Self { root }
    }

    /// That number.
    #[must_use]
    pub const fn root(self) -> u64 {
        self.root
    }

    /// The stream for one purpose of one name, always the same.
    #[must_use]
    pub fn stream(self, purpose: &str, name: &str) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.bytes(purpose, name))
    }

    /// 32 bytes for whoever makes its own stream: the entropy of a node.
    #[must_use]
    pub fn bytes(self, purpose: &str, name: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(STREAM_CONTEXT);
        hasher.update(&self.root.to_be_bytes());
        hasher.update(&(purpose.len() as u64).to_be_bytes());
        hasher.update(purpose.as_bytes());
        hasher.update(name.as_bytes());
        *hasher.finalize().as_bytes()
    }
}
