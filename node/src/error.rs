//! What can go wrong on a node, and the exit code that tells a script which.

use std::io::ErrorKind;
use std::path::PathBuf;

use khlong_document::keys::invite::InviteError;
use khlong_document::secret_store::SecretStoreError;
use khlong_document::secret_store::sealed_file::SealedFileError;
use khlong_document::timeline::write::WriteError;
use khlong_store::error::{EngineError, StoreError};
use khlong_sync::wire::code::ErrorCode;

use crate::search::index::IndexError;

/// Exit codes of the command line; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done; queued while offline counts as done.
    Ok = 0,
    /// Anything without a code of its own.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The folder or its settings are not usable as they are.
    Config = 3,
    /// A key did not match, or the other side may not.
    Untrusted = 4,
    /// What was waited for did not come in time.
    TimedOut = 5,
    /// Asked too often.
    RateLimited = 6,
    /// No room on the disk, or in a quota.
    Full = 7,
    /// The folder or the relay speaks another version.
    Incompatible = 8,
    /// Bytes that were written are not what is read.
    Integrity = 9,
}

/// Everything a node reports. Messages say what to do next.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No node lives in the folder.
    #[error("{} holds no node; run `khlong init` first", .0.display())]
    NotInitialised(PathBuf),
    /// A node lives there already.
    #[error("{} holds a node already; choose another folder with --home", .0.display())]
    AlreadyInitialised(PathBuf),
    /// No key could be had.
    #[error("the key file could not be opened: {0}")]
    Keys(String),
    /// The key file could not be opened or written.
    #[error("the key file could not be opened or written")]
    KeyFile(#[source] SecretStoreError),
    /// A sealed row was not sealed by this node's master key.
    #[error(
        "the secret `{name}` does not open with this node's key file; restore both from one backup"
    )]
    Secret {
        /// Name of the row.
        name: String,
    },
    /// A row of the node's own settings cannot be read.
    #[error("the settings row `{name}` is damaged; restore the folder from a backup")]
    Settings {
        /// Name of the row.
        name: String,
    },
    /// What a person named does not exist, or is not unique.
    #[error("{0}")]
    NotFound(String),
    /// What a person asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A link, address or card that cannot be read.
    #[error("{what}: {reason}")]
    Malformed {
        /// What it should have been.
        what: &'static str,
        /// Why it is not.
        reason: String,
    },
    /// An invite that does not open with the keys of this person.
    #[error("the invite link does not open here")]
    NotForYou(#[source] InviteError),
    /// The timeline refused the write.
    #[error("the message was not written")]
    Write(#[source] WriteError),
    /// Somebody else's message.
    #[error("only its author can edit or delete a message")]
    NotYours,
    /// This node left the timeline.
    #[error("this node left that timeline; join it again by a link to write there")]
    Left,
    /// The search index failed; the node did not.
    #[error(transparent)]
    Search(IndexError),
    /// The folder refused.
    #[error("the folder of this node failed")]
    Store(#[source] StoreError),
    /// The folder took nothing, or failed before it was asked to: it is as it was.
    #[error("nothing was written")]
    NotWritten(#[source] StoreError),
    /// A file or socket failed.
    #[error("{action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// What was waited for did not come in time.
    #[error("not {what} after {waited_ms} ms; {stands}")]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited_ms: u64,
        /// How far it came.
        stands: &'static str,
    },
    /// What was waited for will not come before somebody acts: a relay said no.
    #[error(
        "the relay refused it ({code}); {}, then run `khlong outbox retry`; until then it stays in the outbox",
        remedy(*code)
    )]
    RefusedByRelay {
        /// What the relay said.
        code: ErrorCode,
    },
    /// Every relay of a timeline refused to let this node join.
    #[error(
        "the relay lets nobody in by this link ({code}): {}; nothing was joined",
        link_remedy(*code)
    )]
    NotLetIn {
        /// What the relay said.
        code: ErrorCode,
    },
    /// A relay that is needed has another key than its address says.
    #[error("no relay was reached: {0}")]
    WrongKey(String),
    /// The daemon went away.
    #[error("the daemon closed the connection; see its log")]
    DaemonGone,
    /// The daemon went away while its messages were followed.
    #[error(
        "the daemon has ended, or a `khlong log --follow` or `khlong tui` that stood in for it, so nothing more arrives here; give the same command again"
    )]
    FollowedDaemonGone,
    /// The daemon holds its socket and says nothing.
    #[error(
        "the daemon behind {} has said nothing for {waited_ms} ms: it is stopped or hangs; let it go on or end it, then try again",
        .path.display()
    )]
    DaemonSilent {
        /// Its socket.
        path: PathBuf,
        /// How long it was waited for.
        waited_ms: u64,
    },
}

impl From<IndexError> for NodeError {
    fn from(error: IndexError) -> Self {
        Self::Search(error)
    }
}

impl NodeError {
    /// What the command line exits with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotInitialised(_) | Self::AlreadyInitialised(_) => ExitCode::Config,
            Self::Keys(_) | Self::Secret { .. } | Self::WrongKey(_) | Self::NotForYou(_) => {
                ExitCode::Untrusted
            }
            Self::Settings { .. } => ExitCode::Integrity,
            Self::Usage(_) | Self::Malformed { .. } => ExitCode::Usage,
            Self::Left
            | Self::NotYours
            | Self::Write(
                WriteError::ReadOnly | WriteError::NotAdmin(_) | WriteError::NotMover(_),
            ) => ExitCode::Untrusted,
            Self::NotFound(_) | Self::Write(_) | Self::DaemonGone | Self::FollowedDaemonGone => {
                ExitCode::Failure
            }
            Self::Io { source, .. } | Self::Search(IndexError::Folder(source)) => {
                ExitCode::of_io(source)
            }
            Self::Search(IndexError::Full | IndexError::TooLarge { .. }) => ExitCode::Full,
            Self::Search(IndexError::Broken(_)) => ExitCode::Failure,
            Self::KeyFile(error) => ExitCode::of_key_file(error),
            Self::Store(error) | Self::NotWritten(error) => ExitCode::of_store(error),
            Self::TimedOut { .. } | Self::DaemonSilent { .. } => ExitCode::TimedOut,
            Self::RefusedByRelay { code } | Self::NotLetIn { code } => ExitCode::of_refusal(*code),
        }
    }

    /// Whether [`Peer::commit`](crate::peer::Peer::commit) may be called again on
    /// the same peer: the engine catches up with itself and took nothing.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(
            self,
            Self::NotWritten(StoreError::Engine(EngineError::Busy))
        )
    }

    /// The same, known to have happened before anything reached the disk.
    #[must_use]
    pub(crate) fn before_commit(self) -> Self {
        if let Self::Store(error) = self {
            Self::NotWritten(error)
        } else {
            self
        }
    }

    /// The message with its causes: `Display` alone never repeats them.
    #[must_use]
    pub fn full_message(&self) -> String {
        described(self)
    }
}

impl ExitCode {
    /// What a relay's refusal means to a script.
    #[must_use]
    pub fn of_refusal(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Unproven
            | ErrorCode::BadProof
            | ErrorCode::UnknownTimeline
            | ErrorCode::NotAdmitted
            | ErrorCode::AlreadyHandedOver
            | ErrorCode::OpeningRefused => Self::Untrusted,
            ErrorCode::RateLimited | ErrorCode::TooManyInFlight => Self::RateLimited,
            ErrorCode::QuotaExceeded | ErrorCode::DiskFull => Self::Full,
            ErrorCode::VersionUnsupported => Self::Incompatible,
            ErrorCode::Malformed | ErrorCode::InvalidEnvelope | ErrorCode::ForkEvidenceFull => {
                Self::Integrity
            }
            ErrorCode::LimitExceeded
            | ErrorCode::Protocol
            | ErrorCode::Busy
            | ErrorCode::HandshakeTimeout
            | ErrorCode::IdleTimeout
            | ErrorCode::ShuttingDown
            | ErrorCode::Internal
            | ErrorCode::BackfillRequired
            | ErrorCode::SlowFrame
            | ErrorCode::Unknown(_) => Self::Failure,
        }
    }

    /// What the system's answer means to a script.
    #[must_use]
    pub fn of_io(error: &std::io::Error) -> Self {
        let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
        if full.contains(&error.kind()) {
            Self::Full
        } else {
            Self::Failure
        }
    }

    fn of_key_file(error: &SecretStoreError) -> Self {
        match error {
            SecretStoreError::Io { source, .. } => Self::of_io(source),
            SecretStoreError::Permissions { .. } => Self::Untrusted,
            SecretStoreError::NotAFile { .. } => Self::Config,
            SecretStoreError::Content { source, .. } => match source {
                SealedFileError::PassphraseNeeded
                | SealedFileError::NotSealed
                | SealedFileError::Passphrase => Self::Untrusted,
                SealedFileError::Version(_) => Self::Incompatible,
                SealedFileError::Layout
                | SealedFileError::TooLong
                | SealedFileError::Cost
                | SealedFileError::Damaged => Self::Integrity,
                SealedFileError::Derivation => Self::Failure,
            },
        }
    }

    fn of_store(error: &StoreError) -> Self {
        let code = error.exit_code();
        let known = [
            Self::Config,
            Self::Untrusted,
            Self::Full,
            Self::Incompatible,
            Self::Integrity,
        ];
        known
            .into_iter()
            .find(|known| *known as u8 == code)
            .unwrap_or(Self::Failure)
    }
}

/// What to do about a relay's refusal, as the middle of a sentence.
fn remedy(code: ErrorCode) -> &'static str {
    match ExitCode::of_refusal(code) {
        ExitCode::Untrusted if code == ErrorCode::OpeningRefused => {
            "give the token of its operator by `khlong relay add ADDRESS --token-file FILE`"
        }
        ExitCode::Untrusted => "ask a member who may invite for a new link",
        ExitCode::RateLimited => "wait a minute",
        ExitCode::Full => "ask its operator for room",
        ExitCode::Incompatible => "bring it and this node to one version",
        ExitCode::Integrity => "compare this node's folder with a backup",
        ExitCode::Ok
        | ExitCode::Failure
        | ExitCode::Usage
        | ExitCode::Config
        | ExitCode::TimedOut => "look at its operator's log",
    }
}

/// What may be wrong with an invite link that a relay refuses.
fn link_remedy(code: ErrorCode) -> &'static str {
    if code == ErrorCode::AlreadyHandedOver {
        return "somebody has used it; ask for a new one";
    }
    "it has expired or was withdrawn, or who made it has not been online since; ask for a new one, or try \
     this one again later"
}

/// An error with its causes, for a log line or an answer.
pub(crate) fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
