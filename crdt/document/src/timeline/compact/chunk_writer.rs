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

/// Before the content, at most.
const START_BYTES: usize = 20;
/// About what a change of one message takes beside its text and its dependencies.
const CONTENT_BYTES: usize = 256;
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
    /// Behind that of the last row that has one.
    key_counter_step: Option<i64>,
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
    let text: usize = messages.iter().map(|message| message.body.len()).sum();
    let hashes = 32 * place.dependencies.len();
    let mut content = Vec::with_capacity(text + hashes + CONTENT_BYTES);
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

    let mut bytes = Vec::with_capacity(content.len() + START_BYTES);
    bytes.extend(MAGIC);
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
    let mut rows = Vec::with_capacity(4 * messages.len());
    let mut counter = place.start_op;
    let mut after = place.after;
    let mut last_key = 0_u64;
    for message in messages {
        let id = OpId {
            counter,
            author: *place.author,
        };
        let key = after.map_or(0, |after| after.counter);
        rows.push(Row {
            object: (actor_at(&GENESIS_ACTOR), Section::Messages.counter()),
            key_actor: after.map(|after| actor_at(&after.author)),
            key_counter_step: Some(key.wrapping_sub(last_key).cast_signed()),
            key_text: None,
            is_insert: true,
            value: (0, Value::None),
        });
        last_key = key;
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
                key_counter_step: None,
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
    let mut meta = Vec::with_capacity(rows.len());
    let mut values = Vec::new();
    for row in rows {
        let before = values.len();
        match row.value.1 {
            Value::None => {}
            Value::Int(number) => signed(&mut values, number),
            Value::Bytes(bytes) => values.extend_from_slice(bytes),
        }
        meta.push(((values.len() - before) as u64) << 4 | row.value.0);
    }
    let mut columns = Columns::default();
    columns.numbers(0x01, rows, |row| Some(row.object.0));
    columns.numbers(0x02, rows, |row| Some(row.object.1));
    columns.numbers(0x11, rows, |row| row.key_actor);
    columns.runs(0x13, rows, |row| row.key_counter_step, signed);
    columns.runs(0x15, rows, |row| row.key_text, text);
    columns.switches(0x34, rows, |row| row.is_insert);
    // A map is made by action 0, a key set by action 1.
    columns.numbers(0x42, rows, |row| Some(u64::from(!row.is_insert)));
    columns.numbers(0x56, &meta, |meta| Some(*meta));
    columns.bytes(0x57, &values);
    columns.numbers(0x70, rows, |_| Some(0));
    columns.write(out);
}

/// Columns one behind the other; empty ones are left out.
#[derive(Default)]
struct Columns {
    /// Specification and length of each.
    index: Vec<(u64, usize)>,
    data: Vec<u8>,
}

impl Columns {
    fn column(&mut self, specification: u64, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.data.len();
        write(&mut self.data);
        let length = self.data.len() - before;
        if length > 0 {
            self.index.push((specification, length));
        }
    }

    fn bytes(&mut self, specification: u64, bytes: &[u8]) {
        self.column(specification, |data| data.extend_from_slice(bytes));
    }

    fn numbers<R>(&mut self, specification: u64, rows: &[R], of: impl Fn(&R) -> Option<u64>) {
        self.runs(specification, rows, of, varint::write);
    }

    /// Runs of one value, runs of nulls, and what differs from both its neighbours in a row.
    fn runs<R, T: PartialEq>(
        &mut self,
        specification: u64,
        rows: &[R],
        of: impl Fn(&R) -> Option<T>,
        write: impl Fn(&mut Vec<u8>, T),
    ) {
        if rows.iter().all(|row| of(row).is_none()) {
            return;
        }
        self.column(specification, |data| {
            let mut rest = rows;
            while let Some(row) = rest.first() {
                let mut taken = run(rest, &of);
                match of(row) {
                    None => {
                        signed(data, 0);
                        varint::write(data, taken as u64);
                    }
                    Some(value) if taken > 1 => {
                        signed(data, count(taken));
                        write(data, value);
                    }
                    Some(_) => {
                        taken = lone(rest, &of);
                        signed(data, -count(taken));
                        for value in rest.iter().take(taken).filter_map(&of) {
                            write(data, value);
                        }
                    }
                }
                rest = rest.get(taken..).unwrap_or_default();
            }
        });
    }

    /// Lengths of runs that begin with false.
    fn switches<R>(&mut self, specification: u64, rows: &[R], of: impl Fn(&R) -> bool) {
        self.column(specification, |data| {
            let (mut current, mut count) = (false, 0);
            for value in rows.iter().map(of) {
                if value != current {
                    varint::write(data, count);
                    (current, count) = (value, 0);
                }
                count += 1;
            }
            if count > 0 {
                varint::write(data, count);
            }
        });
    }

    fn write(&self, out: &mut Vec<u8>) {
        varint::write(out, self.index.len() as u64);
        for (specification, length) in &self.index {
            varint::write(out, *specification);
            varint::write(out, *length as u64);
        }
        out.extend_from_slice(&self.data);
    }
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// How many rows have the value of the first.
fn run<R, T: PartialEq>(rows: &[R], of: impl Fn(&R) -> Option<T>) -> usize {
    let mut values = rows.iter().map(&of);
    let first = values.next();
    1 + values
        .take_while(|value| Some(value) == first.as_ref())
        .count()
}

/// How many rows have a value that the next one has not.
fn lone<R, T: PartialEq>(rows: &[R], of: impl Fn(&R) -> Option<T>) -> usize {
    let is_lone = |at: &usize| {
        let mut values = rows.iter().skip(*at).map(&of);
        let value = values.next().flatten();
        value.is_some() && values.next() != Some(value)
    };
    (0..rows.len()).take_while(is_lone).count()
}

fn text(out: &mut Vec<u8>, text: &str) {
    varint::write(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
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
    use crate::timeline::limits::{CHANGE_OPS_MAX, COMPACT_MESSAGES_MAX, OP_COUNTER_MAX};

    fn author() -> impl Strategy<Value = AuthorKey> {
        // Few, so that names meet; the genesis among them.
        (0_u8..4).prop_map(|byte| AuthorKey::from_bytes([byte; 32]))
    }

    fn message() -> impl Strategy<Value = NewMessage> {
        (any::<i64>(), any::<Option<[u8; 16]>>(), ".{0,20}").prop_map(
            |(sent_at, reply_to, body)| NewMessage {
                sent_at,
                reply_to,
                body,
            },
        )
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

    /// Short ones many times over, long ones a few times.
    fn alike() -> impl Strategy<Value = (Vec<NewMessage>, usize)> {
        let long = (any::<i64>(), 0_usize..=16 * 1024).prop_map(|(sent_at, bytes)| NewMessage {
            sent_at,
            reply_to: None,
            body: "x".repeat(bytes),
        });
        let brief = (any::<i64>(), "[a-z]{0,8}").prop_map(|(sent_at, body)| NewMessage {
            sent_at,
            reply_to: None,
            body,
        });
        prop_oneof![
            (vec(message(), 1..4), 1..=COMPACT_MESSAGES_MAX),
            (vec(brief, 1..4), 1..=COMPACT_MESSAGES_MAX),
            (vec(long, 1..4), 1..=6_usize),
        ]
    }

    /// What was read, without its bytes.
    fn facts(checked: &entry::Checked) -> String {
        let (hash, max_op) = (&checked.hash, checked.max_op);
        format!("{hash:?} {max_op} {:?}", checked.entries)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// The same of runs and lengths that take more than one byte, and at the limits.
        #[test]
        fn automerge_takes_what_is_large_too(
            author in 1_u8..4,
            at_limit in 0_u64..4,
            start_op in 2_u64..20,
            dependency in any::<[u8; 32]>(),
            after in proptest::option::of((1_u64..20, 1_u8..4)),
            alike in vec(alike(), 1..3),
        ) {
            let author = AuthorKey::from_bytes([author; 32]);
            let last = OP_COUNTER_MAX - CHANGE_OPS_MAX as u64;
            let start_op = match at_limit {
                0 => start_op,
                over => last - 2 + over,
            };
            let of = |(some, count): (Vec<NewMessage>, usize)| some.into_iter().cycle().take(count);
            let all = alike.into_iter().flat_map(of);
            let messages: Vec<NewMessage> = all.take(COMPACT_MESSAGES_MAX).collect();
            let place = Place {
                author: &author,
                seq: 1,
                start_op,
                dependencies: &[dependency],
                after: after.map(|(counter, author)| OpId {
                    counter,
                    author: AuthorKey::from_bytes([author; 32]),
                }),
            };
            let Written { bytes, hash } = write(&place, &messages);
            let known = entry::check_known(DocumentKind::Page, &author, &bytes, hash);
            let asked = entry::check(DocumentKind::Page, &author, &bytes);
            let [known, asked] = [known, asked].map(|read| read.map(|it| facts(&it)));
            prop_assert!(known == asked, "{start_op}, {} messages", messages.len());
        }
    }
}
