//! A node in a folder: the key file and the store, around a [`Peer`].
//!
//! ```text
//! <home>/keys      the master key, sealed by a passphrase or, chosen explicitly, only by its mode
//! <home>/store/…   the database; every secret in it is sealed by the master key
//! <home>/search/…  the search index, sealed likewise; a view that may be deleted (`crate::search`)
//! ```
//!
//! The peer itself knows neither: a simulator gives it a store in memory and a key.

use std::path::{Path, PathBuf};

use khlong_crdt::id::LogId;
use khlong_crdt::time::Now;
use khlong_document::secret_store::sealed_file::PassphraseCost;
use khlong_document::secret_store::{FileStore, SecretStore as _};
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::store::{OpenOptions, Store};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use zeroize::Zeroizing;

use crate::error::NodeError;
use crate::peer::{MASTER_KEY_BYTES, MasterKey, Peer};

/// File with the master key, in the node's folder.
pub const KEY_FILE: &str = "keys";
/// Folder of the store, in the node's folder.
pub const STORE_FOLDER: &str = "store";

/// What guards the master key at rest.
pub enum KeyProtection {
    /// A passphrase, stretched by Argon2id.
    Passphrase(Zeroizing<Vec<u8>>),
    /// Only the file's mode, 0600. Chosen explicitly.
    Plain,
}

impl KeyProtection {
    fn store(&self, path: PathBuf) -> FileStore {
        match self {
            Self::Passphrase(passphrase) => {
                FileStore::sealed(path, passphrase, PassphraseCost::default())
            }
            Self::Plain => FileStore::plain(path),
        }
    }
}

/// Makes a node in `home`: master key, store, user and device.
///
/// # Errors
/// [`NodeError::AlreadyInitialised`], [`NodeError::Usage`] for the nickname, or what the folder refused.
pub fn init(
    home: &Path,
    nickname: &str,
    protection: &KeyProtection,
    entropy: [u8; 32],
) -> Result<(), NodeError> {
    let key_file = home.join(KEY_FILE);
    if key_file.exists() {
        return Err(NodeError::AlreadyInitialised(home.to_owned()));
    }
    let mut rng = ChaCha20Rng::from_seed(entropy);
    let mut bytes = Zeroizing::new([0; MASTER_KEY_BYTES]);
    rng.fill_bytes(&mut *bytes);
    let mut store = open_store(home, &mut rng)?;
    let master = MasterKey::from_bytes(*bytes);
    Peer::create_on(&mut store, &master, nickname, seed(&mut rng))?;
    // Last: a folder with a key file is whole.
    protection
        .store(key_file)
        .save(&*bytes, &mut rng)
        .map_err(NodeError::KeyFile)
}

/// Opens the node in `home` and loads its timelines. It starts offline.
///
/// # Errors
/// [`NodeError::NotInitialised`], [`NodeError::KeyFile`], or what the folder refused.
pub fn open(
    home: &Path,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    entropy: [u8; 32],
    now: Now,
) -> Result<Peer, NodeError> {
    let key_file = home.join(KEY_FILE);
    if !key_file.exists() {
        return Err(NodeError::NotInitialised(home.to_owned()));
    }
    let protection = passphrase.map_or(KeyProtection::Plain, KeyProtection::Passphrase);
    let secret = protection
        .store(key_file)
        .load()
        .map_err(NodeError::KeyFile)?;
    let master = secret
        .as_deref()
        .and_then(|bytes| bytes.as_slice().try_into().ok())
        .map(MasterKey::from_bytes)
        .ok_or_else(|| NodeError::Keys("it holds no key".to_owned()))?;
    let mut rng = ChaCha20Rng::from_seed(entropy);
    let store = open_store(home, &mut rng)?;
    Peer::open_on(store, &master, seed(&mut rng), now)
}

fn open_store(home: &Path, rng: &mut ChaCha20Rng) -> Result<Store, NodeError> {
    let mut log = [0; 16];
    rng.fill_bytes(&mut log);
    let options = OpenOptions {
        role: Role::Node,
        fresh_log_id: LogId::from_bytes(log),
        accept_loss: false,
        sizes: RocksOptions::default(),
    };
    Store::open(&home.join(STORE_FOLDER), &options).map_err(NodeError::Store)
}

fn seed(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    seed
}
