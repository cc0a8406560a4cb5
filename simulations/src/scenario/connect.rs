//! Links between groups that do not depend on where machines are.

use std::collections::BTreeMap;

use khlong_crdt::time::Monotonic;
use rand::RngExt as _;

use super::build::{Links, group, too_many};
use super::error::ScenarioError;
use super::spec::{AvailabilitySpec, ConnectSpec, CutDirection, Pairs};
use crate::kernel::seeds::Seeds;
use crate::mobility::{CONTACTS_MAX, Member};
use crate::plan::{Contact, LinkIndex, OneWay, without};

/// Adds what `spec` asks for.
pub(super) fn connect(
    spec: &ConnectSpec,
    members: &BTreeMap<&str, Vec<Member>>,
    links: &mut Links<'_>,
    seeds: Seeds,
    end: Monotonic,
    contacts: &mut Vec<Contact>,
    one_way: &mut Vec<OneWay>,
) -> Result<(), ScenarioError> {
    let here = format!("connect.{}", spec.name);
    check(spec, &here)?;
    let from = group(members, &spec.from, &format!("{here}.from"))?;
    let to = group(members, &spec.to, &format!("{here}.to"))?;
    let forth = links.find(&spec.link, &format!("{here}.link"))?;
    let back = links.reversed(forth)?;
    let closed: Vec<(u64, u64)> = spec
        .cuts
        .iter()
        .filter(|cut| cut.direction == CutDirection::Both)
        .map(|cut| (cut.from.0, cut.until.0))
        .collect();
    for (place, one) in from.iter().enumerate() {
        let mut random = seeds.stream("connect share", &format!("{}/{}", spec.name, one.name));
        if !random.random_bool(spec.share) {
            continue;
        }
        let others = match spec.pairs {
            Pairs::All => to,
            Pairs::InTurn => {
                let turn = place % to.len().max(1);
                to.get(turn..=turn).unwrap_or(&[])
            }
        };
        for other in others {
            // Within one group each pair comes up twice, and everybody meets itself.
            let same_group = spec.from == spec.to;
            let again = same_group && spec.pairs == Pairs::All && other.entity < one.entity;
            if one.entity == other.entity || again {
                continue;
            }
            let pair = Pair {
                one,
                other,
                link: if one.entity < other.entity {
                    forth
                } else {
                    back
                },
            };
            pair.contacts(spec, seeds, end, &closed, contacts)?;
            pair.one_way(spec, one_way);
        }
    }
    Ok(())
}

fn check(spec: &ConnectSpec, here: &str) -> Result<(), ScenarioError> {
    if !(0.0..=1.0).contains(&spec.share) {
        return Err(ScenarioError::value(
            format!("{here}.share"),
            "must be 0 to 1",
        ));
    }
    if spec.cuts.iter().any(|cut| cut.from >= cut.until) {
        return Err(ScenarioError::value(
            format!("{here}.cuts"),
            "`from` must be before `until`",
        ));
    }
    if let Some(availability) = &spec.availability {
        availability.up.check(&format!("{here}.availability.up"))?;
        availability
            .down
            .check(&format!("{here}.availability.down"))?;
    }
    Ok(())
}

struct Pair<'a> {
    one: &'a Member,
    other: &'a Member,
    link: LinkIndex,
}

impl Pair<'_> {
    fn contacts(
        &self,
        spec: &ConnectSpec,
        seeds: Seeds,
        end: Monotonic,
        closed: &[(u64, u64)],
        contacts: &mut Vec<Contact>,
    ) -> Result<(), ScenarioError> {
        let up_times = match &spec.availability {
            None => vec![(0, end.0)],
            Some(availability) => {
                let name = format!("{}/{}/{}", spec.name, self.one.name, self.other.name);
                alternate(availability, seeds, &name, end)
            }
        };
        for interval in up_times {
            for (up, down) in without(interval, closed) {
                if contacts.len() >= CONTACTS_MAX {
                    return Err(too_many("contacts", CONTACTS_MAX));
                }
                contacts.push(Contact {
                    up: Monotonic(up),
                    down: Monotonic(down),
                    a: self.one.entity.min(self.other.entity),
                    b: self.one.entity.max(self.other.entity),
                    link: self.link,
                });
            }
        }
        Ok(())
    }

    fn one_way(&self, spec: &ConnectSpec, one_way: &mut Vec<OneWay>) {
        for cut in &spec.cuts {
            let (sender, receiver) = match cut.direction {
                CutDirection::Both => continue,
                CutDirection::Forth => (self.one, self.other),
                CutDirection::Back => (self.other, self.one),
            };
            one_way.push(OneWay {
                from: Monotonic(cut.from.0),
                until: Monotonic(cut.until.0),
                sender: sender.entity,
                receiver: receiver.entity,
            });
        }
    }
}

/// Up times until `end`. The first cycle begins before the run, at a random place of it.
fn alternate(
    availability: &AvailabilitySpec,
    seeds: Seeds,
    name: &str,
    end: Monotonic,
) -> Vec<(u64, u64)> {
    let mut random = seeds.stream("connect availability", name);
    let mut up_times = Vec::new();
    // Signed: the first cycle lies partly before the run.
    let cycle = |random: &mut _| (availability.up.draw(random), availability.down.draw(random));
    let (mut up_us, mut down_us) = cycle(&mut random);
    let passed = random.random_range(0..=up_us + down_us);
    let mut at = 0_i128 - i128::from(passed);
    while at < i128::from(end.0) {
        let down_at = at + i128::from(up_us);
        let from = u64::try_from(at.max(0)).unwrap_or(u64::MAX);
        let until = u64::try_from(down_at.max(0)).unwrap_or(u64::MAX).min(end.0);
        if from < until {
            up_times.push((from, until));
        }
        at = down_at + i128::from(down_us.max(1));
        (up_us, down_us) = cycle(&mut random);
    }
    up_times
}
