//! One document: a grow-only set of changes of which a part is applied.
//!
//! A change is applied once its dependencies, its author's previous change and
//! the elements it stands behind are. What is applied is therefore a function of
//! the set of changes alone: order, duplicates and batches do not matter.

mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::ChangeHash;
use khlong_crdt::id::{AuthorKey, EpochId};
use khlong_crdt::reader::Reader;

use crate::timeline::entry::{ChangeRefusal, Checked, Entry, OpId, Section};
use crate::timeline::genesis::DocumentKind;
use crate::timeline::limits::Limits;
use crate::timeline::order::ListOrder;
use crate::timeline::room::Room;

/// Names one document of a timeline; pages come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageAddress {
    /// Which document.
    pub kind: DocumentKind,
    /// Number of the page, from 0.
    pub n: u32,
    /// Zero in `full` timelines, else the epoch under which the page was opened.
    pub lineage: EpochId,
}

impl PageAddress {
    /// Bytes of [`Self::to_bytes`].
    pub const BYTES: usize = 37;

    /// `kind 1 ‖ n 4 ‖ lineage 32`: in the order of pages.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let fields = [
            &[self.kind as u8][..],
            &self.n.to_be_bytes(),
            self.lineage.as_bytes(),
        ];
        for (byte, field) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *byte = *field;
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; None for documents of later versions.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Some(Self {
            kind: DocumentKind::from_byte(reader.u8().ok()?)?,
            n: reader.u32().ok()?,
            lineage: EpochId::from_bytes(reader.array().ok()?),
        })
    }

    /// No address is lower.
    pub(crate) const FIRST: Self = Self {
        kind: DocumentKind::Page,
        n: 0,
        lineage: EpochId::ZERO,
    };

    /// No address is higher.
    pub(crate) const LAST: Self = Self {
        kind: DocumentKind::State,
        n: u32::MAX,
        lineage: EpochId::from_bytes([0xff; 32]),
    };
}

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Its entries count now.
    Applied(Arc<Checked>),
    /// It will never count, unless a lower hash frees its place.
    Refused(Arc<Checked>, ChangeRefusal),
    /// A lower hash took the place of an applied change: read the page anew.
    Rebuilt { author: AuthorKey },
}

/// What decides which changes count; the same on all replicas.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    /// Authors of whom nothing is shown. A change of theirs is applied only when one of
    /// somebody else rests on it.
    pub(crate) hidden: BTreeSet<AuthorKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Of a hidden author, and nothing rests on it.
    Unneeded,
    Waiting,
    Applied,
    Refused,
}

#[derive(Debug)]
struct Held {
    change: Arc<Checked>,
    standing: Standing,
}

/// What an author has put into this page.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AuthorTail {
    pub(crate) seq: u64,
    pub(crate) max_op: u64,
    pub(crate) bytes: usize,
    pub(crate) messages: usize,
    pub(crate) operations: usize,
}

/// What a waiting change waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Change(ChangeHash),
    Place(AuthorKey, u64),
}

enum Readiness {
    Ready,
    Wait(Need),
    Refuse(ChangeRefusal),
}

#[derive(Debug)]
pub(crate) struct Page {
    kind: DocumentKind,
    genesis: ChangeHash,
    held: BTreeMap<ChangeHash, Held>,
    places: BTreeMap<(AuthorKey, u64), ChangeHash>,
    waiting: BTreeMap<Need, Vec<ChangeHash>>,
    /// For what is neither applied nor refused. Of refused changes an author has at most
    /// one in a page: what comes behind it waits.
    room: Room,
    heads: BTreeSet<ChangeHash>,
    tails: BTreeMap<AuthorKey, AuthorTail>,
    entries: BTreeMap<OpId, (Arc<Checked>, usize)>,
    lists: BTreeMap<Section, ListOrder>,
    max_op: u64,
    bytes: usize,
    applied: usize,
    messages: usize,
    /// Hidden authors of whom something is held.
    hidden: BTreeSet<AuthorKey>,
}

impl Page {
    pub(crate) fn new(kind: DocumentKind) -> Self {
        let genesis = crate::timeline::canonical::genesis_hash(kind);
        Self {
            kind,
            genesis,
            held: BTreeMap::new(),
            places: BTreeMap::new(),
            waiting: BTreeMap::new(),
            room: Room::default(),
            heads: BTreeSet::from([genesis]),
            tails: BTreeMap::new(),
            entries: BTreeMap::new(),
            lists: BTreeMap::new(),
            max_op: kind.genesis_ops(),
            bytes: 0,
            applied: 0,
            messages: 0,
            hidden: BTreeSet::new(),
        }
    }

    /// Takes changes in any order.
    pub(crate) fn merge(
        &mut self,
        changes: impl IntoIterator<Item = Arc<Checked>>,
        rules: &Rules,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let fresh = self.lowest_of_each_place(changes, &mut outcomes);
        self.evict(&fresh, rules, &mut outcomes);
        let ready = fresh
            .into_iter()
            .map(|change| self.hold(change, rules))
            .collect();
        self.settle_ready(ready, rules, &mut outcomes);
        // Only now: what could be applied needed no room.
        while let Some(author) = self.room.gives_way(rules.limits.page_waiting_memory)
            && let Some(dropped) = self.drop_last_of(author, &rules.limits)
        {
            outcomes.push(Outcome::Refused(dropped, ChangeRefusal::Full));
        }
        for list in self.lists.values_mut() {
            list.settle();
        }
        outcomes
    }

    fn hold(&mut self, change: Arc<Checked>, rules: &Rules) -> ChangeHash {
        let hash = change.hash;
        let standing = if self.is_unneeded(&change, rules) {
            Standing::Unneeded
        } else {
            Standing::Waiting
        };
        if rules.hidden.contains(&change.author) {
            self.hidden.insert(change.author);
        }
        self.room.add(change.author, change.memory());
        self.places.insert((change.author, change.seq), hash);
        self.held.insert(hash, Held { change, standing });
        hash
    }

    /// Whether a change is of a hidden author and nothing that is held rests on it.
    fn is_unneeded(&self, change: &Checked, rules: &Rules) -> bool {
        rules.hidden.contains(&change.author)
            && !self.waiting.contains_key(&Need::Change(change.hash))
            && !self
                .waiting
                .contains_key(&Need::Place(change.author, change.seq))
    }

    /// A hidden author's change that is needed from now on, if this need is for one.
    fn call_for(&mut self, need: Need) -> Option<ChangeHash> {
        let hash = match need {
            Need::Change(hash) => hash,
            Need::Place(author, seq) => *self.places.get(&(author, seq))?,
        };
        let held = self.held.get_mut(&hash)?;
        if held.standing != Standing::Unneeded {
            return None;
        }
        held.standing = Standing::Waiting;
        Some(hash)
    }

    /// Looks at each candidate and at whatever it sets free.
    fn settle_ready(
        &mut self,
        mut candidates: Vec<ChangeHash>,
        rules: &Rules,
        outcomes: &mut Vec<Outcome>,
    ) {
        candidates.reverse();
        while let Some(hash) = candidates.pop() {
            let Some(held) = self.held.get(&hash) else {
                continue;
            };
            if held.standing != Standing::Waiting {
                continue;
            }
            let change = Arc::clone(&held.change);
            match self.readiness(&change, &rules.limits) {
                Readiness::Ready => {
                    self.apply(&change);
                    for need in [Need::Change(hash), Need::Place(change.author, change.seq)] {
                        candidates.extend(self.waiting.remove(&need).unwrap_or_default());
                    }
                    outcomes.push(Outcome::Applied(change));
                }
                Readiness::Wait(need) => {
                    self.waiting.entry(need).or_default().push(hash);
                    candidates.extend(self.call_for(need));
                }
                Readiness::Refuse(refusal) => {
                    if let Some(held) = self.held.get_mut(&hash) {
                        held.standing = Standing::Refused;
                    }
                    self.room.release(change.author, change.memory());
                    outcomes.push(Outcome::Refused(change, refusal));
                }
            }
        }
    }

    /// Depends only on what is applied, and only in ways that later changes
    /// cannot turn: every refusal is final.
    fn readiness(&self, change: &Checked, limits: &Limits) -> Readiness {
        let mut before = 0;
        for dependency in &change.dependencies {
            let max_op = if *dependency == self.genesis {
                self.kind.genesis_ops()
            } else {
                match self.held.get(dependency) {
                    Some(held) if held.standing == Standing::Applied => held.change.max_op,
                    _ => return Readiness::Wait(Need::Change(*dependency)),
                }
            };
            before = before.max(max_op);
        }
        let tail = self.tails.get(&change.author).copied().unwrap_or_default();
        if change.seq != tail.seq + 1 {
            return Readiness::Wait(Need::Place(change.author, change.seq.saturating_sub(1)));
        }
        // An element that the change cannot have seen is refused, not waited for: all that
        // it can have seen is applied.
        let mut seen = BTreeSet::new();
        if tail.seq > 0 {
            seen.extend(self.places.get(&(change.author, tail.seq)).copied());
        }
        let mut is_lawful = true;
        for entry in &change.entries {
            let Some(after) = entry.after else { continue };
            let found = if after.author == change.author && after.counter >= change.start_op {
                change.entry(&after)
            } else {
                let found = self.entries.get(&after);
                seen.extend(found.map(|(from, _)| from.hash));
                found.and_then(|(from, place)| from.entries.get(*place))
            };
            is_lawful &= found.is_some_and(|found| found.section == entry.section);
        }
        if change.start_op != before + 1 {
            return Readiness::Refuse(ChangeRefusal::Counter);
        }
        if tail.bytes + change.bytes.len() > limits.page_author_bytes
            || tail.messages + change.messages() > limits.page_author_messages
            || tail.operations + change.operations() > limits.page_author_ops
        {
            return Readiness::Refuse(ChangeRefusal::Budget);
        }
        if !is_lawful {
            return Readiness::Refuse(ChangeRefusal::Rule);
        }
        if !self.has_in_past(change, seen) {
            return Readiness::Refuse(ChangeRefusal::Counter);
        }
        Readiness::Ready
    }

    /// Whether `change` has all these applied changes in its past. Operation counters rise
    /// along dependencies, which cuts the one walk short.
    fn has_in_past(&self, change: &Checked, mut ancestors: BTreeSet<ChangeHash>) -> bool {
        let max_op = |hash| self.held.get(hash).map(|held| held.change.max_op);
        let Some(bound) = ancestors.iter().filter_map(max_op).min() else {
            return ancestors.is_empty();
        };
        let mut seen = BTreeSet::new();
        let mut stack: Vec<&ChangeHash> = change.dependencies.iter().collect();
        while let Some(hash) = stack.pop() {
            if !seen.insert(hash) {
                continue;
            }
            ancestors.remove(hash);
            if ancestors.is_empty() {
                return true;
            }
            if let Some(held) = self.held.get(hash)
                && held.change.max_op > bound
            {
                stack.extend(&held.change.dependencies);
            }
        }
        false
    }

    fn apply(&mut self, change: &Arc<Checked>) {
        if let Some(held) = self.held.get_mut(&change.hash) {
            held.standing = Standing::Applied;
        }
        self.room.release(change.author, change.memory());
        for dependency in &change.dependencies {
            self.heads.remove(dependency);
        }
        self.heads.insert(change.hash);
        let tail = self.tails.entry(change.author).or_default();
        tail.seq = change.seq;
        tail.max_op = change.max_op;
        tail.bytes += change.bytes.len();
        tail.messages += change.messages();
        tail.operations += change.operations();
        for (place, entry) in change.entries.iter().enumerate() {
            self.lists
                .entry(entry.section)
                .or_default()
                .insert(entry.id, entry.after);
            self.entries.insert(entry.id, (Arc::clone(change), place));
        }
        self.max_op = self.max_op.max(change.max_op);
        self.bytes += change.bytes.len();
        self.applied += 1;
        self.messages += change.messages();
    }

    pub(crate) fn entry(&self, id: &OpId) -> Option<&Entry> {
        let (change, place) = self.entries.get(id)?;
        change.entries.get(*place)
    }

    /// The entries of one list that are shown, in its order.
    pub(crate) fn list(&self, section: Section) -> impl DoubleEndedIterator<Item = &Entry> {
        self.lists
            .get(&section)
            .map_or(&[][..], ListOrder::sequence)
            .iter()
            .filter(|id| !self.hidden.contains(&id.author))
            .filter_map(|id| self.entry(id))
    }

    /// Elements of one list; None if some of them are hidden, so that places say nothing.
    pub(crate) fn places(&self, section: Section) -> Option<&[OpId]> {
        let list = self
            .lists
            .get(&section)
            .map_or(&[][..], ListOrder::sequence);
        self.hidden.is_empty().then_some(list)
    }

    pub(crate) fn last_of(&self, section: Section) -> Option<OpId> {
        self.lists.get(&section)?.sequence().last().copied()
    }

    pub(crate) fn applied(&self) -> impl Iterator<Item = &Arc<Checked>> {
        self.held
            .values()
            .filter(|held| held.standing == Standing::Applied)
            .map(|held| &held.change)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Checked>> {
        self.held.values().map(|held| &held.change)
    }

    pub(crate) fn is_applied(&self, hash: &ChangeHash) -> bool {
        let held = self.held.get(hash);
        held.is_some_and(|held| held.standing == Standing::Applied)
    }

    pub(crate) fn hashes(&self) -> impl Iterator<Item = &ChangeHash> {
        self.held
            .iter()
            .filter(|(_, held)| held.standing == Standing::Applied)
            .map(|(hash, _)| hash)
    }

    pub(crate) const fn kind(&self) -> DocumentKind {
        self.kind
    }

    pub(crate) const fn heads(&self) -> &BTreeSet<ChangeHash> {
        &self.heads
    }

    pub(crate) fn tail(&self, author: &AuthorKey) -> AuthorTail {
        self.tails.get(author).copied().unwrap_or_default()
    }

    pub(crate) const fn max_op(&self) -> u64 {
        self.max_op
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn messages(&self) -> usize {
        self.messages
    }

    /// Whether the next page may begin: this one holds something, be it a change that
    /// waits. Otherwise who is blocked here could write nowhere.
    pub(crate) fn is_begun(&self) -> bool {
        !self.held.is_empty()
    }

    pub(crate) const fn applied_count(&self) -> usize {
        self.applied
    }
}
