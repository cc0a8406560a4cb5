//! The clear part of an auth-op: what relays, LAN peers and couriers read.

use super::AdmissionError;
use crate::id::{AuthorKey, EnvelopeId, InboxKey, PrincipalKey, Seq};
use crate::limits::CUTS_MAX;
use crate::reader::{Reader, Truncated};
use crate::time::UnixMillis;

/// What a timeline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum TimelineKind {
    /// Two people.
    Direct = 1,
    /// Many who write.
    Group = 2,
    /// Few write, many read.
    Channel = 3,
    /// The key lies in the genesis: everyone may read.
    Public = 4,
    /// One person's own devices.
    Own = 5,
}

impl TimelineKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Direct,
        Self::Group,
        Self::Channel,
        Self::Public,
        Self::Own,
    ];

    /// As a person writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Channel => "channel",
            Self::Public => "public",
            Self::Own => "self",
        }
    }
}

impl std::fmt::Display for TimelineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a newcomer can read of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum History {
    /// Everything: each epoch carries its parents' keys.
    Full = 1,
    /// From the epoch in which the newcomer joined.
    SinceJoin = 2,
    /// Keys are erased.
    Ephemeral = 3,
}

/// What a principal may do; a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rights(u8);

impl Rights {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Follow the log as another relay does.
    pub const RELAY: Self = Self(1);
    /// Fetch envelopes.
    pub const READ: Self = Self(2);
    /// Write changes.
    pub const APPEND: Self = Self(4);
    /// Replace bodies by fragments.
    pub const COMPACT: Self = Self(8);
    /// Grant and revoke.
    pub const ADMIN: Self = Self(16);
    /// Everything.
    pub const ALL: Self = Self(31);
    /// What an ordinary member has.
    pub const MEMBER: Self = Self(2 | 4 | 8);

    /// From the byte of the wire.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// As on the wire.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every bit of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The last envelope of a revoked author that still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Whose chain.
    pub author: AuthorKey,
    /// Up to here.
    pub seq: Seq,
    /// The envelope there.
    pub id: EnvelopeId,
}

/// One clear op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClearOp {
    /// Opens the timeline; alone in the only envelope that the timeline key signs.
    Genesis {
        /// What it is for.
        kind: TimelineKind,
        /// What newcomers can read.
        history: History,
        /// Has every right.
        admin: PrincipalKey,
        /// The epoch key of a public timeline.
        public_key: Option<[u8; 32]>,
        /// Makes two timelines of one admin differ.
        nonce: [u8; 16],
    },
    /// Adds a principal.
    Grant {
        /// Who.
        principal: PrincipalKey,
        /// What it may do.
        rights: Rights,
        /// Until when, by relays' receipt dates; 0 = for ever.
        expiry: UnixMillis,
        /// A relay's policy may tell classes apart.
        quota_class: u8,
        /// It may do one thing, once: hand over.
        one_use: bool,
    },
    /// Removes a principal for good.
    Revoke {
        /// Who.
        principal: PrincipalKey,
        /// What of its chains still counts; chains that are not named count for nothing.
        cuts: Vec<Cut>,
    },
    /// A principal certifies the author key that signs this envelope.
    Author {
        /// Who.
        principal: PrincipalKey,
        /// The envelope's author.
        author: AuthorKey,
        /// The principal's, over [`crate::context::SIGN_AUTHOR`] ‖ timeline ‖ principal ‖ author.
        signature: [u8; 64],
    },
    /// A principal names its inbox key.
    Inbox {
        /// Who.
        principal: PrincipalKey,
        /// To which epoch keys are wrapped.
        inbox: InboxKey,
        /// The principal's, over [`crate::context::SIGN_INBOX`] ‖ timeline ‖ principal ‖ inbox.
        signature: [u8; 64],
    },
    /// A one-use principal gives its place to another.
    Handover {
        /// The one-use principal.
        from: PrincipalKey,
        /// The joiner's own.
        to: PrincipalKey,
        /// Of `from`, over [`crate::context::SIGN_HANDOVER`] ‖ timeline ‖ from ‖ to.
        from_signature: [u8; 64],
        /// Of `to`, over the same.
        to_signature: [u8; 64],
    },
}

impl ClearOp {
    pub(super) fn payload(&self) -> Result<(u8, Vec<u8>), AdmissionError> {
        Ok(match self {
            Self::Genesis {
                kind,
                history,
                admin,
                public_key,
                nonce,
            } => {
                let key = public_key.as_ref().map_or(&[][..], |key| &key[..]);
                let head = [*kind as u8, *history as u8];
                let flag = [u8::from(public_key.is_some())];
                (
                    1,
                    [&head, &admin.as_bytes()[..], &flag, key, nonce].concat(),
                )
            }
            Self::Grant {
                principal,
                rights,
                expiry,
                quota_class,
                one_use,
            } => {
                let expiry = expiry.get().to_be_bytes();
                let tail = [*quota_class, u8::from(*one_use)];
                (
                    2,
                    [&principal.as_bytes()[..], &[rights.0], &expiry, &tail].concat(),
                )
            }
            Self::Revoke { principal, cuts } => (3, revoke_payload(principal, cuts)?),
            Self::Author {
                principal,
                author,
                signature,
            } => (
                4,
                [principal.as_bytes(), author.as_bytes(), &signature[..]].concat(),
            ),
            Self::Inbox {
                principal,
                inbox,
                signature,
            } => (
                5,
                [principal.as_bytes(), inbox.as_bytes(), &signature[..]].concat(),
            ),
            Self::Handover {
                from,
                to,
                from_signature,
                to_signature,
            } => {
                let keys = [&from.as_bytes()[..], to.as_bytes()].concat();
                (6, [&keys, &from_signature[..], to_signature].concat())
            }
        })
    }

    pub(super) fn read(tag: u8, payload: &[u8]) -> Result<Self, AdmissionError> {
        let mut reader = Reader::new(payload);
        let op = match tag {
            1 => Self::read_genesis(&mut reader)?,
            2 => Self::Grant {
                principal: PrincipalKey::from_bytes(reader.array()?),
                rights: Rights::from_bits(reader.u8()?).ok_or(AdmissionError::UnknownValue)?,
                expiry: read_expiry(&mut reader)?,
                quota_class: reader.u8()?,
                one_use: flag(reader.u8()?)?,
            },
            3 => {
                let principal = PrincipalKey::from_bytes(reader.array()?);
                let count = usize::from(reader.u8()?);
                if count > CUTS_MAX {
                    return Err(AdmissionError::TooManyCuts(count));
                }
                let cuts = (0..count)
                    .map(|_| read_cut(&mut reader))
                    .collect::<Result<_, _>>()?;
                Self::Revoke { principal, cuts }
            }
            4 => Self::Author {
                principal: PrincipalKey::from_bytes(reader.array()?),
                author: AuthorKey::from_bytes(reader.array()?),
                signature: reader.array()?,
            },
            5 => Self::Inbox {
                principal: PrincipalKey::from_bytes(reader.array()?),
                inbox: InboxKey::from_bytes(reader.array()?),
                signature: reader.array()?,
            },
            6 => Self::Handover {
                from: PrincipalKey::from_bytes(reader.array()?),
                to: PrincipalKey::from_bytes(reader.array()?),
                from_signature: reader.array()?,
                to_signature: reader.array()?,
            },
            unknown => return Err(AdmissionError::UnknownOp(unknown)),
        };
        if reader.remaining() == 0 {
            Ok(op)
        } else {
            Err(AdmissionError::Malformed)
        }
    }

    fn read_genesis(reader: &mut Reader<'_>) -> Result<Self, AdmissionError> {
        let (kind, history) = (reader.u8()?, reader.u8()?);
        let kind = TimelineKind::ALL
            .into_iter()
            .find(|known| *known as u8 == kind);
        let history = [History::Full, History::SinceJoin, History::Ephemeral]
            .into_iter()
            .find(|known| *known as u8 == history);
        let admin = PrincipalKey::from_bytes(reader.array()?);
        let public_key = if flag(reader.u8()?)? {
            Some(reader.array()?)
        } else {
            None
        };
        Ok(Self::Genesis {
            kind: kind.ok_or(AdmissionError::UnknownValue)?,
            history: history.ok_or(AdmissionError::UnknownValue)?,
            admin,
            public_key,
            nonce: reader.array()?,
        })
    }
}

fn revoke_payload(principal: &PrincipalKey, cuts: &[Cut]) -> Result<Vec<u8>, AdmissionError> {
    let count = u8::try_from(cuts.len())
        .ok()
        .filter(|_| cuts.len() <= CUTS_MAX)
        .ok_or(AdmissionError::TooManyCuts(cuts.len()))?;
    let mut bytes = principal.as_bytes().to_vec();
    bytes.push(count);
    for cut in cuts {
        bytes.extend_from_slice(cut.author.as_bytes());
        bytes.extend_from_slice(&cut.seq.get().to_be_bytes());
        bytes.extend_from_slice(cut.id.as_bytes());
    }
    Ok(bytes)
}

fn read_cut(reader: &mut Reader<'_>) -> Result<Cut, Truncated> {
    Ok(Cut {
        author: AuthorKey::from_bytes(reader.array()?),
        seq: Seq(reader.u64()?),
        id: EnvelopeId::from_bytes(reader.array()?),
    })
}

fn read_expiry(reader: &mut Reader<'_>) -> Result<UnixMillis, AdmissionError> {
    let millis = i64::from_be_bytes(reader.array()?);
    if millis < 0 {
        return Err(AdmissionError::UnknownValue);
    }
    Ok(UnixMillis(millis))
}

fn flag(byte: u8) -> Result<bool, AdmissionError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        2..=u8::MAX => Err(AdmissionError::UnknownValue),
    }
}
