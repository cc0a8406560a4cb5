//! Each author's envelopes follow each other; a second one at a place is kept as evidence,
//! and whoever keeps it has said so.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, EnvelopeId, Seq, TimelineId};
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::tables::timelines;

use super::{ARRIVALS_A_READ, Findings};
use crate::plan::Entity;

const LINKS: &str = "chains";
const FORKS: &str = "forks";

/// Forks as devices told them.
#[derive(Debug, Default)]
pub struct Forks {
    told: BTreeSet<(Entity, TimelineId)>,
    /// What they were about to tell when their power went, nobody heard.
    interrupted: BTreeSet<Entity>,
}

impl Forks {
    /// A device told of a fork.
    pub fn told(&mut self, who: Entity, timeline: TimelineId) {
        self.told.insert((who, timeline));
    }

    /// A device lost its power, or its core.
    pub fn interrupted(&mut self, who: Entity) {
        self.interrupted.insert(who);
    }

    /// Every fork on a device's disk was told.
    pub fn check(&self, who: Entity, rows: &dyn Rows, findings: &mut Findings) {
        if self.interrupted.contains(&who) {
            return;
        }
        let Some(timelines) = findings.read(forked(rows)) else {
            return;
        };
        for timeline in timelines {
            if !self.told.contains(&(who, timeline)) {
                findings.violated(
                    FORKS,
                    format_args!(
                        "machine {} merged two envelopes of one place in {timeline} and told nobody",
                        who.0
                    ),
                );
            }
        }
    }
}

fn forked(rows: &dyn Rows) -> Result<BTreeSet<TimelineId>, StoreError> {
    let mut found = BTreeSet::new();
    for timeline in timelines::timelines(rows)? {
        for height in timelines::heights(rows, &timeline)? {
            for seq in 1..=height.highest.0 {
                let ids = timelines::author_ids(rows, &timeline, &height.author, Seq(seq))?;
                if matches!(ids, Some((_, Some(_)))) {
                    found.insert(timeline);
                }
            }
        }
    }
    Ok(found)
}

/// The links of all chains on a machine, and that each envelope of its logs has its place
/// in one. With copied devices (`copied`) the first envelope of a fork may still be under way.
pub fn check_links(who: Entity, rows: &dyn Rows, copied: bool, findings: &mut Findings) {
    let mut bad = Vec::new();
    let walked = walk(rows, copied, &mut bad);
    findings.read(walked);
    for what in bad {
        findings.violated(LINKS, format_args!("machine {}: {what}", who.0));
    }
    let mut merged = Vec::new();
    let compared = compare_with_logs(rows, &mut merged);
    findings.read(compared);
    for what in merged {
        findings.violated(FORKS, format_args!("machine {}: {what}", who.0));
    }
}

fn walk(rows: &dyn Rows, copied: bool, bad: &mut Vec<String>) -> Result<(), StoreError> {
    for timeline in timelines::timelines(rows)? {
        for height in timelines::heights(rows, &timeline)? {
            let mut before: Option<[Option<EnvelopeId>; 2]> = None;
            for seq in 1..=height.highest.0 {
                let Some((first, second)) =
                    timelines::author_ids(rows, &timeline, &height.author, Seq(seq))?
                else {
                    before = None;
                    continue;
                };
                if Some(first) == second {
                    bad.push(format!("{first} is kept as evidence against itself"));
                }
                for id in [Some(first), second].into_iter().flatten() {
                    let before = before.filter(|[_, second]| second.is_some() || !copied);
                    let place = (timeline, height.author, Seq(seq));
                    check_link(rows, place, id, before, bad)?;
                }
                before = Some([Some(first), second]);
            }
        }
    }
    Ok(())
}

fn check_link(
    rows: &dyn Rows,
    place: (TimelineId, AuthorKey, Seq),
    id: EnvelopeId,
    before: Option<[Option<EnvelopeId>; 2]>,
    bad: &mut Vec<String>,
) -> Result<(), StoreError> {
    let Some(stored) = timelines::get(rows, &id)? else {
        bad.push(format!("{id} stands in a chain and is not stored"));
        return Ok(());
    };
    let prefix = stored.envelope.prefix();
    if (prefix.timeline, prefix.author, prefix.seq) != place {
        bad.push(format!("{id} stands at a place that is not its own"));
    }
    if before.is_some_and(|before| !before.contains(&Some(prefix.prev))) {
        bad.push(format!("{id} does not follow what stands before it"));
    }
    Ok(())
}

/// What the arrival logs hold, and what the chains hold, are the same envelopes.
fn compare_with_logs(rows: &dyn Rows, merged: &mut Vec<String>) -> Result<(), StoreError> {
    let mut places: BTreeMap<(TimelineId, AuthorKey, Seq), BTreeSet<EnvelopeId>> = BTreeMap::new();
    for class in Class::ALL {
        let mut after = ArrivalSeq(0);
        loop {
            let page = timelines::arrivals(rows, class, after, ARRIVALS_A_READ)?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, place) in page {
                let (timeline, id) = place?;
                if let Some(stored) = timelines::get(rows, &id)? {
                    let (author, seq) = (stored.envelope.author(), stored.envelope.seq());
                    places
                        .entry((timeline, author, seq))
                        .or_default()
                        .insert(id);
                }
            }
        }
    }
    for ((timeline, author, seq), ids) in places {
        let kept = timelines::author_ids(rows, &timeline, &author, seq)?;
        let kept: BTreeSet<EnvelopeId> = kept
            .into_iter()
            .flat_map(|(first, second)| std::iter::once(first).chain(second))
            .collect();
        if kept != ids {
            merged.push(format!(
                "of the {} envelopes at place {} of {author} the chain keeps {}",
                ids.len(),
                seq.0,
                kept.len()
            ));
        }
    }
    Ok(())
}
