//! What the index is told of a page, and what it is asked for.

use khlong_crdt::id::{EpochId, MessageId, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_document::timeline::page::PageAddress;

use super::fold::fold;

/// A page of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageName {
    /// Of which timeline.
    pub timeline: TimelineId,
    /// Number of the page.
    pub n: u32,
    /// See [`PageAddress::lineage`].
    pub lineage: EpochId,
}

impl PageName {
    /// The page at `address`.
    #[must_use]
    pub const fn new(timeline: TimelineId, address: &PageAddress) -> Self {
        Self {
            timeline,
            n: address.n,
            lineage: address.lineage,
        }
    }
}

/// Another one as soon as a page may show something else.
pub type Mark = [u8; 16];

/// A message as the index wants to know it. Deleted ones are none, nor are those of blocked members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which message.
    pub id: MessageId,
    /// Its text as it stands.
    pub body: String,
    /// By whom it is found: a principal, or a [`sender`].
    pub author: String,
    /// What the author's clock said.
    pub sent_at: UnixMillis,
}

/// By what an imported message is found: the folded name that its sender had.
#[must_use]
pub fn sender(name: &str) -> String {
    format!("as {}", folded(name))
}

/// A name as it is compared.
pub(crate) fn folded(name: &str) -> String {
    fold(name).iter().map(|letter| letter.letter).collect()
}

/// Which messages may be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this timeline.
    pub timeline: Option<TimelineId>,
    /// Only by one of these.
    pub authors: Option<Vec<String>>,
    /// Only from then on.
    pub since: Option<UnixMillis>,
    /// Only before.
    pub before: Option<UnixMillis>,
}
