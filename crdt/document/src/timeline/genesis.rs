//! The first change of every page: the same bytes on every device, so that two
//! members who open a page at the same time open the same one.
//!
//! The bytes are frozen in `testdata/`; what Automerge writes today must not
//! decide what a page begins with.

use super::entry::Section;

/// First change of a page of messages.
pub const PAGE_GENESIS: &[u8] = include_bytes!("../../testdata/genesis-page.automerge");
/// First change of a page of the state document.
pub const STATE_GENESIS: &[u8] = include_bytes!("../../testdata/genesis-state.automerge");

/// The last operation of either genesis; a page's own begin above it.
pub(crate) const PAGE_GENESIS_OPS: u64 = 5;
pub(crate) const STATE_GENESIS_OPS: u64 = 4;

/// Which document an address or a section of a plaintext means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// Messages, and what is said about them.
    Page = 0,
    /// Title, roster, pins.
    State = 1,
}

impl DocumentKind {
    /// From the byte of a plaintext; None for documents of later versions.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Page),
            1 => Some(Self::State),
            _ => None,
        }
    }

    /// The frozen first change.
    #[must_use]
    pub const fn genesis(self) -> &'static [u8] {
        match self {
            Self::Page => PAGE_GENESIS,
            Self::State => STATE_GENESIS,
        }
    }

    pub(crate) const fn genesis_ops(self) -> u64 {
        match self {
            Self::Page => PAGE_GENESIS_OPS,
            Self::State => STATE_GENESIS_OPS,
        }
    }

    /// The list that the genesis made by its operation `counter`.
    pub(crate) const fn section(self, counter: u64) -> Option<Section> {
        match (self, counter) {
            (Self::Page, 2) => Some(Section::Messages),
            (Self::Page, 3) => Some(Section::Edits),
            (Self::Page, 4) => Some(Section::Reactions),
            (Self::Page, 5) => Some(Section::Deletes),
            (Self::State, 2) => Some(Section::Titles),
            (Self::State, 3) => Some(Section::Roster),
            (Self::State, 4) => Some(Section::Pins),
            _ => None,
        }
    }
}
