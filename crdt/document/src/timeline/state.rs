//! The state document: title, roster, pins and relays. Of several entries about the same
//! thing the greatest operation counts; between pages of the document the later page.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::address::{INVITE_RELAYS_MAX, RelayAddress};
use khlong_crdt::id::{AuthorKey, MessageId, PrincipalKey};

use super::entry::{Entry, OpId, Section};
use super::limits::{NICKNAME_BYTES_MAX, RELAYS_BYTES_MAX, TITLE_BYTES_MAX};
use super::message::target;
use super::page::Page;

/// Keys of the maps in the state document.
pub(crate) mod key {
    pub(crate) const TITLE: &str = "t";
    pub(crate) const NICKNAME: &str = "n";
    pub(crate) const LEFT: &str = "l";
    pub(crate) const UNDONE: &str = "x";
    pub(crate) const RELAYS: &str = "r";
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
    /// Where the timeline is, as each author said last; the newest word stands last.
    pub relays: Vec<(AuthorKey, Vec<RelayAddress>)>,
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
    relays: BTreeMap<AuthorKey, (At, Vec<RelayAddress>)>,
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
            if let Some(relays) = relays(entry) {
                keep_latest(&mut self.relays, entry.id.author, (n, entry.id), relays);
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
            relays,
        } = self;
        let mut said: Vec<_> = relays.into_iter().collect();
        said.sort_by_key(|(_, (at, _))| *at);
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
            relays: said
                .into_iter()
                .map(|(author, (_, relays))| (author, relays))
                .collect(),
        }
    }
}

/// As it stands in an entry.
pub(crate) fn relays_text(relays: &[RelayAddress]) -> String {
    let texts: Vec<String> = relays.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

/// None unless all of it can be read, each relay once.
fn relays(entry: &Entry) -> Option<Vec<RelayAddress>> {
    let text = short(entry, key::RELAYS, RELAYS_BYTES_MAX)?;
    let read: Result<Vec<RelayAddress>, _> = text.split(' ').map(str::parse).collect();
    let read = read.ok()?;
    let keys: BTreeSet<_> = read.iter().map(|relay| relay.key).collect();
    (keys.len() == read.len() && read.len() <= INVITE_RELAYS_MAX).then_some(read)
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
