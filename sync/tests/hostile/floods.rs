//! Too much of everything.

use khlong_crdt::admission::Rights;
use khlong_crdt::class::Class;
use khlong_crdt::id::ArrivalSeq;
use khlong_sync::limits::{
    APPENDS_IN_FLIGHT_MAX, CONTROL_FRAMES_BURST, EPHEMERAL_FRAMES_BURST, FRAME_BYTES_MAX,
    SUBSCRIPTIONS_PER_CONNECTION_MAX,
};
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::wire;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{
    Append, Ephemeral, Frame, Ping, Prove, Pull, Subscribe, TimelineSubscription,
};

use super::{ask, ready, subscribe};
use crate::support::pair::EXPORTER;
use crate::support::{author, change, timeline};

#[test]
fn a_million_subscribes_end_at_the_rate_and_leave_nothing_behind() {
    let mut pair = ready();
    let mut answered = 0_u32;
    let mut error = None;
    for n in 0..1_000_000_u64 {
        match ask(&mut pair, subscribe(n, &[2, 3, 4], 0)) {
            Ok(frames) => {
                answered += 1;
                assert!(frames.len() <= 8, "each answer is bounded");
            }
            Err(e) => {
                error = Some(e);
                break;
            }
        }
    }
    assert!(
        matches!(error, Some(SessionError::RateLimited)),
        "{error:?}"
    );
    assert!(answered <= CONTROL_FRAMES_BURST);
    assert!(pair.server.is_closed() && !pair.server.watches(&timeline(2)));
}

#[test]
fn more_timelines_than_a_connection_may_have_are_refused_by_name() {
    let mut pair = ready();
    let ids: Vec<_> = (0..SUBSCRIPTIONS_PER_CONNECTION_MAX as u32)
        .map(|n| {
            let mut bytes = [8; 32];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            khlong_crdt::id::TimelineId::from_bytes(bytes)
        })
        .collect();
    let backfill = Class::ALL.map(|class| (class, ArrivalSeq(0))).to_vec();
    let sub = |timeline: &_| TimelineSubscription {
        timeline: *timeline,
        backfill: backfill.clone(),
    };
    let timelines: Vec<_> = ids.iter().map(sub).collect();
    for timeline in &ids {
        pair.relay.replica.grant(*timeline, author(1), Rights::READ);
    }
    let proofs: Vec<_> = ids
        .iter()
        .map(|id| pair.member.prove(*id, &EXPORTER))
        .collect();
    for proof in proofs {
        let Input::Prove {
            timeline,
            author,
            signature,
        } = proof
        else {
            panic!("{proof:?}")
        };
        ask(
            &mut pair,
            Frame::Prove(Prove {
                timeline,
                author,
                signature,
            }),
        )
        .unwrap();
    }
    let (request, cursors, wake_up) = (1, Vec::new(), None);
    let all = Frame::Subscribe(Subscribe {
        request,
        cursors,
        timelines,
        wake_up,
    });
    assert!(wire::encode(&all).len() <= FRAME_BYTES_MAX);
    let frames = ask(&mut pair, all).unwrap();
    // One is subscribed already, so the last one is over the limit.
    for frame in &frames[..1] {
        let Frame::Subscribed(body) = frame else {
            panic!("{frame:?}")
        };
        assert_eq!(body.refused.len(), 1);
        assert_eq!(body.refused[0].1, ErrorCode::LimitExceeded);
    }
}

#[test]
fn a_ping_flood_ends_at_the_rate() {
    let mut pair = ready();
    let flood = (0..=u64::from(CONTROL_FRAMES_BURST))
        .map(|nonce| ask(&mut pair, Frame::Ping(Ping { nonce })))
        .find_map(Result::err);
    assert!(matches!(flood, Some(SessionError::RateLimited)));
    // Pulls that free nothing are counted as well.
    let mut pair = ready();
    let pull = Pull {
        class: Class::Text,
        backfill: None,
        cursor: ArrivalSeq(u64::MAX),
    };
    let flood = (0..=CONTROL_FRAMES_BURST).find_map(|_| ask(&mut pair, Frame::Pull(pull)).err());
    assert!(matches!(flood, Some(SessionError::RateLimited)));
}

#[test]
fn an_ephemeral_flood_is_dropped_and_counted() {
    let mut pair = ready();
    for n in 0..1_000_u32 {
        let payload = n.to_be_bytes().to_vec();
        pair.give_server(Input::Frame(Frame::Ephemeral(Ephemeral {
            timeline: timeline(1),
            payload,
        })));
    }
    assert_eq!(pair.relay.ephemeral.len(), EPHEMERAL_FRAMES_BURST as usize);
    assert_eq!(
        pair.server.ephemeral_dropped(),
        1_000 - u64::from(EPHEMERAL_FRAMES_BURST)
    );
    // And of a timeline that is not proven, all of it.
    pair.pass_ms(60_000);
    let strange = Ephemeral {
        timeline: timeline(2),
        payload: vec![1],
    };
    pair.give_server(Input::Frame(Frame::Ephemeral(strange)));
    assert_eq!(pair.relay.ephemeral.len(), EPHEMERAL_FRAMES_BURST as usize);
    assert!(pair.server.is_ready(), "{:?}", pair.server_error);
}

#[test]
fn more_appends_in_flight_than_allowed_are_refused_for_later() {
    let mut pair = ready();
    for request in 0..APPENDS_IN_FLIGHT_MAX as u64 {
        let envelopes = vec![change(1, 1, request + 1)];
        assert!(
            ask(&mut pair, Frame::Append(Append { request, envelopes }))
                .unwrap()
                .is_empty()
        );
    }
    let append = Append {
        request: 99,
        envelopes: vec![change(1, 1, 50)],
    };
    let frames = ask(&mut pair, Frame::Append(append)).unwrap();
    let Frame::Error(error) = &frames[0] else {
        panic!("{frames:?}")
    };
    assert_eq!(
        (error.code, error.request),
        (ErrorCode::TooManyInFlight, Some(99))
    );
    assert!(error.code.is_retryable() && error.retry_after_ms.is_some());
    // The number of one that is in flight cannot be used again.
    let again = Append {
        request: 0,
        envelopes: vec![change(1, 1, 60)],
    };
    assert!(matches!(
        ask(&mut pair, Frame::Append(again)),
        Err(SessionError::Protocol { .. })
    ));
}
