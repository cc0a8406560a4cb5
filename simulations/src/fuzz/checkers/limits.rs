//! Every queue and table within its limit, and nothing kept for those who are gone.

use std::collections::BTreeMap;

use khlong_crdt::class::Class;
use khlong_crdt::id::TimelineId;
use khlong_document::timeline::limits::PARKED_ENVELOPES_MAX;
use khlong_relay::hub::HubStats;
use khlong_store::error::StoreError;
use khlong_store::limits::{KEY_BYTES_MAX, OUTBOX_ENTRIES_MAX, VALUE_BYTES_MAX};
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use khlong_store::tables::receipts::RECEIPTS_PER_ENVELOPE_MAX;
use khlong_store::tables::{outbox, quotas, receipts, timelines};
use khlong_sync::limits::FRAME_BYTES_MAX;

use super::equality::Shown;
use super::{Findings, each_envelope};
use crate::plan::Entity;

const NAME: &str = "limits";

/// What a relay keeps for connections ends with them. `open` is how many its network has.
pub fn check_hub(relay: Entity, stats: &HubStats, open: u64, findings: &mut Findings) {
    if stats.connections > open {
        findings.violated(
            NAME,
            format_args!(
                "relay {} keeps {} connections, and {open} are open",
                relay.0, stats.connections
            ),
        );
    }
}

/// The tables of any machine.
pub fn check_tables(who: Entity, store: &Store, findings: &mut Findings) {
    let mut bad = Vec::new();
    let looked = store.for_each_row(&mut |table, key, payload| {
        if key.len() > KEY_BYTES_MAX || payload.len() > VALUE_BYTES_MAX {
            bad.push(format!("a row of table {table:?} is too large"));
        }
        Ok(())
    });
    findings.read(looked);
    let waiting = findings.read(outbox::list(store)).unwrap_or_default();
    if waiting.len() as u64 > OUTBOX_ENTRIES_MAX {
        bad.push(format!("{} envelopes in the outbox", waiting.len()));
    }
    let counted = each_envelope(store, &mut |stored| {
        let id = stored.envelope.id();
        if receipts::get(store, &id).is_ok_and(|kept| kept.len() > RECEIPTS_PER_ENVELOPE_MAX) {
            bad.push(format!("too many receipts for {id}"));
        }
    });
    findings.read(counted);
    for what in bad {
        findings.violated(NAME, format_args!("machine {}: {what}", who.0));
    }
}

/// A relay charges a timeline for exactly what it stores of it.
pub fn check_quotas(relay: Entity, rows: &dyn Rows, findings: &mut Findings) {
    let Some(stored) = findings.read(stored_by_timeline(rows)) else {
        return;
    };
    for (timeline, stored) in stored {
        let charged = quotas::get(rows, quotas::Scope::Timeline, timeline.as_bytes());
        if let Some(charged) = findings.read(charged)
            && charged != stored
        {
            findings.violated(
                NAME,
                format_args!(
                    "relay {} charges {timeline} for {} envelopes of {} bytes and stores {} of {}",
                    relay.0, charged.count, charged.bytes, stored.count, stored.bytes
                ),
            );
        }
    }
}

fn stored_by_timeline(rows: &dyn Rows) -> Result<BTreeMap<TimelineId, quotas::Use>, StoreError> {
    let mut stored: BTreeMap<TimelineId, quotas::Use> = BTreeMap::new();
    for timeline in timelines::timelines(rows)? {
        let sum = stored.entry(timeline).or_default();
        for class in Class::ALL {
            let head = timelines::timeline_head(rows, &timeline, class)?;
            sum.bytes += head.bytes;
            sum.count += head.envelopes;
        }
    }
    Ok(stored)
}

/// A frame is within the limits that its receiver checks; `sent` is its length, or why the
/// receiver refuses it.
pub fn check_frame(from: Entity, sent: &Result<usize, String>, findings: &mut Findings) {
    let refused = match sent {
        Ok(bytes) => (*bytes > FRAME_BYTES_MAX).then(|| format!("{bytes} bytes")),
        Err(why) => Some(why.clone()),
    };
    if let Some(why) = refused {
        findings.violated(
            NAME,
            format_args!("machine {} sent a frame that nobody takes: {why}", from.0),
        );
    }
}

/// What waits in a timeline for keys or other envelopes; nothing does when all has arrived.
pub fn check_parked(shown: &Shown, all_arrived: bool, findings: &mut Findings) {
    let most = if all_arrived { 0 } else { PARKED_ENVELOPES_MAX };
    if shown.parked > most {
        findings.violated(
            NAME,
            format_args!(
                "{} envelopes wait on machine {}, and {most} may",
                shown.parked, shown.who.0
            ),
        );
    }
}
