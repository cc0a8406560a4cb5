//! What does not fit, and what fits and is wrong.

use std::collections::BTreeMap;

use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::page::PageAddress;
use khlong_document::timeline::snapshot::SnapshotError;

use crate::group::{Group, READER, feed, text};
use crate::said;

#[test]
fn what_does_not_fit_is_not_taken_and_alters_nothing() {
    let mut group = said();
    let early = group.members[READER].snapshot().unwrap();
    group.members[READER].note_saved(&early);
    group.write(0, text("later".into(), None));
    group.deliver(group.sent.len() - 1);
    let late = group.members[READER].snapshot().unwrap();
    let mut pages = early.pages.clone();
    pages.extend(late.pages.clone());
    let taken = |head: &[u8], pages: &BTreeMap<PageAddress, Vec<u8>>| {
        let mut timeline = group.blank();
        let taken = timeline.restore(head, pages);
        if taken.is_err() {
            assert!(timeline.resume().is_none());
            feed(&mut timeline, &group.store);
            assert_eq!(timeline.message_count(), 31);
        }
        taken
    };
    assert_eq!(taken(&late.head, &pages), Ok(()));
    // Pages and head of different times.
    assert_eq!(taken(&late.head, &early.pages), Err(SnapshotError::Page));
    assert_eq!(taken(&early.head, &pages), Err(SnapshotError::Page));
    assert_eq!(
        taken(&late.head, &BTreeMap::new()),
        Err(SnapshotError::Page)
    );
    let mut newer = late.head.clone();
    newer[0] += 1;
    assert_eq!(taken(&newer, &pages), Err(SnapshotError::Version));
    let mut of_other_limits = late.head.clone();
    of_other_limits[8] ^= 1;
    assert_eq!(taken(&of_other_limits, &pages), Err(SnapshotError::Version));
    let mut of_another = late.head.clone();
    of_another[30] ^= 1;
    assert_eq!(taken(&of_another, &pages), Err(SnapshotError::Device));
    for length in (0..late.head.len()).step_by(7) {
        let cut = taken(&late.head[..length], &pages);
        assert_eq!(cut, Err(SnapshotError::Malformed), "{length}");
    }
    let longer = [&late.head[..], &[0]].concat();
    assert_eq!(taken(&longer, &pages), Err(SnapshotError::Malformed));
    for (address, page) in &pages {
        let mut spoilt = pages.clone();
        let mut bytes = page.clone();
        bytes[page.len() / 2] ^= 4;
        spoilt.insert(*address, bytes);
        assert_eq!(taken(&late.head, &spoilt), Err(SnapshotError::Page));
    }
}

/// A head that names `page` with the hash of its bytes as they are.
fn vouch(head: &[u8], page: &[u8], altered: &[u8]) -> Vec<u8> {
    let hash = |bytes: &[u8]| blake3::derive_key("khlong.network 2026-11 page snapshot v1", bytes);
    let named = hash(page);
    let place = head.windows(32).position(|at| at == named).unwrap();
    let mut head = head.to_vec();
    head[place..place + 32].copy_from_slice(&hash(altered));
    head
}

/// A reader that is given the altered page, and then all that a reader is given who shows
/// everything.
fn read_with(
    group: &Group,
    address: PageAddress,
    altered: Vec<u8>,
) -> Result<usize, SnapshotError> {
    let head = group.kept.head.as_ref().unwrap();
    let mut pages = group.kept.pages.clone();
    let page = pages.insert(address, altered).unwrap();
    let head = vouch(head, &page, &pages[&address]);
    let mut timeline = group.blank();
    timeline.restore(&head, &pages)?;
    timeline
        .reread(|open| {
            let given = match open.resume() {
                Some(parked) => group.rest(&parked),
                None => group.store.clone(),
            };
            Ok::<_, std::convert::Infallible>(open.receive_all(given))
        })
        .unwrap();
    timeline.unpack(0..usize::MAX);
    if timeline.must_reread() {
        feed(&mut timeline, &group.store);
    }
    assert_eq!(timeline.state_hash(), group.members[READER].state_hash());
    Ok(timeline.messages(0..usize::MAX).len())
}

#[test]
fn a_page_that_unpacks_to_something_else_is_read_from_the_envelopes() {
    let mut group = said();
    group.write(0, Draft::Title("canal".to_owned()));
    group.deliver(group.sent.len() - 1);
    group.keep();
    let pages = group.kept.pages.clone();
    let count = group.members[READER].message_count();
    // The last page of messages is unpacked by who looks at it, the state by every start.
    let of_state = *pages.keys().next_back().unwrap();
    let of_messages = *pages
        .keys()
        .rev()
        .find(|it| it.kind != of_state.kind)
        .unwrap();
    let spoilt = |address: &PageAddress| {
        let mut page = pages[address].clone();
        page[12] ^= 0xff; // within the packed bytes
        page
    };
    assert_eq!(
        read_with(&group, of_messages, spoilt(&of_messages)),
        Ok(count)
    );
    let state = read_with(&group, of_state, spoilt(&of_state));
    assert_eq!(state, Err(SnapshotError::Page));
    for (address, page) in &pages {
        let cut = page[..page.len() - 1].to_vec();
        let longer = [&page[..], &[0]].concat();
        for altered in [cut, longer] {
            let read = read_with(&group, *address, altered);
            assert_eq!(read, Err(SnapshotError::Malformed));
        }
    }
}
