//! The link dies at every single byte of a session; the next connection leaves nothing lost and nothing twice.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::envelope::Kind;
use support::pair::Pair;
use support::{change, envelope, timeline};

/// A backfill, a merged timeline with a cursor, an upload, and live entries.
fn scene() -> Pair {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.arrive(&[change(1, 2, 1)]);
    pair.connect();
    pair.settle();
    pair.assert_in_sync();
    pair.arrive(&[
        change(1, 2, 2),
        envelope(Kind::KeyOp, timeline(1), 2, 3, b"key"),
    ]);
    pair.member.outbox = vec![change(1, 1, 1)];
    pair
}

fn run(pair: &mut Pair, cut_after: Option<usize>) {
    pair.reconnect_with(cut_after);
    pair.settle();
    pair.arrive(&[change(1, 2, 4)]);
    pair.settle();
}

fn cut_everywhere(remainder: usize) {
    let mut whole = scene();
    run(&mut whole, None);
    whole.assert_in_sync();
    let bytes = whole.link.carried;
    assert!(bytes > 1_500, "the scene says something: {bytes} bytes");
    for cut_after in (0..bytes).filter(|byte| byte % 4 == remainder) {
        let mut pair = scene();
        run(&mut pair, Some(cut_after));
        assert!(
            pair.link.is_cut() && pair.link.carried == cut_after,
            "the cut fired"
        );
        assert!(pair.client_error.is_none() && pair.server_error.is_none());
        pair.reconnect_with(None);
        pair.settle();
        pair.assert_in_sync();
        assert_eq!(pair.member.stored.len(), 1, "cut after {cut_after}");
        assert_eq!(pair.member.received.len(), whole.member.received.len());
    }
}

#[test]
fn every_byte_boundary_first_quarter() {
    cut_everywhere(0);
}

#[test]
fn every_byte_boundary_second_quarter() {
    cut_everywhere(1);
}

#[test]
fn every_byte_boundary_third_quarter() {
    cut_everywhere(2);
}

#[test]
fn every_byte_boundary_fourth_quarter() {
    cut_everywhere(3);
}

#[test]
fn a_first_backfill_is_cut_at_many_places_and_resumes_where_it_was() {
    let mut bytes = 1;
    let mut cuts = 0;
    loop {
        let mut pair = Pair::new(&[timeline(1), timeline(2)]);
        let past: Vec<_> = (1..=3)
            .flat_map(|seq| [change(1, 2, seq), change(2, 2, seq)])
            .collect();
        pair.arrive(&past);
        pair.reconnect_with(Some(bytes));
        pair.settle();
        pair.arrive(&[change(1, 2, 4), change(2, 2, 4)]);
        let done = !pair.link.is_cut();
        pair.settle();
        pair.reconnect_with(None);
        pair.settle();
        pair.assert_in_sync();
        if done {
            break;
        }
        cuts += 1;
        bytes += 23;
    }
    assert!(cuts > 50, "{cuts}");
}

#[test]
fn random_cuts_delays_and_overtaking_lanes_converge() {
    for seed in 0..25_u64 {
        let mut pair = Pair::new(&[timeline(1), timeline(2)]);
        let mut cut = 100 + seed as usize * 37;
        for round in 1..=8_u64 {
            pair.arrive(&[change(1, 2, round), change(2, 3, round)]);
            pair.member.outbox.push(change(1, 1, round));
            pair.reconnect_with(Some(cut));
            pair.link.jitter_ms = 1 + seed * 11;
            pair.pass_ms(200);
            pair.arrive(&[change(2, 2, round)]);
            pair.pass_ms(500);
            cut += 211;
        }
        pair.reconnect_with(None);
        pair.settle();
        pair.assert_in_sync();
        assert_eq!(pair.member.stored.len(), 8);
    }
}
