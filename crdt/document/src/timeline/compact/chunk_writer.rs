//! Writes the Automerge change of new messages, byte for byte as Automerge 0.12 does. What
//! Automerge writes tomorrow must not decide what was said yesterday.
//!
//! Source: the Automerge binary format, "Change Chunk" and "Operation columns".

use khlong_crdt::id::AuthorKey;

use super::NewMessage;
use crate::timeline::chunk::{CHANGE_CHUNK, MAGIC, hash_of};
use crate::timeline::entry::{GENESIS_ACTOR, OpId, Section};
use crate::timeline::message::key;
use crate::varint;

const TYPE_INT: u64 = 4;
const TYPE_TEXT: u64 = 6;
const TYPE_BYTES: u64 = 7;

/// Everything of a change that is not its messages.
pub(super) struct Place<'a> {
    pub(super) author: &'a AuthorKey,
    pub(super) seq: u64,
    pub(super) start_op: u64,
    /// Ascending.
    pub(super) dependencies: &'a [[u8; 32]],
    pub(super) after: Option<OpId>,
}

/// A change, and its hash.
pub(super) struct Written {
    pub(super) bytes: Vec<u8>,
    pub(super) hash: [u8; 32],
}

/// One row of the columns.
struct Row<'a> {
    object: (u64, u64),
    key_actor: Option<u64>,
    key_counter: Option<u64>,
    key_text: Option<&'static str>,
    is_insert: bool,
    value: (u64, Value<'a>),
}

enum Value<'a> {
    None,
    Int(i64),
    Bytes(&'a [u8]),
}

pub(super) fn write(place: &Place<'_>, messages: &[NewMessage]) -> Written {
    let others = other_actors(place);
    let actor_at = |author: &AuthorKey| match others.iter().position(|other| other == author) {
        Some(at) => at as u64 + 1,
        None => 0,
    };
    let mut content = Vec::new();
    varint::write(&mut content, place.dependencies.len() as u64);
    content.extend(place.dependencies.iter().flatten());
    actor(&mut content, place.author);
    varint::write(&mut content, place.seq);
    varint::write(&mut content, place.start_op);
    content.extend([0, 0]); // time, length of the commit message
    varint::write(&mut content, others.len() as u64);
    for other in &others {
        actor(&mut content, other);
    }
    columns(&mut content, &rows(place, messages, &actor_at));

    let mut bytes = MAGIC.to_vec();
    bytes.extend([0; 4]);
    bytes.push(CHANGE_CHUNK);
    varint::write(&mut bytes, content.len() as u64);
    bytes.extend(content);
    let hash = hash_of(&bytes);
    for (byte, checksum) in bytes.iter_mut().skip(MAGIC.len()).zip(hash.iter().take(4)) {
        *byte = *checksum;
    }
    Written { bytes, hash }
}

fn actor(out: &mut Vec<u8>, actor: &AuthorKey) {
    varint::write(out, actor.as_bytes().len() as u64);
    out.extend_from_slice(actor.as_bytes());
}

/// Whoever is named but the author, ascending; the genesis made the list.
fn other_actors(place: &Place<'_>) -> Vec<AuthorKey> {
    let mut others = vec![GENESIS_ACTOR];
    others.extend(place.after.map(|after| after.author));
    others.retain(|other| other != place.author);
    others.sort_unstable();
    others.dedup();
    others
}

fn rows<'a>(
    place: &Place<'_>,
    messages: &'a [NewMessage],
    actor_at: &dyn Fn(&AuthorKey) -> u64,
) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    let mut counter = place.start_op;
    let mut after = place.after;
    for message in messages {
        let id = OpId {
            counter,
            author: *place.author,
        };
        rows.push(Row {
            object: (actor_at(&GENESIS_ACTOR), Section::Messages.counter()),
            key_actor: after.map(|after| actor_at(&after.author)),
            key_counter: Some(after.map_or(0, |after| after.counter)),
            key_text: None,
            is_insert: true,
            value: (0, Value::None),
        });
        after = Some(id);
        let fields = [
            Some((key::BODY, TYPE_TEXT, Value::Bytes(message.body.as_bytes()))),
            Some((key::SENT_AT, TYPE_INT, Value::Int(message.sent_at))),
            message
                .reply_to
                .as_ref()
                .map(|id| (key::REPLY_TO, TYPE_BYTES, Value::Bytes(id))),
        ];
        for (name, kind, value) in fields.into_iter().flatten() {
            rows.push(Row {
                object: (0, counter),
                key_actor: None,
                key_counter: None,
                key_text: Some(name),
                is_insert: false,
                value: (kind, value),
            });
        }
        counter += message.operations();
    }
    rows
}

fn columns(out: &mut Vec<u8>, rows: &[Row<'_>]) {
    let mut meta = Vec::new();
    let mut values = Vec::new();
    for row in rows {
        let before = values.len();
        match row.value.1 {
            Value::None => {}
            Value::Int(number) => signed(&mut values, number),
            Value::Bytes(bytes) => values.extend_from_slice(bytes),
        }
        meta.push(Some(((values.len() - before) as u64) << 4 | row.value.0));
    }
    let mut last = 0_u64;
    let steps = rows.iter().map(|row| {
        let counter = row.key_counter?;
        let step = counter.wrapping_sub(last).cast_signed();
        last = counter;
        Some(step)
    });
    let key_counter = runs(steps, |out, step| signed(out, *step));
    let columns = [
        (0x01, numbers(rows.iter().map(|row| Some(row.object.0)))),
        (0x02, numbers(rows.iter().map(|row| Some(row.object.1)))),
        (0x11, numbers(rows.iter().map(|row| row.key_actor))),
        (0x13, key_counter),
        (
            0x15,
            runs(rows.iter().map(|row| row.key_text), |out, text| {
                varint::write(out, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }),
        ),
        (0x34, switches(rows.iter().map(|row| row.is_insert))),
        // A map is made by action 0, a key set by action 1.
        (
            0x42,
            numbers(rows.iter().map(|row| Some(u64::from(!row.is_insert)))),
        ),
        (0x56, numbers(meta.into_iter())),
        (0x57, values),
        (0x70, numbers(rows.iter().map(|_| Some(0)))),
    ];
    let filled = columns.iter().filter(|(_, data)| !data.is_empty());
    varint::write(out, filled.clone().count() as u64);
    for (specification, data) in filled.clone() {
        varint::write(out, *specification);
        varint::write(out, data.len() as u64);
    }
    for (_, data) in filled {
        out.extend_from_slice(data);
    }
}

fn numbers(values: impl Iterator<Item = Option<u64>>) -> Vec<u8> {
    runs(values, |out, value| varint::write(out, *value))
}

/// Runs of one value, runs of nulls, and what differs from both its neighbours in a row.
fn runs<T: PartialEq>(
    values: impl Iterator<Item = Option<T>>,
    write: impl Fn(&mut Vec<u8>, &T),
) -> Vec<u8> {
    let mut groups: Vec<(Option<T>, i64)> = Vec::new();
    for value in values {
        match groups.last_mut() {
            Some((last, count)) if *last == value => *count += 1,
            _ => groups.push((value, 1)),
        }
    }
    let mut out = Vec::new();
    if groups.iter().all(|(value, _)| value.is_none()) {
        return out;
    }
    let mut rest = groups.as_slice();
    while let Some((value, count)) = rest.first() {
        let lone = rest
            .iter()
            .take_while(|(value, count)| value.is_some() && *count == 1);
        let lone = lone.count();
        match value {
            None => {
                signed(&mut out, 0);
                varint::write(&mut out, count.unsigned_abs());
            }
            Some(value) if *count > 1 => {
                signed(&mut out, *count);
                write(&mut out, value);
            }
            Some(_) => {
                signed(&mut out, -i64::try_from(lone).unwrap_or(i64::MAX));
                for (value, _) in rest.iter().take(lone) {
                    value.iter().for_each(|value| write(&mut out, value));
                }
            }
        }
        rest = rest.get(lone.max(1)..).unwrap_or_default();
    }
    out
}

/// Lengths of runs that begin with false.
fn switches(values: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut current, mut count) = (false, 0);
    for value in values {
        if value != current {
            varint::write(&mut out, count);
            (current, count) = (value, 0);
        }
        count += 1;
    }
    if count > 0 {
        varint::write(&mut out, count);
    }
    out
}

/// SLEB128, the shortest form.
fn signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        let is_negative = low & 0x40 != 0;
        if (value == 0 && !is_negative) || (value == -1 && is_negative) {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::timeline::entry;
    use crate::timeline::genesis::DocumentKind;

    fn author() -> impl Strategy<Value = AuthorKey> {
        // Few, so that names meet; the genesis among them.
        (0_u8..4).prop_map(|byte| AuthorKey::from_bytes([byte; 32]))
    }

    fn message() -> impl Strategy<Value = NewMessage> {
        (any::<i64>(), any::<Option<[u8; 16]>>(), ".{0,20}").prop_map(|(sent_at, reply_to, body)| {
            NewMessage {
                sent_at,
                reply_to,
                body,
            }
        })
    }

    proptest! {
        /// Whoever reads a compact plaintext does not ask Automerge: it would have nothing to
        /// say, of anything that a stranger can have written here.
        #[test]
        fn automerge_takes_all_that_is_written_and_kept(
            author in author(),
            (seq, start_op) in (0_u64..3, prop_oneof![1_u64..20, any::<u64>()]),
            dependencies in btree_set(any::<[u8; 32]>(), 0..4),
            after in proptest::option::of((prop_oneof![0_u64..20, any::<u64>()], self::author())),
            messages in vec(message(), 1..4),
        ) {
            let dependencies: Vec<_> = dependencies.into_iter().collect();
            // Counters of all operations are numbers.
            let start_op = start_op.min(u64::MAX - 100);
            let place = Place {
                author: &author,
                seq,
                start_op,
                dependencies: &dependencies,
                after: after.map(|(counter, author)| OpId { counter, author }),
            };
            let Written { bytes, hash } = write(&place, &messages);
            let known = entry::check_known(DocumentKind::Page, &author, &bytes, hash);
            let asked = entry::check(DocumentKind::Page, &author, &bytes);
            prop_assert_eq!(format!("{known:?}"), format!("{asked:?}"));
        }
    }
}
