//! The first change of a page is frozen.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use automerge::legacy::{Key, ObjectId, Op, OpType, SortedVec};
use automerge::{ActorId, Change, ExpandedChange, ObjType, ScalarValue};
use khlong_document::timeline::genesis::{PAGE_GENESIS, STATE_GENESIS};

fn built(lists: &[&str]) -> Vec<u8> {
    let put = |key: &str, action| Op {
        action,
        obj: ObjectId::Root,
        key: Key::Map(key.into()),
        pred: SortedVec::new(),
        insert: false,
    };
    let mut operations = vec![put("v", OpType::Put(ScalarValue::Uint(1)))];
    operations.extend(
        lists
            .iter()
            .map(|list| put(list, OpType::Make(ObjType::List))),
    );
    let change = Change::from(ExpandedChange {
        operations,
        actor_id: ActorId::from([0_u8; 32]),
        hash: None,
        seq: 1,
        start_op: 1.try_into().unwrap(),
        time: 0,
        message: None,
        deps: Vec::new(),
        extra_bytes: Vec::new(),
        author: None,
    });
    change.raw_bytes().to_vec()
}

#[test]
fn a_page_begins_with_the_frozen_bytes() {
    let golden = "856f4a83a07a4b7e0164002000000000000000000000000000000000000000000000000000000000000000000101000000061524340142045604570170027b0176086d65737361676573056564697473097265616374696f6e730764656c65746573057f0104027f130400010500";
    assert_eq!(data_encoding::HEXLOWER.encode(PAGE_GENESIS), golden);
    assert_eq!(
        built(&["messages", "edits", "reactions", "deletes"]),
        PAGE_GENESIS,
        "Automerge writes the change otherwise today"
    );
}

#[test]
fn a_state_document_begins_with_the_frozen_bytes() {
    let golden = "856f4a833bb4d8060156002000000000000000000000000000000000000000000000000000000000000000000101000000061516340142045604570170027c0176067469746c657306726f737465720470696e73047f0103027f130300010400";
    assert_eq!(data_encoding::HEXLOWER.encode(STATE_GENESIS), golden);
    assert_eq!(
        built(&["titles", "roster", "pins"]),
        STATE_GENESIS,
        "Automerge writes the change otherwise today"
    );
}
