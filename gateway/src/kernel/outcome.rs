//! What came of a command, as it stands in the journal and as it is answered.

/// The payload of an outcome.
pub const OUTCOME_BYTES_MAX: usize = 64 * 1024;

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Carried out: the domain's answer.
    Done(Vec<u8>),
    /// Not carried out, and nothing is changed.
    Rejected(Rejection),
}

/// Why a command is not carried out, at any replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The body does not have the layout of its domain.
    #[error("the command cannot be decoded; send it in the layout of its domain")]
    Malformed,
    /// No domain has that number.
    #[error("no domain has the number of the command; use a newer gateway")]
    UnknownDomain,
    /// The command would have broken an invariant of its domain.
    #[error("the command would break an invariant of the gateway and changed nothing; report it")]
    Invariant,
    /// The code that decides it failed.
    #[error("the gateway failed at the command, which changed nothing; report it")]
    Panicked,
    /// It would have written, sent or told more than one command may.
    #[error(
        "the command would write more than one command may and changed nothing; send it in parts"
    )]
    TooLarge,
    /// Its domain would have written to another domain's table.
    #[error(
        "the command would write what belongs to another part of the gateway and changed nothing; report it"
    )]
    ForeignTable,
}

const DONE: u8 = 0;
const REJECTED: u8 = 1;

impl Rejection {
    const fn code(self) -> u8 {
        match self {
            Self::Malformed => 1,
            Self::UnknownDomain => 2,
            Self::Invariant => 3,
            Self::Panicked => 4,
            Self::TooLarge => 5,
            Self::ForeignTable => 6,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Malformed),
            2 => Some(Self::UnknownDomain),
            3 => Some(Self::Invariant),
            4 => Some(Self::Panicked),
            5 => Some(Self::TooLarge),
            6 => Some(Self::ForeignTable),
            _ => None,
        }
    }
}

impl Outcome {
    /// `0 ‖ payload`, or `1 ‖ code 1`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Done(payload) => {
                let mut bytes = Vec::with_capacity(1 + payload.len());
                bytes.push(DONE);
                bytes.extend_from_slice(payload);
                bytes
            }
            Self::Rejected(rejection) => vec![REJECTED, rejection.code()],
        }
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&DONE, payload) => Some(Self::Done(payload.to_vec())),
            (&REJECTED, [code]) => Rejection::from_code(*code).map(Self::Rejected),
            _ => None,
        }
    }
}
