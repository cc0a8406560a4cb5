//! Long lists that cost the client little: a subscribe is paid for by what it names.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, TimelineId};
use khlong_sync::limits::{
    CONTROL_FRAMES_BURST, PROOFS_PER_CONNECTION_MAX, TIMELINES_PER_SUBSCRIPTION_MAX,
};
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::session::output::Output;
use khlong_sync::wire;
use khlong_sync::wire::frame::{Frame, Subscribe, TimelineSubscription};
use support::pair::Pair;
use support::timeline;

fn ready() -> Pair {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    pair.assert_in_sync();
    pair
}

/// Names as many timelines as may be named, of none of which anything was proven.
fn subscribe_to_strangers(request: u64) -> Frame {
    let named = |n: usize| {
        let mut id = [9; 32];
        for (byte, from) in id.iter_mut().zip(n.to_be_bytes()) {
            *byte = from;
        }
        TimelineSubscription {
            timeline: TimelineId::from_bytes(id),
            backfill: Class::ALL
                .into_iter()
                .map(|class| (class, ArrivalSeq(0)))
                .collect(),
        }
    };
    Frame::Subscribe(Subscribe {
        request,
        cursors: Vec::new(),
        timelines: (0..TIMELINES_PER_SUBSCRIPTION_MAX).map(named).collect(),
        wake_up: None,
    })
}

#[test]
fn a_client_that_names_strangers_for_ever_is_cut_off_within_its_burst() {
    let mut pair = ready();
    let (mut answered, mut bytes) = (0, 0);
    for request in 10.. {
        let frame = Input::Frame(subscribe_to_strangers(request));
        let result = pair.server.handle(pair.at(), frame, &pair.relay.replica);
        while let Some(output) = pair.server.poll_output() {
            if let Output::Send(_, frame) = output {
                bytes += wire::encode(&frame).len();
            }
        }
        match result {
            Ok(()) => answered += 1,
            Err(error) => {
                assert!(matches!(error, SessionError::RateLimited), "{error:?}");
                break;
            }
        }
        assert!(answered < 1_000, "{bytes} bytes wait for one client");
    }
    assert_eq!(
        answered,
        CONTROL_FRAMES_BURST as usize / (TIMELINES_PER_SUBSCRIPTION_MAX + 1)
    );
    assert!(bytes < 4 << 20, "{bytes} bytes wait for one client");
}

#[test]
fn whoever_comes_back_with_all_that_it_may_have_is_within_the_burst() {
    let mut pair = ready();
    let spent = 2; // the proof and the subscribe of the fixture
    let left = CONTROL_FRAMES_BURST as usize - PROOFS_PER_CONNECTION_MAX - 2 * spent;
    assert!(left > TIMELINES_PER_SUBSCRIPTION_MAX);
    let frame = Input::Frame(subscribe_to_strangers(10));
    pair.server
        .handle(pair.at(), frame, &pair.relay.replica)
        .unwrap();
}
