//! A snapshot of version 1, frozen: a program that takes it shows what this one showed. One that
//! lays it out otherwise, or by whose rules something else counts, raises the version and freezes
//! another (`KHLONG_FREEZE=1`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use khlong_crdt::admission::History;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::page::PageAddress;
use serde_json::{Value, json};

use crate::group::{Group, READER, text};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/snapshot.json")
}

/// Two pages of messages, the state, an edit, a receipt, and something that waits.
fn group() -> Group {
    let mut group = Group::new(History::Full);
    for n in 0..6 {
        group.exchange();
        group.write(n % 2, text(format!("{n} สวัสดี"), None));
    }
    let target = group.members[0].messages(0..1)[0].id;
    group.write(0, Draft::Title("ตลาดน้ำ".to_owned()));
    group.exchange();
    group.write(
        1,
        Draft::React {
            target,
            emoji: "👍".to_owned(),
        },
    );
    group.receipt(1);
    group.exchange();
    group.write(0, text("missing".to_owned(), None));
    let missing = group.sent.len() - 1;
    group.write(0, text("waits for it".to_owned(), None));
    for place in (0..group.sent.len()).filter(|place| *place != missing) {
        group.deliver(place);
    }
    group
}

fn freeze(group: &mut Group) {
    assert!(group.keep());
    let pages: Vec<Value> = group
        .kept
        .pages
        .iter()
        .map(|(address, page)| json!([HEXLOWER.encode(&address.to_bytes()), HEXLOWER.encode(page)]))
        .collect();
    let bodies: Vec<String> = bodies(&group.members[READER]);
    let today = json!({
        "schema_version": 1,
        "head": HEXLOWER.encode(group.kept.head.as_ref().unwrap()),
        "pages": pages,
        "state_hash": HEXLOWER.encode(&group.members[READER].state_hash()),
        "bodies": bodies,
    });
    let mut text = serde_json::to_string_pretty(&today).unwrap();
    text.push('\n');
    std::fs::write(path(), text).unwrap();
}

fn bodies(timeline: &khlong_document::timeline::Timeline) -> Vec<String> {
    let messages = timeline.messages(0..usize::MAX).into_iter();
    messages.map(|message| message.body).collect()
}

#[test]
fn a_frozen_snapshot_shows_what_it_showed() {
    let mut group = group();
    if std::env::var_os("KHLONG_FREEZE").is_some() {
        freeze(&mut group);
    }
    let frozen: Value = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let bytes = |it: &Value| HEXLOWER.decode(it.as_str().unwrap().as_bytes()).unwrap();
    let pages = frozen["pages"].as_array().unwrap().iter().map(|page| {
        let address = <[u8; PageAddress::BYTES]>::try_from(bytes(&page[0])).unwrap();
        (PageAddress::from_bytes(&address).unwrap(), bytes(&page[1]))
    });
    group.kept.head = Some(bytes(&frozen["head"]));
    group.kept.pages = pages.collect::<BTreeMap<_, _>>();
    group.kept.end = group.store.len();
    let mut restored = group.restart();
    restored.unpack(0..usize::MAX);
    assert!(!restored.must_reread(), "each page is what it says");
    assert_eq!(restored.state_hash().to_vec(), bytes(&frozen["state_hash"]));
    let shown: Vec<Value> = bodies(&restored).into_iter().map(Value::from).collect();
    assert_eq!(Value::from(shown), frozen["bodies"]);
    assert_eq!(restored.state_hash(), group.read_all().state_hash());
}
