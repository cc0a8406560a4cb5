//! One document: a grow-only set of changes of which a part is applied.
//!
//! A change is applied once its dependencies, its author's previous change and
//! the elements it stands behind are. What is applied is therefore a function of
//! the set of changes alone: order, duplicates and batches do not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::ChangeHash;
use khlong_crdt::id::{AuthorKey, EpochId};

use super::entry::{ChangeRefusal, Checked, Entry, OpId, Section};
use super::genesis::DocumentKind;
use super::limits::{Limits, PAGE_WAITING_BYTES_MAX, PAGE_WAITING_CHANGES_MAX};
use super::order::ListOrder;

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
    waiting_bytes: usize,
    waiting_count: usize,
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
        let genesis = super::canonical::genesis_hash(kind);
        Self {
            kind,
            genesis,
            held: BTreeMap::new(),
            places: BTreeMap::new(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            waiting_count: 0,
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
        let mut ready = Vec::new();
        for change in changes {
            if self.held.contains_key(&change.hash) {
                continue;
            }
            if let Some(occupant) = self.places.get(&(change.author, change.seq)).copied() {
                if occupant < change.hash {
                    outcomes.push(Outcome::Refused(change, ChangeRefusal::Superseded));
                    continue;
                }
                self.settle_ready(std::mem::take(&mut ready), rules, &mut outcomes);
                let author = change.author;
                self.evict(occupant, rules);
                outcomes.push(Outcome::Rebuilt { author });
            }
            if self.waiting_count == PAGE_WAITING_CHANGES_MAX
                || self.waiting_bytes + change.bytes.len() > PAGE_WAITING_BYTES_MAX
            {
                // What is ready needs no place among the waiting.
                self.settle_ready(std::mem::take(&mut ready), rules, &mut outcomes);
                if self.is_unneeded(&change, rules)
                    || !matches!(self.readiness(&change, &rules.limits), Readiness::Ready)
                {
                    outcomes.push(Outcome::Refused(change, ChangeRefusal::Full));
                    continue;
                }
            }
            ready.push(self.hold(change, rules));
        }
        self.settle_ready(ready, rules, &mut outcomes);
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
        self.waiting_count += 1;
        self.waiting_bytes += change.bytes.len();
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
        let previous = self
            .places
            .get(&(change.author, tail.seq))
            .filter(|_| tail.seq > 0);
        if change.start_op != before + 1
            || previous.is_some_and(|previous| !self.descends(change, previous))
        {
            return Readiness::Refuse(ChangeRefusal::Counter);
        }
        if tail.bytes + change.bytes.len() > limits.page_author_bytes
            || tail.messages + change.messages() > limits.page_author_messages
        {
            return Readiness::Refuse(ChangeRefusal::Budget);
        }
        for entry in &change.entries {
            let Some(after) = entry.after else { continue };
            if after.author == change.author && after.counter >= change.start_op {
                if !change
                    .entries
                    .iter()
                    .any(|own| own.id == after && own.section == entry.section)
                {
                    return Readiness::Refuse(ChangeRefusal::Rule);
                }
                continue;
            }
            // An element that the change cannot have seen is refused, not waited
            // for: all that it can have seen is applied.
            let seen = self.entries.get(&after).is_some_and(|(from, place)| {
                from.entries
                    .get(*place)
                    .is_some_and(|found| found.section == entry.section)
                    && self.descends(change, &from.hash)
            });
            if !seen {
                return Readiness::Refuse(ChangeRefusal::Rule);
            }
        }
        Readiness::Ready
    }

    /// Whether `change` has the applied change `ancestor` in its past. Operation
    /// counters rise along dependencies, which cuts the search short.
    fn descends(&self, change: &Checked, ancestor: &ChangeHash) -> bool {
        let Some(bound) = self.held.get(ancestor).map(|held| held.change.max_op) else {
            return false;
        };
        let mut seen = BTreeSet::new();
        let mut stack: Vec<&ChangeHash> = change.dependencies.iter().collect();
        while let Some(hash) = stack.pop() {
            if hash == ancestor {
                return true;
            }
            if let Some(held) = self.held.get(hash)
                && held.change.max_op > bound
                && seen.insert(hash)
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
        self.waiting_count -= 1;
        self.waiting_bytes -= change.bytes.len();
        for dependency in &change.dependencies {
            self.heads.remove(dependency);
        }
        self.heads.insert(change.hash);
        let tail = self.tails.entry(change.author).or_default();
        tail.seq = change.seq;
        tail.max_op = change.max_op;
        tail.bytes += change.bytes.len();
        tail.messages += change.messages();
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

    /// Takes a change out of its place. Automerge cannot un-apply, so the rest
    /// is merged anew; what depended on it waits, and waits for ever.
    fn evict(&mut self, occupant: ChangeHash, rules: &Rules) {
        let old = std::mem::replace(self, Self::new(self.kind));
        let rest = old
            .held
            .into_values()
            .map(|held| held.change)
            .filter(|change| change.hash != occupant);
        let mut ready: Vec<_> = Vec::new();
        for change in rest {
            ready.push(self.hold(change, rules));
        }
        self.settle_ready(ready, rules, &mut Vec::new());
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

    /// Whether the next page may begin: this one holds something, be it hidden.
    pub(crate) fn is_begun(&self) -> bool {
        self.applied > 0 || !self.hidden.is_empty()
    }

    pub(crate) const fn applied_count(&self) -> usize {
        self.applied
    }
}
