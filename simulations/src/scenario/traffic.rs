//! Who writes what to whom, and when.

#![expect(clippy::float_arithmetic, reason = "`scale` is a factor")]

use std::collections::BTreeMap;

use khlong_crdt::time::Monotonic;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::build::{group, too_many};
use super::error::ScenarioError;
use super::spec::{Per, Scenario, TimelinesSpec, TrafficSpec};
use crate::kernel::HOUR;
use crate::kernel::seeds::Seeds;
use crate::mobility::Member;
use crate::plan::{Entity, PlannedMessage};

/// Messages of a plan: 24 bytes each, and one result for each reader.
pub const MESSAGES_MAX: usize = 4_000_000;
/// Timelines of a plan.
pub const TIMELINES_MAX: usize = 1_000_000;
/// Members of one timeline.
pub const MEMBERS_MAX: usize = 10_000;

type Members<'a> = BTreeMap<&'a str, Vec<Member>>;

/// Members of timelines, and messages in order.
pub(super) type Messages = (Vec<Vec<Entity>>, Vec<PlannedMessage>);

pub(super) fn messages(
    scenario: &Scenario,
    members: &Members<'_>,
    seeds: Seeds,
) -> Result<Messages, ScenarioError> {
    let mut book = Book::default();
    for spec in &scenario.traffic {
        let entry = Entry::new(scenario, spec, members, seeds, &mut book)?;
        match spec.per {
            Per::Network => {
                let mut random = seeds.stream("traffic", &spec.name);
                entry.write(scenario.scale, None, &mut random, &mut book)?;
            }
            Per::Writer => {
                for writer in entry.writers() {
                    let name = format!("{}/{}", spec.name, writer.name);
                    let mut random = seeds.stream("traffic", &name);
                    entry.write(1.0, Some(writer.entity), &mut random, &mut book)?;
                }
            }
        }
    }
    book.messages.sort_unstable();
    Ok((book.timelines, book.messages))
}

/// What was planned so far.
#[derive(Default)]
struct Book {
    timelines: Vec<Vec<Entity>>,
    /// Timelines of two, which come into being with their first message.
    of_two: BTreeMap<(Entity, Entity), u32>,
    messages: Vec<PlannedMessage>,
}

impl Book {
    fn open(&mut self, members: Vec<Entity>) -> Result<u32, ScenarioError> {
        if self.timelines.len() >= TIMELINES_MAX {
            return Err(too_many("timelines", TIMELINES_MAX));
        }
        self.timelines.push(members);
        Ok(u32::try_from(self.timelines.len() - 1).unwrap_or(u32::MAX))
    }

    fn of_two(&mut self, one: Entity, other: Entity) -> Result<u32, ScenarioError> {
        let pair = (one.min(other), one.max(other));
        if let Some(known) = self.of_two.get(&pair) {
            return Ok(*known);
        }
        let timeline = self.open(vec![pair.0, pair.1])?;
        self.of_two.insert(pair, timeline);
        Ok(timeline)
    }
}

enum Audience<'a> {
    Pairs {
        from: Vec<&'a Member>,
        to: Vec<&'a Member>,
    },
    /// Timeline and who writes there.
    Timelines(Vec<(u32, Vec<&'a Member>)>),
}

/// One `[[traffic]]`, checked.
struct Entry<'a> {
    spec: &'a TrafficSpec,
    audience: Audience<'a>,
    begin: u64,
    until: u64,
}

impl<'a> Entry<'a> {
    fn new(
        scenario: &Scenario,
        spec: &'a TrafficSpec,
        members: &'a Members<'_>,
        seeds: Seeds,
        book: &mut Book,
    ) -> Result<Self, ScenarioError> {
        let here = format!("traffic.{}", spec.name);
        spec.interval.check(&format!("{here}.interval"))?;
        spec.size.check(&format!("{here}.size"))?;
        if let Some([first, last]) = spec.hours
            && !(first < last && last <= 24)
        {
            return Err(ScenarioError::value(
                format!("{here}.hours"),
                "must be [first, last] with 0 ≤ first < last ≤ 24",
            ));
        }
        let audience = match (&spec.pairs, &spec.timelines) {
            (Some(pairs), None) => {
                let from = all(members, &pairs.from, &format!("{here}.pairs.from"))?;
                let to = all(members, &pairs.to, &format!("{here}.pairs.to"))?;
                let somebody_else =
                    |writer: &&Member| to.iter().any(|reader| reader.entity != writer.entity);
                if !from.iter().all(somebody_else) || from.is_empty() {
                    return Err(ScenarioError::value(
                        format!("{here}.pairs"),
                        "a writer has nobody else to write to: raise `count` or `scale`",
                    ));
                }
                Audience::Pairs { from, to }
            }
            (None, Some(timelines)) => Audience::Timelines(open_timelines(
                scenario, spec, timelines, members, seeds, book,
            )?),
            (Some(_), Some(_)) | (None, None) => {
                return Err(ScenarioError::value(
                    here,
                    "say either `pairs` or `timelines`",
                ));
            }
        };
        let until = spec.until.unwrap_or(scenario.duration);
        Ok(Self {
            spec,
            audience,
            begin: spec.begin.0,
            until: until.min(scenario.duration).0,
        })
    }

    fn writers(&self) -> Vec<&'a Member> {
        let mut writers = match &self.audience {
            Audience::Pairs { from, .. } => from.clone(),
            Audience::Timelines(timelines) => timelines
                .iter()
                .flat_map(|(_, writers)| writers.iter().copied())
                .collect(),
        };
        writers.sort_unstable_by_key(|writer| writer.entity);
        writers.dedup_by_key(|writer| writer.entity);
        writers
    }

    /// Messages of one process; `rate` divides its intervals.
    fn write(
        &self,
        rate: f64,
        writer: Option<Entity>,
        random: &mut ChaCha8Rng,
        book: &mut Book,
    ) -> Result<(), ScenarioError> {
        let own: Option<Vec<u32>> = match (&self.audience, writer) {
            (Audience::Timelines(timelines), Some(writer)) => Some(
                timelines
                    .iter()
                    .filter(|(_, writers)| writers.iter().any(|known| known.entity == writer))
                    .map(|(timeline, _)| *timeline)
                    .collect(),
            ),
            (Audience::Timelines(_) | Audience::Pairs { .. }, _) => None,
        };
        // In parts of a microsecond, or rounding would bend the rate of short intervals.
        let mut at = self.begin as f64;
        loop {
            at += (self.spec.interval.draw(random) as f64 / rate).max(0.01);
            if at >= self.until as f64 {
                return Ok(());
            }
            let bytes = self.spec.size.draw(random);
            let (from, timeline) = self.addressed(writer, own.as_deref(), random, book)?;
            let hour = at as u64 / HOUR % 24;
            if self
                .spec
                .hours
                .is_some_and(|[first, last]| !(u64::from(first)..u64::from(last)).contains(&hour))
            {
                continue;
            }
            if book.messages.len() >= MESSAGES_MAX {
                return Err(too_many("messages", MESSAGES_MAX));
            }
            book.messages.push(PlannedMessage {
                at: Monotonic(at as u64),
                from,
                timeline,
                bytes,
            });
        }
    }

    /// Who writes the next message, and where.
    fn addressed(
        &self,
        writer: Option<Entity>,
        own: Option<&[u32]>,
        random: &mut ChaCha8Rng,
        book: &mut Book,
    ) -> Result<(Entity, u32), ScenarioError> {
        match &self.audience {
            Audience::Pairs { from, to } => {
                let writer = writer.unwrap_or_else(|| pick(from, random).entity);
                loop {
                    let reader = pick(to, random).entity;
                    if reader != writer {
                        return Ok((writer, book.of_two(writer, reader)?));
                    }
                }
            }
            Audience::Timelines(timelines) => match (writer, own) {
                (Some(writer), Some(own)) => Ok((writer, *pick(own, random))),
                (Some(_) | None, _) => {
                    let (timeline, writers) = pick(timelines, random);
                    Ok((pick(writers, random).entity, *timeline))
                }
            },
        }
    }
}

/// One of several. Callers have checked that there are some.
fn pick<'a, T>(some: &'a [T], random: &mut ChaCha8Rng) -> &'a T {
    let place = random.random_range(0..some.len());
    #[expect(clippy::indexing_slicing, reason = "drawn below the length")]
    &some[place]
}

fn all<'a>(
    members: &'a Members<'_>,
    names: &[String],
    place: &str,
) -> Result<Vec<&'a Member>, ScenarioError> {
    let mut found = Vec::new();
    for name in names {
        found.extend(group(members, name, place)?);
    }
    found.sort_unstable_by_key(|member| member.entity);
    found.dedup_by_key(|member| member.entity);
    Ok(found)
}

fn open_timelines<'a>(
    scenario: &Scenario,
    spec: &TrafficSpec,
    timelines: &TimelinesSpec,
    members: &'a Members<'_>,
    seeds: Seeds,
    book: &mut Book,
) -> Result<Vec<(u32, Vec<&'a Member>)>, ScenarioError> {
    let here = format!("traffic.{}.timelines", spec.name);
    let candidates = all(members, &timelines.of, &format!("{here}.of"))?;
    let size = (timelines.members as usize).min(candidates.len());
    if size < 2 || timelines.members as usize > MEMBERS_MAX {
        return Err(ScenarioError::value(
            format!("{here}.members"),
            format!("a timeline needs 2 to {MEMBERS_MAX} members, and groups that have as many"),
        ));
    }
    if timelines.count == 0 || timelines.writers == Some(0) {
        return Err(ScenarioError::value(
            here,
            "`count` and `writers` must be above 0",
        ));
    }
    let count = (f64::from(timelines.count) * scenario.scale).ceil() as usize;
    let mut opened = Vec::new();
    for number in 1..=count {
        let mut random = seeds.stream("timeline", &format!("{}/{number}", spec.name));
        let mut chosen: Vec<&Member> =
            rand::seq::index::sample(&mut random, candidates.len(), size)
                .into_iter()
                .filter_map(|place| candidates.get(place).copied())
                .collect();
        let writers: Vec<&Member> = chosen
            .iter()
            .copied()
            .take(timelines.writers.map_or(size, |count| count as usize))
            .collect();
        chosen.sort_unstable_by_key(|member| member.entity);
        let timeline = book.open(chosen.iter().map(|member| member.entity).collect())?;
        opened.push((timeline, writers));
    }
    Ok(opened)
}
