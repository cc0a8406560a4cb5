//! What belongs together, and what is left.
//!
//! Within each reference and direction, in this order: the same amount on the same day; the same amount on
//! another day; several that come to one; repetitions; one satang off; another amount. What no reference
//! brought together is paired by day, direction and amount if that is the only pair. Every line and every
//! entry comes out exactly once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::bank_file::{BankLine, Flow};
use super::ours::{OurEntry, reference_key};

/// How the two sides differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// In the ledger, not at the bank.
    Missing,
    /// At the bank, not in the ledger.
    Extra,
    /// The bank has it once more.
    Duplicate,
    /// Several lines of the bank come to one entry.
    Split,
    /// One line of the bank comes to several entries.
    Merged,
    /// The amounts are one satang apart.
    OneSatang,
    /// The amounts differ.
    Amount,
    /// The same, on another day.
    Day,
    /// The same day, direction and amount, under other references.
    Reference,
}

impl DifferenceKind {
    /// For machines; `DOMAINS.md` numbers them.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Duplicate => "duplicate",
            Self::Split => "split",
            Self::Merged => "merged",
            Self::OneSatang => "one_satang",
            Self::Amount => "amount",
            Self::Day => "day",
            Self::Reference => "reference",
        }
    }

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Missing => 1,
            Self::Extra => 2,
            Self::Duplicate => 3,
            Self::Split => 4,
            Self::Merged => 5,
            Self::OneSatang => 6,
            Self::Amount => 7,
            Self::Day => 8,
            Self::Reference => 9,
        }
    }
}

/// One difference: places in the lists that were compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which kind.
    pub kind: DifferenceKind,
    /// Our entries.
    pub ours: Vec<usize>,
    /// The bank's lines.
    pub bank: Vec<usize>,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Compared {
    /// Pairs without a difference: (ours, bank).
    pub(super) matched: Vec<(usize, usize)>,
    /// By kind, then by place.
    pub(super) differences: Vec<Difference>,
}

/// What stands under one reference and goes one way.
#[derive(Default)]
struct Group {
    ours: Vec<usize>,
    bank: Vec<usize>,
}

pub(super) fn compare(ours: &[OurEntry], bank: &[BankLine]) -> Compared {
    let mut comparison = Comparison {
        ours,
        bank,
        result: Compared::default(),
        alone: Group::default(),
    };
    for group in groups(ours, bank) {
        comparison.group(group);
    }
    comparison.pair_by_amount();
    let mut result = comparison.result;
    result
        .differences
        .sort_by(|one, other| order(one).cmp(&order(other)));
    result.matched.sort_unstable();
    result
}

fn order(difference: &Difference) -> (DifferenceKind, &[usize], &[usize]) {
    (difference.kind, &difference.ours, &difference.bank)
}

/// Both sides by reference and direction; a line without a reference is a group of its own.
fn groups(ours: &[OurEntry], bank: &[BankLine]) -> Vec<Group> {
    let mut keys: BTreeMap<u128, u128> = BTreeMap::new();
    let mut groups: BTreeMap<(u128, Flow), Group> = BTreeMap::new();
    for (at, entry) in ours.iter().enumerate() {
        let names = [entry.reference, entry.pending_id, entry.id];
        let key = names.into_iter().find(|name| *name != 0).unwrap_or(0);
        for name in [entry.pending_id, entry.id] {
            keys.insert(name, key);
        }
        groups.entry((key, entry.flow)).or_default().ours.push(at);
    }
    let mut alone = Vec::new();
    for (at, line) in bank.iter().enumerate() {
        if line.reference.is_empty() {
            alone.push(Group {
                ours: Vec::new(),
                bank: vec![at],
            });
            continue;
        }
        let key = match transfer_id(&line.reference) {
            Some(id) => keys.get(&id).copied().unwrap_or(id),
            None => reference_key(&line.reference),
        };
        groups.entry((key, line.flow)).or_default().bank.push(at);
    }
    groups.into_values().chain(alone).collect()
}

/// A reference of 32 hexadecimal digits is a transfer's id; 0 is nobody's.
fn transfer_id(reference: &str) -> Option<u128> {
    let is_hex = reference.len() == 32 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = is_hex
        .then(|| u128::from_str_radix(reference, 16).ok())
        .flatten();
    id.filter(|id| *id != 0)
}

struct Comparison<'c> {
    ours: &'c [OurEntry],
    bank: &'c [BankLine],
    result: Compared,
    /// What has nothing under its reference.
    alone: Group,
}

impl Comparison<'_> {
    fn group(&mut self, mut group: Group) {
        let paired = self.pair(&mut group, |(day, amount)| (day, amount));
        let moved = self.pair(&mut group, |(_, amount)| amount);
        // Amounts that have found their pair: what is left of them at the bank is a repetition.
        let mut settled = BTreeSet::new();
        for (ours, bank) in &paired {
            self.result.matched.push((*ours, *bank));
            settled.insert(self.our_amount(*ours));
        }
        for (ours, bank) in &moved {
            self.differ(DifferenceKind::Day, vec![*ours], vec![*bank]);
            settled.insert(self.our_amount(*ours));
        }
        if self.sums(&mut group) {
            return;
        }
        let (again, rest): (Vec<usize>, Vec<usize>) = group
            .bank
            .into_iter()
            .partition(|at| settled.contains(&self.bank_amount(*at)));
        group.bank = rest;
        for at in again {
            self.differ(DifferenceKind::Duplicate, Vec::new(), vec![at]);
        }
        if self.sums(&mut group) {
            return;
        }
        self.one_satang(&mut group);
        if let (&[ours], &[bank]) = (group.ours.as_slice(), group.bank.as_slice()) {
            self.differ(DifferenceKind::Amount, vec![ours], vec![bank]);
            return;
        }
        self.alone.ours.append(&mut group.ours);
        self.alone.bank.append(&mut group.bank);
    }

    /// Takes the pairs out of the group that `key` makes of day and amount, the earlier ones first.
    fn pair<K: Ord>(
        &self,
        group: &mut Group,
        key: impl Fn((super::Day, u128)) -> K,
    ) -> Vec<(usize, usize)> {
        let mut waiting: BTreeMap<K, VecDeque<usize>> = BTreeMap::new();
        for at in &group.ours {
            if let Some(entry) = self.ours.get(*at) {
                let key = key((entry.day, entry.amount));
                waiting.entry(key).or_default().push_back(*at);
            }
        }
        let mut pairs = Vec::new();
        group.bank.retain(|at| {
            let Some(line) = self.bank.get(*at) else {
                return false;
            };
            let key = key((line.day, self.bank_amount(*at)));
            match waiting.get_mut(&key).and_then(VecDeque::pop_front) {
                Some(ours) => {
                    pairs.push((ours, *at));
                    false
                }
                None => true,
            }
        });
        let left: Vec<usize> = waiting.into_values().flatten().collect();
        group.ours = left;
        group.ours.sort_unstable();
        pairs
    }

    /// Several that come to one, in either direction: all that is left of the group, or nothing.
    fn sums(&mut self, group: &mut Group) -> bool {
        let ours: u128 = self.sum(&group.ours, Self::our_amount);
        let bank: u128 = self.sum(&group.bank, Self::bank_amount);
        let kind = match (group.ours.len(), group.bank.len()) {
            (1, 2..) => DifferenceKind::Split,
            (2.., 1) => DifferenceKind::Merged,
            _ => return false,
        };
        if ours != bank {
            return false;
        }
        let (ours, bank) = (
            std::mem::take(&mut group.ours),
            std::mem::take(&mut group.bank),
        );
        self.differ(kind, ours, bank);
        true
    }

    /// Pairs that are one satang apart.
    fn one_satang(&mut self, group: &mut Group) {
        for is_more in [true, false] {
            let mut waiting: BTreeMap<u128, VecDeque<usize>> = BTreeMap::new();
            for at in &group.ours {
                let amount = self.our_amount(*at);
                let near = if is_more {
                    amount.checked_add(1)
                } else {
                    amount.checked_sub(1)
                };
                if let Some(near) = near {
                    waiting.entry(near).or_default().push_back(*at);
                }
            }
            let mut pairs = Vec::new();
            group.bank.retain(|at| {
                let found = waiting
                    .get_mut(&self.bank_amount(*at))
                    .and_then(VecDeque::pop_front);
                pairs.extend(found.map(|ours| (ours, *at)));
                found.is_none()
            });
            let paired: BTreeSet<usize> = pairs.iter().map(|(ours, _)| *ours).collect();
            group.ours.retain(|at| !paired.contains(at));
            for (ours, bank) in pairs {
                self.differ(DifferenceKind::OneSatang, vec![ours], vec![bank]);
            }
        }
    }

    /// What has nothing under its reference, by day, direction and amount; then what is left.
    fn pair_by_amount(&mut self) {
        type Key = (super::Day, Flow, u128);
        let mut pairs: BTreeMap<Key, Group> = BTreeMap::new();
        let alone = std::mem::take(&mut self.alone);
        for at in alone.ours {
            if let Some(entry) = self.ours.get(at) {
                let key = (entry.day, entry.flow, entry.amount);
                pairs.entry(key).or_default().ours.push(at);
            }
        }
        for at in alone.bank {
            if let Some(line) = self.bank.get(at) {
                let key = (line.day, line.flow, self.bank_amount(at));
                pairs.entry(key).or_default().bank.push(at);
            }
        }
        for group in pairs.into_values() {
            if let (&[ours], &[bank]) = (group.ours.as_slice(), group.bank.as_slice()) {
                self.differ(DifferenceKind::Reference, vec![ours], vec![bank]);
                continue;
            }
            for at in group.ours {
                self.differ(DifferenceKind::Missing, vec![at], Vec::new());
            }
            for at in group.bank {
                self.differ(DifferenceKind::Extra, Vec::new(), vec![at]);
            }
        }
    }

    fn differ(&mut self, kind: DifferenceKind, ours: Vec<usize>, bank: Vec<usize>) {
        self.result
            .differences
            .push(Difference { kind, ours, bank });
    }

    fn our_amount(&self, at: usize) -> u128 {
        self.ours.get(at).map_or(0, |entry| entry.amount)
    }

    fn bank_amount(&self, at: usize) -> u128 {
        let satang = self.bank.get(at).map_or(0, |line| line.amount.0);
        u128::from(satang.unsigned_abs())
    }

    fn sum(&self, places: &[usize], amount: fn(&Self, usize) -> u128) -> u128 {
        places
            .iter()
            .fold(0, |sum: u128, at| sum.saturating_add(amount(self, *at)))
    }
}
