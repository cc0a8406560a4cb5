//! Who may append and read: the one mechanism of relays, LAN peers and couriers.
//!
//! The clear ops of a timeline form a two-phase set: a revoked principal never
//! returns, so the order of grants and revocations does not matter. A relay's
//! verdict is spam control; members judge by the encrypted membership log.

mod absorb;
mod body;
mod check;
mod introduce;
mod ledger;
mod newcomers;
mod op;
mod replay;
mod state;

use crate::id::{AuthorKey, PrincipalKey};
use crate::limits::AUTHORS_PER_PRINCIPAL_MAX;
use crate::reader::Truncated;

pub use self::body::AuthBody;
pub use self::op::{ClearOp, Cut, History, Rights, TimelineKind};
pub use self::replay::Replay;
pub use self::state::{Admission, Merged};

/// Why an author may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No principal has certified this author key. It may be on its way.
    #[error("the author is not known in this timeline")]
    UnknownAuthor,
    /// No grant names the principal.
    #[error("the author's principal has no grant in this timeline")]
    NotGranted,
    /// The principal was revoked, and the envelope lies beyond the cut.
    #[error("the author was removed from this timeline")]
    Revoked,
    /// The grant has expired.
    #[error("the grant has expired; ask for a new invite")]
    Expired,
    /// The grant does not hold the right that is needed.
    #[error("the grant does not allow this")]
    MissingRight,
    /// A one-use principal may only hand over.
    #[error("an invite can only be handed over to a principal of the joiner's own")]
    OneUse,
}

impl Refusal {
    /// Whether the same envelope may be admitted later, when a certificate or a grant
    /// that is on its way has come.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::UnknownAuthor | Self::NotGranted | Self::MissingRight => true,
            Self::Revoked | Self::Expired | Self::OneUse => false,
        }
    }
}

/// Why an auth-op was refused. Nothing of it was applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// The bytes end inside a field.
    #[error("the auth-op is cut short")]
    Truncated,
    /// Lengths that do not fit each other.
    #[error("the auth-op is malformed")]
    Malformed,
    /// An op of a later version.
    #[error("op {0} is not known; update this program")]
    UnknownOp(u8),
    /// A field of a later version.
    #[error("a field of the auth-op has a value that is not known; update this program")]
    UnknownValue,
    /// No op, or too many.
    #[error("{0} ops; 1 to 32 fit an auth-op")]
    TooManyOps(usize),
    /// Too many cuts.
    #[error("{0} cuts; 16 fit a revocation")]
    TooManyCuts(usize),
    /// The first envelope of a timeline must be its genesis, signed by its own key.
    #[error("this is not the genesis of its timeline")]
    NotGenesis,
    /// The timeline has its genesis already.
    #[error("a timeline has one genesis, and its key writes nothing else")]
    SecondGenesis,
    /// The body was pruned.
    #[error("an auth-op without its body")]
    Pruned,
    /// The envelope belongs elsewhere.
    #[error("the auth-op belongs to another timeline")]
    OtherTimeline,
    /// A certificate of another author, or one that does not verify.
    #[error("a signature inside the auth-op does not verify")]
    BadCertificate,
    /// The envelope is of another kind.
    #[error("only auth-ops change the admission")]
    NotAuthOp,
    /// The certificate of an author stands once, in its first envelope; so does a handover.
    #[error("an author introduces itself once, in its first envelope")]
    Introduction,
    /// A junior admin cannot remove a senior one.
    #[error("{0} is a senior admin of this timeline; only a more senior one can remove it")]
    Senior(PrincipalKey),
    /// An author belongs to one principal for good; for a member, by its lowest first envelope.
    #[error("the author {0} was introduced by another envelope, maybe for another principal")]
    AuthorTaken(AuthorKey),
    /// The author may not do this.
    #[error("the author may not do this")]
    Refused(#[source] Refusal),
    /// A one-use principal hands over once.
    #[error("the invite of {0} was used already; ask for another")]
    AlreadyHandedOver(PrincipalKey),
    /// The principal has as many author keys as it may have; of more, lower ones count.
    #[error("{0} has {AUTHORS_PER_PRINCIPAL_MAX} devices and restored folders; no more count")]
    TooManyAuthors(PrincipalKey),
    /// A table is full.
    #[error("the timeline holds {limit} {what}; no more fit")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many.
        limit: usize,
    },
}

impl AdmissionError {
    /// Whether the same envelope may pass after others were applied.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_retryable(),
            // A newer program, another envelope, or nobody can help.
            Self::Truncated
            | Self::Malformed
            | Self::UnknownOp(_)
            | Self::UnknownValue
            | Self::TooManyOps(_)
            | Self::TooManyCuts(_)
            | Self::NotGenesis
            | Self::SecondGenesis
            | Self::Pruned
            | Self::OtherTimeline
            | Self::BadCertificate
            | Self::NotAuthOp
            | Self::Introduction
            | Self::Senior(_)
            | Self::AuthorTaken(_)
            | Self::AlreadyHandedOver(_)
            | Self::TooManyAuthors(_)
            | Self::Full { .. } => false,
        }
    }
}

impl From<Truncated> for AdmissionError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}
