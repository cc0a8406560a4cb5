//! Makes one Automerge change from new entries. No document has to be opened for
//! that: insertions at the end of a list need the list's last element only.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId as AutomergeOpId, OpType, SortedVec};
use automerge::{ActorId, Change, ExpandedChange, ObjType};
use khlong_crdt::id::AuthorKey;

use super::draft::NewEntry;
use super::entry::{GENESIS_ACTOR, OpId, Section};
use super::page::Page;

/// The change that adds `entries` to `page`, as `author`'s next.
pub(crate) fn change(page: &Page, author: &AuthorKey, entries: &[NewEntry]) -> Vec<u8> {
    let start = page.max_op() + 1;
    let mut counter = start;
    let mut last: BTreeMap<Section, Option<OpId>> = BTreeMap::new();
    let mut operations = Vec::new();
    for entry in entries {
        let after = last
            .entry(entry.section)
            .or_insert_with(|| page.last_of(entry.section));
        let id = OpId {
            counter,
            author: *author,
        };
        operations.push(Op {
            action: OpType::Make(ObjType::Map),
            obj: ObjectId::Id(automerge_id(&OpId {
                counter: entry.section.counter(),
                author: GENESIS_ACTOR,
            })),
            key: Key::Seq(
                after
                    .as_ref()
                    .map_or(ElementId::Head, |after| ElementId::Id(automerge_id(after))),
            ),
            pred: SortedVec::new(),
            insert: true,
        });
        *after = Some(id);
        counter += 1;
        for (key, value) in &entry.fields {
            operations.push(Op {
                action: OpType::Put(value.clone()),
                obj: ObjectId::Id(automerge_id(&id)),
                key: Key::Map((*key).into()),
                pred: SortedVec::new(),
                insert: false,
            });
            counter += 1;
        }
    }
    let change = Change::from(ExpandedChange {
        operations,
        actor_id: actor(author),
        hash: None,
        seq: page.tail(author).seq + 1,
        start_op: NonZeroU64::new(start).unwrap_or(NonZeroU64::MIN),
        time: 0,
        message: None,
        deps: page.heads().iter().copied().collect(),
        extra_bytes: Vec::new(),
        author: None,
    });
    change.raw_bytes().to_vec()
}

fn actor(author: &AuthorKey) -> ActorId {
    ActorId::from(*author.as_bytes())
}

fn automerge_id(id: &OpId) -> AutomergeOpId {
    AutomergeOpId::new(id.counter, &actor(&id.author))
}
