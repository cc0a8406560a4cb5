//! Automerge changes as a member's own program could make them. Our own reader says which
//! of them Automerge sees; what it lets through has to build.

use khlong_document::timeline::pages::PagesEvent;
use sha2::{Digest, Sha256};

use crate::fuzzing::{Seeds, fuzz};
use crate::timeline_room::raw::{
    bytes, change, id, insert, message, messages, next, own, put, section,
};
use crate::timeline_room::{Replica, SMALL, assert_equal, author, text};

fuzz!(fuzz_chunk, 1_000, chunks(), chunk);

/// What Automerge writes, and a change without an operation, which nobody sends.
fn chunks() -> Seeds {
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
    let mut seeds = vec![first, second];
    let mut writer = Replica::new(0);
    for body in ["short", &"long ".repeat(60)] {
        let (_, sections) = writer.write(&[text(body)]);
        seeds.extend(sections.into_iter().flat_map(|section| section.changes));
    }
    Seeds::and(seeds, vec![bytes(change(me, Vec::new()))])
}

fn chunk(raw: &[u8]) -> bool {
    // As it is, and with a right checksum, so that Automerge looks at the rest.
    let mut summed = raw.to_vec();
    if raw.len() > 8 {
        let checksum = Sha256::digest(&raw[8..]);
        summed[4..8].copy_from_slice(&checksum[..4]);
    }
    let is_taken = merges_or_is_refused(raw);
    merges_or_is_refused(&summed);
    is_taken
}

/// Whether it merges.
fn merges_or_is_refused(raw: &[u8]) -> bool {
    let hostile = (author(0), vec![section(vec![raw.to_vec()])]);
    let good = Replica::with(1, SMALL).write(&[text("good")]);
    let mut reader = Replica::with(9, SMALL);
    let events = reader.read(&hostile);
    let is_refused = |event: &PagesEvent| matches!(event, PagesEvent::Refused { .. });
    let is_refused = events.iter().any(is_refused);
    if is_refused {
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
    !is_refused
}
