//! What receiving an envelope may say to whoever shows the timeline.

use khlong_crdt::admission::AdmissionError;
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, MessageId, PrincipalKey, Seq};

use super::entry::ChangeRefusal;
use super::page::PageAddress;
use super::plaintext::PlaintextError;
use crate::keys::wrap::WrapError;
use crate::membership::manifest::ManifestError;
use crate::seal::OpenError;

/// Something happened in a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimelineEvent {
    /// The genesis is here: kind and history are known.
    Opened,
    /// A message is there that was not.
    MessageAdded(MessageId),
    /// A message was edited, deleted or reacted to, or tried to be.
    MessageChanged(MessageId),
    /// Title, roster or pins.
    StateChanged,
    /// The first device of a member is known.
    MemberJoined(PrincipalKey),
    /// A member's inbox key has a low order: nothing sealed to it is secret, so new epochs
    /// are not wrapped to it.
    WeakInbox(PrincipalKey),
    /// One more epoch can be read.
    EpochLearnt(EpochId),
    /// A member has received a chain of mine up to a place.
    Delivered {
        /// Who.
        principal: PrincipalKey,
        /// Which chain of mine.
        author: AuthorKey,
        /// Up to here.
        seq: Seq,
    },
    /// A member has been shown a chain of mine up to a place.
    Read {
        /// Who.
        principal: PrincipalKey,
        /// Which chain of mine.
        author: AuthorKey,
        /// Up to here.
        seq: Seq,
    },
    /// An envelope will never count.
    Refused {
        /// Which.
        envelope: EnvelopeId,
        /// Why.
        reason: Refused,
    },
    /// A change inside an envelope does not count.
    ChangeRefused {
        /// Who sent it.
        author: AuthorKey,
        /// Why.
        refusal: ChangeRefusal,
    },
    /// Two used one invite, and the other one counts; or a principal has too many author
    /// keys, and lower ones count. Nothing by this author does.
    /// If something of it had counted, [`super::Timeline::must_reread`] says so now.
    Superseded {
        /// Whose handover has the higher id, or whose key is the higher one.
        author: AuthorKey,
    },
    /// All was built anew from the envelopes: whatever is shown may have changed.
    Rebuilt,
    /// Too much waits for keys, authors or changes; this one is gone until the timeline is read
    /// again, for which [`super::Timeline::must_reread`] asks when it is worth while.
    ParkedFull {
        /// Which.
        envelope: EnvelopeId,
    },
    /// The chain of an author has too many holes to remember all that lies beyond them:
    /// receipts tell less of it, until the timeline is read again.
    ChainRunsFull {
        /// Whose chain.
        author: AuthorKey,
    },
    /// A member reported more chains than are known here; the rest is not kept.
    HeightsFull {
        /// Who.
        principal: PrincipalKey,
    },
    /// How far my messages in this page have come is not known any more: it is too old.
    DeliveryForgotten {
        /// Which page.
        page: PageAddress,
    },
}

/// Why an envelope does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It belongs to another timeline.
    #[error("the envelope belongs to another timeline")]
    OtherTimeline,
    /// Its admission part is wrong.
    #[error("the membership change is refused")]
    Admission(#[source] AdmissionError),
    /// It does not open, or is malformed inside.
    #[error("the envelope does not open")]
    Open(#[source] OpenError),
    /// What was sealed cannot be read.
    #[error("the sealed content cannot be read")]
    Plaintext(#[source] PlaintextError),
    /// A key inside is not what it should be.
    #[error("the epoch key is refused; its minter is at fault")]
    Wrap(#[source] WrapError),
    /// A key does not fit its manifest.
    #[error("the epoch's manifest does not hold; its minter is at fault")]
    Manifest(#[source] ManifestError),
    /// Its author came by a handover that gave way to another of the same invite, or is one
    /// of too many of its principal.
    #[error(
        "the author does not count: its invite was used by someone else, or its member has too many devices"
    )]
    Superseded,
    /// The timeline has as many epochs as it may have.
    #[error("the timeline has too many epochs; open a new one")]
    EpochsFull,
    /// A mint in the name of another member.
    #[error("the epoch was minted in the name of another member")]
    ForeignMinter,
}
