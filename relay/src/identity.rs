//! The relay's key: what clients pin, what signs receipts.

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use khlong_crdt::id::RelayKey;
use khlong_crdt::text;

use crate::config::{self, SecretText};

const PREFIX: &str = "key_";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no key.
    #[error(
        "`relay.key` is not a key (`{PREFIX}…`): it is mistyped or cut short; restore it from a backup"
    )]
    Malformed,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Entropy(#[source] getrandom::Error),
    /// The file cannot be written.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}

/// Reads a key from its text form.
///
/// # Errors
/// [`KeyError::Malformed`]; the text is not repeated.
pub fn parse(key: &str) -> Result<SigningKey, KeyError> {
    let seed = text::decode_array(PREFIX, key.trim()).map_err(|_| KeyError::Malformed)?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Reads the key of a configuration, whose secrets were resolved.
///
/// # Errors
/// [`KeyError::Malformed`]; the text is not repeated.
pub fn parse_configured(section: &config::Identity) -> Result<SigningKey, KeyError> {
    parse(section.key.as_ref().map_or("", SecretText::expose))
}

/// Draws a key and writes it to a new file that only its owner may read.
///
/// # Errors
/// [`KeyError::Write`], also when the file exists: a key is never overwritten.
pub fn create(path: &Path) -> Result<SigningKey, KeyError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(KeyError::Entropy)?;
    let failed = |source| KeyError::Write {
        path: path.to_path_buf(),
        source,
    };
    write_private(path, &text::encode(PREFIX, &seed)).map_err(failed)?;
    Ok(SigningKey::from_bytes(&seed))
}

/// The public half.
#[must_use]
pub fn public(key: &SigningKey) -> RelayKey {
    RelayKey::from_bytes(key.verifying_key().to_bytes())
}

fn write_private(path: &Path, line: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(line.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}
