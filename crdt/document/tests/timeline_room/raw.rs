//! Changes made by hand, as a member's own program could make them.

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjType, ScalarValue};
use khlong_crdt::id::{AuthorKey, EpochId};
use khlong_document::timeline::genesis::PAGE_GENESIS;
use khlong_document::timeline::plaintext::DocumentChanges;

pub(crate) const ZERO: AuthorKey = AuthorKey::ZERO;

pub(crate) fn genesis_hash() -> ChangeHash {
    Change::try_from(PAGE_GENESIS).unwrap().hash()
}

pub(crate) fn id(counter: u64, author: AuthorKey) -> OpId {
    OpId::new(counter, &ActorId::from(*author.as_bytes()))
}

pub(crate) fn insert(list: u64, after: Option<OpId>) -> Op {
    let key = Key::Seq(after.map_or(ElementId::Head, ElementId::Id));
    Op {
        action: OpType::Make(ObjType::Map),
        obj: ObjectId::Id(id(list, ZERO)),
        key,
        pred: SortedVec::new(),
        insert: true,
    }
}

pub(crate) fn put(object: ObjectId, key: &str, value: impl Into<ScalarValue>) -> Op {
    Op {
        action: OpType::Put(value.into()),
        obj: object,
        key: Key::Map(key.into()),
        pred: SortedVec::new(),
        insert: false,
    }
}

pub(crate) fn own(counter: u64, author: AuthorKey) -> ObjectId {
    ObjectId::Id(id(counter, author))
}

/// A change on an empty page, as the protocol wants it but for `operations`.
pub(crate) fn change(author: AuthorKey, operations: Vec<Op>) -> ExpandedChange {
    ExpandedChange {
        operations,
        actor_id: ActorId::from(*author.as_bytes()),
        hash: None,
        seq: 1,
        start_op: 6.try_into().unwrap(),
        time: 0,
        message: None,
        deps: vec![genesis_hash()],
        extra_bytes: Vec::new(),
        author: None,
    }
}

pub(crate) fn message(author: AuthorKey, body: &str) -> Vec<Op> {
    vec![insert(2, None), put(own(6, author), "b", body)]
}

pub(crate) fn bytes(change: ExpandedChange) -> Vec<u8> {
    Change::from(change).raw_bytes().to_vec()
}

pub(crate) fn section(changes: Vec<Vec<u8>>) -> DocumentChanges {
    DocumentChanges {
        document: 0,
        lineage: EpochId::ZERO,
        n: 0,
        changes,
    }
}

/// The hash of a change.
pub(crate) fn hash(raw: &[u8]) -> ChangeHash {
    Change::try_from(raw).unwrap().hash()
}

/// The change of `author` behind `before`, its place being `seq`; `operations` gets its
/// first counter.
pub(crate) fn next(
    author: AuthorKey,
    seq: u64,
    before: &[u8],
    operations: impl FnOnce(u64) -> Vec<Op>,
) -> Vec<u8> {
    let before = Change::try_from(before).unwrap();
    let start = before.max_op() + 1;
    bytes(ExpandedChange {
        seq,
        start_op: start.try_into().unwrap(),
        deps: vec![before.hash()],
        ..change(author, operations(start))
    })
}

/// `count` messages, two operations each.
pub(crate) fn messages(author: AuthorKey, start: u64, count: u64) -> Vec<Op> {
    (0..count)
        .map(|index| start + 2 * index)
        .flat_map(|at| [insert(2, None), put(own(at, author), "b", "x")])
        .collect()
}
