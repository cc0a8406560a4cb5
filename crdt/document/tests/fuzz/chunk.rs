//! Automerge changes as a member's own program could make them. Our own reader says which
//! of them Automerge sees; what it lets through has to build.

use khlong_document::timeline::pages::PagesEvent;
use sha2::{Digest, Sha256};

use crate::fuzzing::fuzz;
use crate::timeline_room::raw::{
    bytes, change, id, insert, message, messages, next, own, put, section,
};
use crate::timeline_room::{Replica, SMALL, assert_equal, author, text};

fuzz!(fuzz_chunk, 1_000, chunks(), chunk);

fn chunks() -> Vec<Vec<u8>> {
    let me = author(0);
    let two = [
        message(me, "one"),
        vec![
            insert(2, Some(id(6, me))),
            put(own(8, me), "b", "two"),
            put(own(8, me), "t", 5_i64),
        ],
    ]
    .concat();
    let first = bytes(change(me, two));
    let second = next(me, 2, &first, |at| messages(me, at, 3));
    let mut seeds = vec![first, second, bytes(change(me, Vec::new()))];
    let mut writer = Replica::new(0);
    for body in ["short", &"long ".repeat(60)] {
        let (_, sections) = writer.write(&[text(body)]);
        seeds.extend(sections.into_iter().flat_map(|section| section.changes));
    }
    seeds
}

fn chunk(raw: &[u8]) {
    // As it is, and with a right checksum, so that Automerge looks at the rest.
    let mut summed = raw.to_vec();
    if raw.len() > 8 {
        let checksum = Sha256::digest(&raw[8..]);
        summed[4..8].copy_from_slice(&checksum[..4]);
    }
    for raw in [raw, &summed] {
        merges_or_is_refused(raw);
    }
}

fn merges_or_is_refused(raw: &[u8]) {
    let hostile = (author(0), vec![section(vec![raw.to_vec()])]);
    let good = Replica::with(1, SMALL).write(&[text("good")]);
    let mut reader = Replica::with(9, SMALL);
    let events = reader.read(&hostile);
    let is_refused = |event: &PagesEvent| matches!(event, PagesEvent::Refused { .. });
    if events.iter().any(is_refused) {
        assert_eq!(reader.pages.page_count(), 0, "nothing was applied");
    }
    for (_, document) in reader.pages.documents().unwrap() {
        document.save();
    }
    reader.read(&good);
    assert!(reader.bodies().contains(&"good".to_owned()));
    let mut other = Replica::with(8, SMALL);
    other.read(&good);
    other.read(&hostile);
    assert_equal(&reader, &other);
}
