//! A command: what was asked, and everything that its decision may depend on.

use khlong_crdt::time::UnixMillis;
use khlong_store::journal::{self, JournalSeq};
use khlong_store::key::{Decoder, Encoder};

use super::error::KernelError;
use super::outcome::{OUTCOME_BYTES_MAX, Outcome};

/// A caller, a scope or a key.
pub const NAME_BYTES_MAX: usize = 255;

/// Who asks where the kernel itself does; nobody else may use the name.
pub const KERNEL_CALLER: &[u8] = b"\0kernel";

/// `version 1 ‖ logic 2 ‖ admitted_at 8 ‖ (length 1 ‖ name)·3`.
pub const HEADER_BYTES_MAX: usize = 11 + 3 * (1 + NAME_BYTES_MAX);

/// The body of a command: the largest batch of transfers, and room for other domains.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

const _: () = assert!(
    HEADER_BYTES_MAX + 1 + BODY_BYTES_MAX + OUTCOME_BYTES_MAX <= journal::ENTRY_BYTES_MAX,
    "the largest command and its outcome are one entry"
);

/// Layout of the header.
const HEADER_VERSION: u8 = 1;

/// Under which rules a command is decided. An entry of the journal is replayed under
/// those that stand in it, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Logic {
    /// The first rules: a balancing transfer that finds nothing to move fails.
    V1,
    /// A balancing transfer that finds nothing to move moves nothing and succeeds.
    V2,
    /// The close of a day leaves a notice in the outbox.
    V3,
    /// A hold of a batch that was paid out is settled as the books decided, or not at all.
    V4,
}

impl Logic {
    /// The rules of this release.
    pub const CURRENT: Self = Self::V4;

    /// As it stands in the journal.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }

    /// The rules with that number, if this release knows them.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            3 => Some(Self::V3),
            4 => Some(Self::V4),
            _ => None,
        }
    }
}

/// What is asked of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Who asks; keys of different callers never meet.
    pub caller: Vec<u8>,
    /// What the key is for: a route, a worker.
    pub scope: Vec<u8>,
    /// Names this command among those of caller and scope, so that a retry is answered as
    /// the first try was.
    pub key: Vec<u8>,
    /// When the gateway took it in. Time goes on by commands alone.
    pub admitted_at: UnixMillis,
    /// Who decides it.
    pub domain: u8,
    /// What is asked, in the domain's encoding.
    pub body: Vec<u8>,
}

/// A command that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Its place in the journal.
    pub seq: JournalSeq,
    /// Its outcome as it stands there; see [`Outcome::decode`].
    pub outcome: Vec<u8>,
}

impl Decided {
    /// The outcome, decoded; `None` if a newer release wrote it.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        Outcome::decode(&self.outcome)
    }
}

impl Command {
    /// Whether it keeps the limits.
    ///
    /// # Errors
    /// [`KernelError::Unfit`].
    pub fn check(&self) -> Result<(), KernelError> {
        let unfit = |what, found, max| Err(KernelError::Unfit { what, found, max });
        if self.key.is_empty() {
            return unfit(
                "bytes in the idempotency key, at least 1",
                0,
                NAME_BYTES_MAX,
            );
        }
        for (what, name) in [
            ("bytes in the caller's name", &self.caller),
            ("bytes in the scope", &self.scope),
            ("bytes in the idempotency key", &self.key),
        ] {
            if name.len() > NAME_BYTES_MAX {
                return unfit(what, name.len(), NAME_BYTES_MAX);
            }
        }
        if self.body.len() > BODY_BYTES_MAX {
            return unfit("bytes in the body", self.body.len(), BODY_BYTES_MAX);
        }
        Ok(())
    }

    /// Whether somebody else than the kernel asks.
    ///
    /// # Errors
    /// [`KernelError::KernelsName`].
    pub(super) fn check_caller(&self) -> Result<(), KernelError> {
        if self.caller == KERNEL_CALLER {
            return Err(KernelError::KernelsName);
        }
        Ok(())
    }

    /// `version 1 ‖ logic 2 ‖ admitted_at 8 ‖ (length 1 ‖ name)·3`: caller, scope, key.
    pub(super) fn header(&self, logic: Logic) -> Vec<u8> {
        let mut header = Encoder::new()
            .u8(HEADER_VERSION)
            .fixed(&logic.number().to_be_bytes())
            .i64(self.admitted_at.0);
        for name in [&self.caller, &self.scope, &self.key] {
            header = header.tail(&named(name));
        }
        header.finish()
    }

    /// `domain 1 ‖ body`.
    pub(super) fn content(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(1 + self.body.len());
        content.push(self.domain);
        content.extend_from_slice(&self.body);
        content
    }

    /// Reads an entry of the journal back.
    ///
    /// # Errors
    /// [`KernelError::UnknownEntry`] if this release does not know its layout or rules.
    pub(super) fn from_entry(
        seq: JournalSeq,
        header: &[u8],
        content: &[u8],
    ) -> Result<(Self, Logic), KernelError> {
        let mut fields = Decoder::new(header);
        let decoded = (|| {
            if fields.u8()? != HEADER_VERSION {
                return None;
            }
            let logic = Logic::from_number(u16::from_be_bytes(fields.fixed()?))?;
            let admitted_at = UnixMillis(fields.i64()?);
            let mut name = || {
                let bytes = fields.u8()?;
                fields.bytes(bytes.into()).map(<[u8]>::to_vec)
            };
            let (caller, scope, key) = (name()?, name()?, name()?);
            fields.end()?;
            let (domain, body) = content.split_first()?;
            let command = Self {
                caller,
                scope,
                key,
                admitted_at,
                domain: *domain,
                body: body.to_vec(),
            };
            Some((command, logic))
        })();
        decoded.ok_or(KernelError::UnknownEntry { seq: seq.0 })
    }
}

/// `length 1 ‖ name`; names are at most 255 bytes, which [`Command::check`] has seen to.
pub(super) fn named(name: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    Encoder::new().u8(length).tail(name).finish()
}
