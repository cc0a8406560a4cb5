//! No cursor passes what its batch does not hold.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, RelayKey, TimelineId};
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use khlong_store::tables::{cursors, timelines};

use super::{ARRIVALS_A_READ, Findings};
use crate::plan::Entity;

const NAME: &str = "cursors";

/// Whatever lies below the cursors of `device` at `relay`, of timelines that the device knows
/// and has merged, is on the device's disk.
pub fn check(
    (device, rows): (Entity, &dyn Rows),
    (relay, log, key): (Entity, &Store, &RelayKey),
    findings: &mut Findings,
) {
    let Some(missing) = findings.read(missing(rows, log, key)) else {
        return;
    };
    for (class, arrival) in missing {
        findings.violated(
            NAME,
            format_args!(
                "that of machine {} at relay {} passes arrival {} of the {} log, which it does not hold",
                device.0,
                relay.0,
                arrival.0,
                class.name()
            ),
        );
    }
}

fn missing(
    node: &dyn Rows,
    relay: &Store,
    key: &RelayKey,
) -> Result<Vec<(Class, ArrivalSeq)>, StoreError> {
    let known: BTreeSet<TimelineId> = timelines::timelines(node)?.into_iter().collect();
    let behind: BTreeMap<(TimelineId, Class), ArrivalSeq> = cursors::backfills(node, key)?
        .into_iter()
        .map(|(timeline, class, at)| ((timeline, class), at))
        .collect();
    let log = relay.identity().log;
    let mut missing = Vec::new();
    for class in Class::ALL {
        let Some(cursor) = cursors::get(node, key, class)? else {
            continue;
        };
        let head = timelines::head(relay, class)?;
        if cursor.log != log || cursor.seq > head.arrival {
            continue; // another log, or a rolled-back one: the session falls back by itself
        }
        let mut after = ArrivalSeq(0);
        loop {
            let rows = timelines::arrivals(relay, class, after, ARRIVALS_A_READ)?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            for (arrival, row) in rows {
                let (timeline, id) = row?;
                let reached = behind.get(&(timeline, class)).map_or(cursor.seq, |at| *at);
                if arrival <= reached
                    && known.contains(&timeline)
                    && timelines::get(node, &id)?.is_none()
                {
                    missing.push((class, arrival));
                }
            }
        }
    }
    Ok(missing)
}
