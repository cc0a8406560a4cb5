//! Reading a timeline of which some rows are damaged: what is good comes, what is not is named.

use std::ops::ControlFlow;

use khlong_crdt::class::Class;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, TimelineId};
use khlong_crdt::time::UnixMillis;

use super::{IndexRow, Stored, arrival_key, index_key, read, timeline_class_key};
use crate::engine::Direction;
use crate::error::StoreError;
use crate::key::KeyRange;
use crate::rows::Rows;
use crate::table::Table;
use crate::tables::decode;

/// A part of a timeline in a class.
#[derive(Debug, Default)]
pub struct Salvaged {
    /// What could be read, in order.
    pub stored: Vec<Stored>,
    /// Where a row is damaged, or an index row has lost its envelope.
    pub damaged: Vec<ArrivalSeq>,
    /// The last arrival looked at; `None` = there is nothing beyond.
    pub last: Option<ArrivalSeq>,
}

/// As [`entries`](super::entries) without an end, but a damaged row is passed over and
/// reported. The envelope of a damaged index row is found by the log of its class.
///
/// # Errors
/// From the engine, except when it says that the row of one envelope is damaged.
pub fn salvage(
    rows: &dyn Rows,
    timeline: &TimelineId,
    class: Class,
    after: ArrivalSeq,
    max_entries: usize,
    max_bytes: usize,
) -> Result<Salvaged, StoreError> {
    let mut found = Salvaged::default();
    let (mut seen, mut bytes) = (0_usize, 0_usize);
    let mut range = KeyRange::prefix(&timeline_class_key(timeline, class));
    range.start = index_key(timeline, class, after.next());
    rows.scan_each(
        Table::TimelineArrival,
        &range,
        Direction::Forward,
        &mut |key, payload| {
            if seen >= max_entries || bytes >= max_bytes {
                return Ok(ControlFlow::Break(()));
            }
            let arrival = arrival_of(key)?;
            seen += 1;
            found.last = Some(arrival);
            let row = payload.and_then(|payload| IndexRow::decode(key, payload));
            let is_index_damaged = row.is_err();
            let id = match row {
                Ok(row) => Ok(Some(row.id)),
                Err(error) if error.is_damage() => id_by_log(rows, class, arrival),
                Err(error) => Err(error),
            };
            let stored = id.and_then(|id| id.map_or(Ok(None), |id| read::get(rows, &id)));
            let stored = match stored {
                Ok(stored) => stored,
                Err(error) if error.is_damage() => None,
                Err(error) => return Err(error),
            };
            if is_index_damaged || stored.is_none() {
                found.damaged.push(arrival);
            }
            if let Some(stored) = stored {
                bytes += stored.envelope.bytes().len();
                found.stored.push(stored);
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

/// Where an envelope whose own row is damaged lies, and since when.
pub(super) fn place_of(
    rows: &dyn Rows,
    envelope: &VerifiedEnvelope,
) -> Result<Option<(ArrivalSeq, UnixMillis)>, StoreError> {
    let (id, class) = (envelope.id(), envelope.class());
    let range = KeyRange::prefix(&timeline_class_key(&envelope.timeline(), class));
    let mut place = None;
    rows.scan_each(
        Table::TimelineArrival,
        &range,
        Direction::Forward,
        &mut |key, payload| {
            let arrival = arrival_of(key)?;
            match payload.and_then(|payload| IndexRow::decode(key, payload)) {
                Ok(row) if row.id == id => place = Some((arrival, row.received_at)),
                Ok(_) => {}
                Err(error) if error.is_damage() => {
                    let by_log = id_by_log(rows, class, arrival);
                    if by_log.is_ok_and(|found| found == Some(id)) {
                        place = Some((arrival, UnixMillis(0)));
                    }
                }
                Err(error) => return Err(error),
            }
            Ok(match place {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            })
        },
    )?;
    Ok(place)
}

fn arrival_of(key: &[u8]) -> Result<ArrivalSeq, StoreError> {
    decode(Table::TimelineArrival, key, key, |fields| {
        let _timeline_and_class = fields.fixed::<33>()?;
        fields.u64().map(ArrivalSeq)
    })
}

/// What the log of a class says is at an arrival.
fn id_by_log(
    rows: &dyn Rows,
    class: Class,
    arrival: ArrivalSeq,
) -> Result<Option<EnvelopeId>, StoreError> {
    let key = arrival_key(class, arrival);
    let Some(bytes) = rows.get(Table::Arrival, &key)? else {
        return Ok(None);
    };
    decode(Table::Arrival, &key, &bytes, |fields| {
        let _timeline = fields.fixed::<32>()?;
        let id = EnvelopeId::from_bytes(fields.fixed()?);
        let _running_hash = fields.fixed::<32>()?;
        Some(Some(id))
    })
}
