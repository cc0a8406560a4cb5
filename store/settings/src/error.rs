//! What is wrong with a configuration, and where.

use std::io;
use std::path::PathBuf;

use figment::error::Kind;
use khlong_store::secret_file::SecretFileError;
use thiserror::Error;

/// Names closer than this to a known one are taken for a slip.
const SIMILARITY_MIN: f64 = 0.7;

/// Why a configuration is not used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}; `init` writes one, and --config names another", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}` in {origin}{}", suggestion.as_deref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownKey {
        /// As written, with its section.
        key: String,
        /// File or environment.
        origin: String,
        /// The nearest key that exists.
        suggestion: Option<String>,
    },
    /// A value of the wrong form, or one that cannot be.
    #[error("`{key}`{}: {reason}", origin.as_deref().map(|origin| format!(" in {origin}")).unwrap_or_default())]
    Value {
        /// Which.
        key: String,
        /// File or environment, if it is known.
        origin: Option<String>,
        /// What to change.
        reason: String,
    },
    /// The file of a secret is not taken.
    #[error("the file of `{key}` is not taken")]
    SecretFile {
        /// Of which secret.
        key: String,
        /// Why.
        #[source]
        source: SecretFileError,
    },
    /// It cannot be shown.
    #[error("a path has other bytes than text (UTF-8), so it cannot be shown")]
    NoText(#[source] serde_json::Error),
    /// A file that a key names cannot be read.
    #[error("cannot read {path}, the file of `{key}`; check the path and its rights", path = path.display())]
    File {
        /// Of which key.
        key: String,
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl ConfigError {
    /// `reason` says what is wrong with the value of `key`.
    pub fn value(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value {
            key: key.into(),
            origin: None,
            reason: reason.into(),
        }
    }

    pub(super) fn from_figment(error: &figment::Error) -> Self {
        let origin = error.metadata.as_ref().map_or_else(
            || "the configuration".to_owned(),
            |from| {
                if from.name.contains("TOML") {
                    "the file".to_owned()
                } else {
                    format!("the {}", from.name)
                }
            },
        );
        let path = error.path.join(".");
        let Kind::UnknownField(name, known) = &error.kind else {
            let key = if path.is_empty() {
                "(the whole)".to_owned()
            } else {
                path
            };
            return Self::Value {
                key,
                origin: Some(origin),
                reason: reason(&error.kind),
            };
        };
        // figment's path ends in the unknown name, or in its section.
        let section = match path.strip_suffix(name.as_str()) {
            Some(section) => section.trim_end_matches('.'),
            None => &path,
        };
        let inside = |name: &str| match section {
            "" => name.to_owned(),
            section => format!("{section}.{name}"),
        };
        Self::UnknownKey {
            key: inside(name),
            origin,
            suggestion: nearest(name, known).map(inside),
        }
    }
}

/// A value may be a secret, and is not repeated: figment's words may hold it.
fn reason(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(_, wanted) | Kind::InvalidValue(_, wanted) => {
            format!("{wanted} is needed")
        }
        Kind::MissingField(field) => format!("`{field}` is missing"),
        Kind::UnknownVariant(_, known) => format!("one of {} is needed", known.join(", ")),
        // Of TOML's words the first line says where; those below it quote the file.
        Kind::Message(text) => text.lines().next().unwrap_or_default().to_owned(),
        Kind::Unsupported(_) | Kind::UnsupportedKey(..) => {
            "a value of this kind is not taken here".to_owned()
        }
        Kind::InvalidLength(..)
        | Kind::UnknownField(..)
        | Kind::DuplicateField(_)
        | Kind::ISizeOutOfRange(_)
        | Kind::USizeOutOfRange(_) => kind.to_string(),
    }
}

fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let mut best: Option<(f64, &'k str)> = None;
    for candidate in known {
        let similarity = strsim::jaro_winkler(name, candidate);
        if similarity >= SIMILARITY_MIN && best.is_none_or(|(most, _)| similarity > most) {
            best = Some((similarity, candidate));
        }
    }
    best.map(|(_, name)| name)
}
