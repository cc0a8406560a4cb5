//! From a scenario and a seed to a plan.

#![expect(clippy::float_arithmetic, reason = "`scale` is a factor")]

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::time::Monotonic;

use super::error::ScenarioError;
use super::spec::{GroupSpec, RoleSpec, Scenario};
use super::{connect, traffic};
use crate::error::SimError;
use crate::kernel::seeds::Seeds;
use crate::links::{LinkSpec, PipeSpec};
use crate::mobility::spec::MobilitySpec;
use crate::mobility::{self, END_MAX, Group, Member};
use crate::plan::{Contact, Entity, EntitySpec, LinkIndex, Outage, Plan};
use crate::units::Span;

/// Machines of a plan.
pub const ENTITIES_MAX: usize = 100_000;
/// Replications of a scenario.
pub const REPLICATIONS_MAX: u32 = 1_000;
/// Greatest `scale`.
pub const SCALE_MAX: f64 = 10.0;

impl Scenario {
    /// The plan of one run. Positions are sampled every `positions_every`; zero = none.
    ///
    /// # Errors
    /// [`SimError::Scenario`] if a value is out of its bounds or names nothing,
    /// [`SimError::Mobility`] if a model or its file is wrong.
    pub fn plan(&self, seeds: Seeds, positions_every: Span) -> Result<Plan, SimError> {
        self.check()?;
        let mut links = Links::new(&self.link)?;
        let mut entities = Vec::new();
        let mut groups = Vec::new();
        let mut members = BTreeMap::new();
        for (place, (name, spec)) in self.group.iter().enumerate() {
            let first = entities.len();
            let count = spec.scaled(self.scale);
            if first + count > ENTITIES_MAX {
                return Err(too_many("machines", ENTITIES_MAX).into());
            }
            for number in 1..=count {
                entities.push(EntitySpec {
                    name: format!("{name}-{number}"),
                    role: spec.role.into(),
                    group: u16::try_from(place).unwrap_or(u16::MAX),
                });
            }
            let of_group: Vec<Member> = (first..entities.len())
                .zip(entities.iter().skip(first))
                .map(|(place, entity)| Member {
                    entity: Entity(u32::try_from(place).unwrap_or(u32::MAX)),
                    name: entity.name.clone(),
                })
                .collect();
            groups.push(spec.placed(name, of_group.clone(), &links)?);
            members.insert(name.as_str(), of_group);
        }
        let end = Monotonic(self.duration.0);
        let (mut contacts, positions) =
            mobility::contacts(&groups, seeds, end, positions_every).map_err(SimError::Mobility)?;
        let mut one_way = Vec::new();
        for spec in &self.connect {
            connect::connect(
                spec,
                &members,
                &mut links,
                seeds,
                end,
                &mut contacts,
                &mut one_way,
            )?;
        }
        contacts.sort_unstable();
        one_way.sort_unstable();
        if !self.connect.is_empty() {
            refuse_double(&contacts, &entities)?;
        }
        let (timelines, messages) = traffic::messages(self, &members, seeds)?;
        Ok(Plan {
            entities,
            links: links.links,
            contacts,
            timelines,
            carriers: Vec::new(),
            messages,
            outages: self.outages(&members)?,
            one_way,
            positions,
            warm_up: Monotonic(self.warm_up.0),
            end,
        })
    }

    /// What can be said without building anything.
    fn check(&self) -> Result<(), ScenarioError> {
        let problems = [
            (
                !(self.scale > 0.0 && self.scale <= SCALE_MAX),
                "scale",
                format!("must be above 0, at most {SCALE_MAX}"),
            ),
            (
                !(1..=END_MAX.0).contains(&self.duration.0),
                "duration",
                format!("must be above 0, at most {}", Span(END_MAX.0)),
            ),
            (
                self.warm_up >= self.duration,
                "warm_up",
                "must be shorter than `duration`: no message would count".to_owned(),
            ),
            (
                !(1..=REPLICATIONS_MAX).contains(&self.replications),
                "replications",
                format!("must be 1 to {REPLICATIONS_MAX}"),
            ),
            (
                self.group.is_empty() || self.group.len() > usize::from(u16::MAX),
                "group",
                "there must be at least one group, at most 65,535".to_owned(),
            ),
            (
                self.routing.protocols.is_empty(),
                "routing.protocols",
                "name at least one protocol".to_owned(),
            ),
        ];
        for (wrong, place, problem) in problems {
            if wrong {
                return Err(ScenarioError::value(place, problem));
            }
        }
        let names = |kind: &'static str, names: Vec<&String>| {
            let mut seen = BTreeSet::new();
            match names.into_iter().find(|name| !seen.insert(*name)) {
                Some(name) => Err(ScenarioError::value(
                    kind,
                    format!("two are named `{name}`: names must differ"),
                )),
                None => Ok(()),
            }
        };
        names(
            "connect",
            self.connect.iter().map(|spec| &spec.name).collect(),
        )?;
        names(
            "traffic",
            self.traffic.iter().map(|spec| &spec.name).collect(),
        )?;
        let prophet = &self.routing.prophet;
        let shares = [
            prophet.encounter_max,
            prophet.encounter_first,
            prophet.first_threshold,
            prophet.beta,
            prophet.gamma,
            prophet.delta,
        ];
        if !shares.iter().all(|share| (0.0..=1.0).contains(share))
            || prophet.typical_interval.0 == 0
            || prophet.time_unit.0 == 0
        {
            return Err(ScenarioError::value(
                "routing.prophet",
                "numbers must be 0 to 1, times above 0",
            ));
        }
        Ok(())
    }

    fn outages(&self, members: &BTreeMap<&str, Vec<Member>>) -> Result<Vec<Outage>, ScenarioError> {
        let mut outages = Vec::new();
        for (place, spec) in self.outage.iter().enumerate() {
            let here = format!("outage.{place}");
            let of_group = group(members, &spec.group, &here)?;
            if spec.from >= spec.until {
                return Err(ScenarioError::value(here, "`from` must be before `until`"));
            }
            let chosen = match spec.member {
                None => of_group,
                Some(number) => of_group
                    .get(number.saturating_sub(1) as usize..number as usize)
                    .filter(|chosen| !chosen.is_empty())
                    .ok_or_else(|| {
                        ScenarioError::value(
                            format!("{here}.member"),
                            format!("`{}` has members 1 to {}", spec.group, of_group.len()),
                        )
                    })?,
            };
            outages.extend(chosen.iter().map(|member| Outage {
                from: Monotonic(spec.from.0),
                until: Monotonic(spec.until.0),
                who: member.entity,
            }));
        }
        outages.sort_unstable();
        Ok(outages)
    }
}

impl GroupSpec {
    /// The count after scaling: at least 1 if it was.
    #[must_use]
    pub fn scaled(&self, scale: f64) -> usize {
        if !self.scales || self.role == RoleSpec::Relay {
            return self.count as usize;
        }
        (f64::from(self.count) * scale).ceil() as usize
    }

    fn placed(
        &self,
        name: &str,
        members: Vec<Member>,
        links: &Links<'_>,
    ) -> Result<Group, ScenarioError> {
        let here = format!("group.{name}.radio");
        let meets = matches!(
            self.mobility,
            MobilitySpec::Timetable { .. }
                | MobilitySpec::Trace { .. }
                | MobilitySpec::Exponential { .. }
        );
        let (range_m, link) = match &self.radio {
            Some(radio) => (radio.range_m, links.find(&radio.link, &here)?),
            None if meets => {
                return Err(ScenarioError::value(
                    here,
                    "machines that meet need a radio: say which `link` a meeting is",
                ));
            }
            None => (0.0, LinkIndex(0)),
        };
        Ok(Group {
            name: name.to_owned(),
            members,
            mobility: self.mobility.clone(),
            range_m,
            link,
        })
    }
}

/// Members of a group by its name.
pub(super) fn group<'a>(
    members: &'a BTreeMap<&str, Vec<Member>>,
    name: &str,
    place: &str,
) -> Result<&'a [Member], ScenarioError> {
    members
        .get(name)
        .map(Vec::as_slice)
        .ok_or_else(|| ScenarioError::unknown(place, "group", name, members.keys().copied()))
}

pub(super) const fn too_many(what: &'static str, max: usize) -> ScenarioError {
    ScenarioError::TooMany { what, max }
}

/// The plan's links, and where each name went.
pub(super) struct Links<'a> {
    pub(super) links: Vec<LinkSpec>,
    names: BTreeMap<&'a str, LinkIndex>,
    reversed: BTreeMap<LinkIndex, LinkIndex>,
}

impl<'a> Links<'a> {
    fn new(specs: &'a BTreeMap<String, LinkSpec>) -> Result<Self, ScenarioError> {
        let mut links = Self {
            links: Vec::new(),
            names: BTreeMap::new(),
            reversed: BTreeMap::new(),
        };
        for (name, spec) in specs {
            let sound = |pipe: &PipeSpec| pipe.rate.0 > 0 && (0.0..1.0).contains(&pipe.loss);
            if !sound(&spec.forth) || !spec.back.as_ref().is_none_or(sound) {
                return Err(ScenarioError::value(
                    format!("link.{name}"),
                    "`rate` must be above 0, `loss` at least 0 and below 1",
                ));
            }
            let index = links.push(*spec)?;
            links.names.insert(name, index);
        }
        Ok(links)
    }

    fn push(&mut self, spec: LinkSpec) -> Result<LinkIndex, ScenarioError> {
        let index = u16::try_from(self.links.len())
            .map_err(|_| too_many("links", usize::from(u16::MAX)))?;
        self.links.push(spec);
        Ok(LinkIndex(index))
    }

    pub(super) fn find(&self, name: &str, place: &str) -> Result<LinkIndex, ScenarioError> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| ScenarioError::unknown(place, "link", name, self.names.keys().copied()))
    }

    /// The same link seen from its other end; a plan's contact begins at its lower machine.
    pub(super) fn reversed(&mut self, link: LinkIndex) -> Result<LinkIndex, ScenarioError> {
        if let Some(known) = self.reversed.get(&link) {
            return Ok(*known);
        }
        let spec = self.links.get(usize::from(link.0)).copied();
        let reversed = match spec {
            Some(LinkSpec {
                forth,
                back: Some(back),
                handshake_round_trips,
                discovery,
                channel,
            }) => self.push(LinkSpec {
                forth: back,
                back: Some(forth),
                handshake_round_trips,
                discovery,
                channel,
            })?,
            Some(LinkSpec { back: None, .. }) | None => link,
        };
        self.reversed.insert(link, reversed);
        Ok(reversed)
    }
}

/// Two contacts of one pair at one time would be two ways between them: nothing here can use both.
fn refuse_double(contacts: &[Contact], entities: &[EntitySpec]) -> Result<(), ScenarioError> {
    let mut last: BTreeMap<(Entity, Entity), Monotonic> = BTreeMap::new();
    for contact in contacts {
        let before = last.insert((contact.a, contact.b), contact.down);
        if before.is_some_and(|down| contact.up < down) {
            let name = |entity: Entity| {
                entities
                    .get(entity.0 as usize)
                    .map_or("?", |entity| entity.name.as_str())
            };
            return Err(ScenarioError::value(
                "connect",
                format!(
                    "`{}` and `{}` are in contact twice at {}: let one radio or `connect` join them",
                    name(contact.a),
                    name(contact.b),
                    Span(contact.up.0)
                ),
            ));
        }
    }
    Ok(())
}
