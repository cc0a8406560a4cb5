//! The state document: title, roster and pins. Of several entries about the same
//! thing the greatest operation counts; between pages of the document the later page.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::id::{AuthorKey, MessageId, PrincipalKey};

use super::entry::{Entry, OpId, Section};
use super::limits::{NICKNAME_BYTES_MAX, TITLE_BYTES_MAX};
use super::message::target;
use super::page::Page;

/// Keys of the maps in the state document.
pub(crate) mod key {
    pub(crate) const TITLE: &str = "t";
    pub(crate) const NICKNAME: &str = "n";
    pub(crate) const LEFT: &str = "l";
    pub(crate) const UNDONE: &str = "x";
    pub(crate) const RELAY: &str = "r";
}

/// A member as the roster shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub principal: PrincipalKey,
    /// The name that the member gave itself.
    pub nickname: Option<String>,
    /// Whether the member said that it left.
    pub left: bool,
}

/// What the state document says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The title last set.
    pub title: Option<String>,
    /// Members that said something about themselves, by principal.
    pub roster: Vec<Member>,
    /// Pinned messages.
    pub pins: BTreeSet<MessageId>,
}

/// Order of an entry across the pages of the document.
type At = (u32, OpId);

/// Folds the pages of the state document, in any order.
#[derive(Default)]
pub(crate) struct StateFold {
    title: Option<(At, String)>,
    nicknames: BTreeMap<PrincipalKey, (At, String)>,
    left: BTreeMap<PrincipalKey, (At, bool)>,
    pins: BTreeMap<MessageId, (At, bool)>,
}

impl StateFold {
    pub(crate) fn add(
        &mut self,
        n: u32,
        page: &Page,
        principal_of: &dyn Fn(&AuthorKey) -> Option<PrincipalKey>,
    ) {
        for entry in page.list(Section::Titles) {
            if let Some(title) = short(entry, key::TITLE, TITLE_BYTES_MAX) {
                let at = (n, entry.id);
                if self.title.as_ref().is_none_or(|(known, _)| *known < at) {
                    self.title = Some((at, title));
                }
            }
        }
        for entry in page.list(Section::Roster) {
            let Some(principal) = principal_of(&entry.id.author) else {
                continue;
            };
            let at = (n, entry.id);
            if let Some(nickname) = short(entry, key::NICKNAME, NICKNAME_BYTES_MAX) {
                keep_latest(&mut self.nicknames, principal, at, nickname);
            }
            keep_latest(&mut self.left, principal, at, entry.flag(key::LEFT));
        }
        for entry in page.list(Section::Pins) {
            if let Some(id) = target(entry) {
                keep_latest(&mut self.pins, id, (n, entry.id), !entry.flag(key::UNDONE));
            }
        }
    }

    pub(crate) fn finish(self) -> State {
        let Self {
            title,
            mut nicknames,
            left,
            pins,
        } = self;
        State {
            title: title.map(|(_, title)| title),
            roster: left
                .into_iter()
                .map(|(principal, (_, left))| Member {
                    principal,
                    nickname: nicknames.remove(&principal).map(|(_, nickname)| nickname),
                    left,
                })
                .collect(),
            pins: pins
                .into_iter()
                .filter(|(_, (_, pinned))| *pinned)
                .map(|(id, _)| id)
                .collect(),
        }
    }
}

fn short(entry: &Entry, key: &str, max: usize) -> Option<String> {
    entry
        .text(key)
        .filter(|text| text.len() <= max)
        .map(str::to_owned)
}

fn keep_latest<K: Ord, V>(known: &mut BTreeMap<K, (At, V)>, key: K, at: At, value: V) {
    if known.get(&key).is_none_or(|(before, _)| *before < at) {
        known.insert(key, (at, value));
    }
}
