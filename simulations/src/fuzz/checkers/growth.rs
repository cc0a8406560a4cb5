//! Id rows only grow: no arrival that was ever seen on a disk goes, moves or comes twice.
//!
//! What a running core shows is committed, and commits are synced; so whatever was seen
//! once must be there after every crash too, promised to somebody or not.

use std::collections::BTreeMap;

use khlong_crdt::class::{Class, RunningHash};
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, Seq, TimelineId};
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::tables::timelines;

use super::{ARRIVALS_A_READ, Findings};
use crate::plan::Entity;

const NAME: &str = "id rows only grow";

/// The log of one class on one machine, as it was seen last.
#[derive(Debug, Default)]
struct Log {
    /// Arrival n stands at place n − 1.
    entries: Vec<(TimelineId, EnvelopeId)>,
    arrivals: BTreeMap<EnvelopeId, ArrivalSeq>,
    hash: RunningHash,
}

/// The logs of all machines.
#[derive(Debug, Default)]
pub struct Growth {
    logs: BTreeMap<(Entity, Class), Log>,
}

impl Growth {
    /// Takes in what has arrived since the last look: cheap, for every ack.
    pub fn look(&mut self, who: Entity, rows: &dyn Rows, findings: &mut Findings) {
        for class in Class::ALL {
            let log = self.logs.entry((who, class)).or_default();
            let read = log.read_on(who, class, rows, findings);
            findings.read(read);
        }
    }

    /// Compares all that was ever seen with what is there: for restarts and the end.
    pub fn check(&mut self, who: Entity, rows: &dyn Rows, findings: &mut Findings) {
        for class in Class::ALL {
            let log = self.logs.entry((who, class)).or_default();
            let compared = log.compare(who, class, rows, findings);
            // What follows a log that is another one says nothing new.
            if findings.read(compared) == Some(true) {
                let read = log.read_on(who, class, rows, findings);
                findings.read(read);
            }
        }
    }
}

impl Log {
    fn read_on(
        &mut self,
        who: Entity,
        class: Class,
        rows: &dyn Rows,
        findings: &mut Findings,
    ) -> Result<(), StoreError> {
        loop {
            let after = ArrivalSeq(self.entries.len() as u64);
            let news = timelines::arrivals(rows, class, after, ARRIVALS_A_READ)?;
            if news.is_empty() {
                break;
            }
            for (arrival, place) in news {
                let (timeline, id) = place?;
                if arrival.0 != self.entries.len() as u64 + 1 {
                    findings.violated(
                        NAME,
                        format_args!(
                            "the {} log of machine {} goes from arrival {} to {}",
                            class.name(),
                            who.0,
                            self.entries.len(),
                            arrival.0
                        ),
                    );
                    return Ok(());
                }
                self.entries.push((timeline, id));
                self.hash = self.hash.extend(class, arrival, &id);
                if let Some(before) = self.arrivals.insert(id, arrival) {
                    findings.violated(
                        NAME,
                        format_args!(
                            "{id} stands in the {} log of machine {} twice, at {} and {}",
                            class.name(),
                            who.0,
                            before.0,
                            arrival.0
                        ),
                    );
                }
            }
        }
        let head = timelines::head(rows, class)?;
        if head.arrival.0 == self.entries.len() as u64 && head.hash != self.hash {
            findings.violated(
                NAME,
                format_args!(
                    "the running hash of the {} log of machine {} is not that of its {} arrivals",
                    class.name(),
                    who.0,
                    head.arrival.0
                ),
            );
        }
        Ok(())
    }

    /// Whether all that was seen is there.
    fn compare(
        &self,
        who: Entity,
        class: Class,
        rows: &dyn Rows,
        findings: &mut Findings,
    ) -> Result<bool, StoreError> {
        let mut there = Vec::new();
        while there.len() < self.entries.len() {
            let after = ArrivalSeq(there.len() as u64);
            let page = timelines::arrivals(rows, class, after, ARRIVALS_A_READ)?;
            if page.is_empty() {
                break;
            }
            for (_, place) in page {
                there.push(place?);
            }
        }
        let differs = self
            .entries
            .iter()
            .zip(there.iter().map(Some).chain(std::iter::repeat(None)))
            .position(|(seen, found)| Some(seen) != found);
        if let Some(place) = differs {
            findings.violated(
                NAME,
                format_args!(
                    "the {} log of machine {} had {} arrivals, and from {} on they are gone or others",
                    class.name(),
                    who.0,
                    self.entries.len(),
                    place + 1
                ),
            );
            return Ok(false);
        }
        for (timeline, id) in &self.entries {
            let at = match timelines::get(rows, id)? {
                Some(stored) => {
                    let (author, seq) = (stored.envelope.author(), stored.envelope.seq());
                    timelines::author_ids(rows, timeline, &author, Seq(seq.0))?
                }
                None => None,
            };
            if !at.is_some_and(|(first, second)| first == *id || second == Some(*id)) {
                findings.violated(
                    NAME,
                    format_args!("machine {} has lost an id row of {id}", who.0),
                );
            }
        }
        Ok(true)
    }
}
