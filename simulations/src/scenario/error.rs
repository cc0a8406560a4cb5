//! What may be wrong with a scenario. Messages say where and what to write instead.

use std::io;
use std::path::PathBuf;

/// Why a scenario gives no plan.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Neither a file nor one of the built-in ones.
    #[error("no scenario `{name}`{hint}; name a .toml file or one of {known}")]
    NoSuchScenario {
        /// As it was written.
        name: String,
        /// ` (did you mean …?)` or nothing.
        hint: String,
        /// The built-in ones.
        known: String,
    },
    /// The file cannot be read.
    #[error("cannot read the scenario {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not TOML, an unknown key, a value of the wrong kind.
    #[error("{message}{hint}")]
    Format {
        /// The parser's, with line and column where it knows them.
        message: String,
        /// ` (did you mean …?)` or nothing.
        hint: String,
    },
    /// `--set` without `=`, or a path to nowhere.
    #[error("`--set {text}`: {problem}")]
    Override {
        /// As it was written.
        text: String,
        /// What is wrong.
        problem: String,
    },
    /// A name that nothing has.
    #[error("{place}: there is no {what} `{name}`{hint}")]
    Unknown {
        /// Where it is written.
        place: String,
        /// `group` or `link`.
        what: &'static str,
        /// As it was written.
        name: String,
        /// ` (did you mean …?)` or nothing.
        hint: String,
    },
    /// A value out of its bounds.
    #[error("{place}: {problem}")]
    Value {
        /// Where it is written.
        place: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// More of something than a plan may hold.
    #[error("more than {max} {what}: lower `scale`, the counts or the duration")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

impl ScenarioError {
    pub(super) fn value(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Value {
            place: place.into(),
            problem: problem.into(),
        }
    }

    pub(super) fn unknown<'a>(
        place: impl Into<String>,
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        Self::Unknown {
            place: place.into(),
            what,
            name: name.to_owned(),
            hint: suggestion(name, known),
        }
    }

    /// From serde's message, which lists the keys that it knows in backticks.
    pub(super) fn format(error: &toml::de::Error) -> Self {
        Self::Format {
            message: error.to_string().trim_end().to_owned(),
            hint: hint(error.message()),
        }
    }
}

fn hint(message: &str) -> String {
    if !message.starts_with("unknown ") {
        return String::new();
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    match quoted.next() {
        Some(written) => suggestion(written, quoted),
        None => String::new(),
    }
}

/// ` (did you mean …?)` if one of `known` is near, else nothing.
pub(super) fn suggestion<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|name| (strsim::damerau_levenshtein(written, name), name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.chars().count() / 4)
        .map_or_else(String::new, |(_, name)| {
            format!(" (did you mean `{name}`?)")
        })
}
