//! Snapshots with any bytes inside: what a disk, or a faulty program of ours, may have left.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::OnceLock;

use khlong_document::timeline::Timeline;
use khlong_document::timeline::page::PageAddress;

use crate::fuzzing::fuzz;
use crate::member::{blank_mali, everything, receive};

struct Kept {
    head: Vec<u8>,
    pages: BTreeMap<PageAddress, Vec<u8>>,
    state_hash: [u8; 32],
}

fn kept() -> &'static Kept {
    static KEPT: OnceLock<Kept> = OnceLock::new();
    KEPT.get_or_init(|| {
        let mut mali = blank_mali();
        receive(&mut mali, &everything());
        let snapshot = mali.snapshot().unwrap();
        Kept {
            head: snapshot.head,
            pages: snapshot.pages,
            state_hash: mali.state_hash(),
        }
    })
}

fuzz!(fuzz_snapshot, 300, parts(), restored);

/// Which part, 0 for the head, then what stands there.
fn parts() -> Vec<Vec<u8>> {
    let kept = kept();
    let parts = std::iter::once(&kept.head).chain(kept.pages.values());
    let numbered = (0_u8..).zip(parts);
    numbered
        .map(|(place, part)| [&[place][..], part].concat())
        .collect()
}

/// It is taken or not; if not, nothing is altered, and if it is, every reader can look at it.
fn restored(input: &[u8]) -> bool {
    let Some((place, part)) = input.split_first() else {
        return false;
    };
    let kept = kept();
    let (mut head, mut pages) = (kept.head.clone(), kept.pages.clone());
    let genuine = match usize::from(*place) % (pages.len() + 1) {
        0 => {
            head = part.to_vec();
            &kept.head
        }
        nth => {
            let (address, page) = kept.pages.iter().nth(nth - 1).unwrap();
            vouch(&mut head, page, part);
            pages.insert(*address, part.to_vec());
            page
        }
    };
    let mut mali = blank_mali();
    let is_taken = mali.restore(&head, &pages).is_ok();
    if !is_taken {
        receive(&mut mali, &everything());
        assert_eq!(mali.state_hash(), kept.state_hash);
        return false;
    }
    read_the_rest(&mut mali);
    mali.unpack(0..usize::MAX);
    if mali.must_reread() {
        read_the_rest(&mut mali);
    }
    assert!(mali.messages(0..usize::MAX).len() <= mali.message_count());
    let _ = mali.state();
    if part == genuine {
        assert_eq!(mali.state_hash(), kept.state_hash);
    }
    if let Ok(again) = mali.snapshot() {
        blank_mali().restore(&again.head, &again.pages).ok();
    }
    true
}

/// A head that names the part in place of the page.
fn vouch(head: &mut [u8], page: &[u8], part: &[u8]) {
    let hash = |bytes: &[u8]| blake3::derive_key("khlong.network 2026-11 page snapshot v1", bytes);
    let named = hash(page);
    let place = head.windows(32).position(|at| at == named).unwrap();
    head[place..place + 32].copy_from_slice(&hash(part));
}

/// As a start does: keys and permissions, what waited, and all of it where that is asked for.
fn read_the_rest(mali: &mut Timeline) {
    mali.reread(|open| {
        let _ = open.resume();
        Ok::<_, Infallible>(open.receive_all(everything()))
    })
    .unwrap();
}
