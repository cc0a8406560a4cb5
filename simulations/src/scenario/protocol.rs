//! Names of protocols, the same in a scenario and on the command line.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::suggestion;

/// Copies that a spray protocol may hand out.
pub const COPIES_MAX: u32 = 1_000_000;

/// How messages find their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// The writer keeps the message until it meets the reader.
    Direct,
    /// Everybody gives everything to everybody.
    Epidemic,
    /// The writer gives it to everybody; they only to the reader.
    TwoHop,
    /// The writer gives away all but one of its copies, one a meeting; they only to the reader.
    SourceSpray {
        /// Copies in all, the writer's own included.
        copies: u32,
    },
    /// Half of one's copies at each meeting.
    BinarySpray {
        /// Copies in all.
        copies: u32,
    },
    /// To who is more likely to meet the reader.
    Prophet,
    /// The real node and relay: timelines with cursors, receipts, the ladder.
    Khlong,
}

/// A name that is no protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// No such name.
    #[error(
        "`{name}` is no protocol{hint}; there are direct, epidemic, two-hop, source-spray:COPIES, binary-spray:COPIES, prophet and khlong"
    )]
    Unknown {
        /// As it was written.
        name: String,
        /// ` (did you mean …?)` or nothing.
        hint: String,
    },
    /// A spray protocol without copies, or too many.
    #[error("`{name}` needs a number of copies from 1 to {COPIES_MAX}, such as `{name}:8`")]
    Copies {
        /// Without the number.
        name: String,
    },
    /// A parameter that the protocol has not.
    #[error("`{name}` takes no parameter")]
    Parameter {
        /// Without the parameter.
        name: String,
    },
}

const NAMES: &[&str] = &[
    "direct",
    "epidemic",
    "two-hop",
    "source-spray",
    "binary-spray",
    "prophet",
    "khlong",
];

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        let (name, parameter) = match text.split_once(':') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (text, None),
        };
        let copies = || {
            parameter
                .and_then(|number| number.parse().ok())
                .filter(|copies| (1..=COPIES_MAX).contains(copies))
                .ok_or_else(|| ProtocolError::Copies {
                    name: name.to_owned(),
                })
        };
        let plain = |protocol| match parameter {
            None => Ok(protocol),
            Some(_) => Err(ProtocolError::Parameter {
                name: name.to_owned(),
            }),
        };
        match name {
            "direct" => plain(Self::Direct),
            "epidemic" => plain(Self::Epidemic),
            "two-hop" => plain(Self::TwoHop),
            "source-spray" => Ok(Self::SourceSpray { copies: copies()? }),
            "binary-spray" => Ok(Self::BinarySpray { copies: copies()? }),
            "prophet" => plain(Self::Prophet),
            "khlong" => plain(Self::Khlong),
            _ => Err(ProtocolError::Unknown {
                name: text.to_owned(),
                hint: suggestion(name, NAMES.iter().copied()),
            }),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("direct"),
            Self::Epidemic => f.write_str("epidemic"),
            Self::TwoHop => f.write_str("two-hop"),
            Self::SourceSpray { copies } => write!(f, "source-spray:{copies}"),
            Self::BinarySpray { copies } => write!(f, "binary-spray:{copies}"),
            Self::Prophet => f.write_str("prophet"),
            Self::Khlong => f.write_str("khlong"),
        }
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        String::deserialize(source)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.collect_str(self)
    }
}
