//! Bytes that are no frame, or none in time.

use khlong_crdt::envelope::Kind;
use khlong_crdt::time::Monotonic;
use khlong_sync::limits::{
    FRAME_BYTES_MAX, PARTIAL_FRAME_TIMEOUT_MS, SUBSCRIPTIONS_PER_CONNECTION_MAX,
};
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::decoder::Decoder;
use khlong_sync::wire::frame::{Append, Frame, Subscribe, TimelineSubscription};
use khlong_sync::wire::{self, WireError};

use super::ready;
use crate::support::{envelope, timeline};

#[test]
fn an_oversize_length_is_refused_before_anything_is_allocated() {
    for announced in [FRAME_BYTES_MAX as u32 + 1, u32::MAX] {
        let mut decoder = Decoder::new();
        let error = decoder
            .push(Monotonic(0), &announced.to_be_bytes())
            .unwrap_err();
        assert!(matches!(error, WireError::Oversize { bytes } if bytes == u64::from(announced)));
        assert_eq!(error.code(), ErrorCode::LimitExceeded);
        // The session passes it on and closes.
        let mut pair = ready();
        pair.give_server(Input::Undecodable(error));
        pair.settle();
        assert_eq!(pair.server_closed, Some(Some(ErrorCode::LimitExceeded)));
        assert!(matches!(
            pair.client_error,
            Some(SessionError::Remote {
                code: ErrorCode::LimitExceeded,
                ..
            })
        ));
    }
}

#[test]
fn one_frame_with_too_many_timelines_is_not_decoded() {
    let timelines = (0..=SUBSCRIPTIONS_PER_CONNECTION_MAX)
        .map(|_| TimelineSubscription {
            timeline: timeline(1),
            backfill: Vec::new(),
        })
        .collect();
    let (request, cursors, wake_up) = (1, Vec::new(), None);
    let frame = Frame::Subscribe(Subscribe {
        request,
        cursors,
        timelines,
        wake_up,
    });
    assert!(matches!(
        wire::decode(&wire::encode(&frame)),
        Err(WireError::TooMany { .. })
    ));
    // 2 MiB of empty list entries: a million structs, if anybody decoded them.
    let mut bytes = vec![0x22, 0xfc, 0xff, 0x7f];
    bytes.extend([0x1a, 0x00].repeat((FRAME_BYTES_MAX - 4) / 2));
    assert!(matches!(
        wire::decode(&bytes),
        Err(WireError::TooMany { field: "body" })
    ));
    // The same one level deeper, in the one place where a list stands in a list.
    let mut bytes = vec![0x7a, 0xfc, 0xff, 0x7f, 0x22, 0xf8, 0xff, 0x7f];
    bytes.extend([0x12, 0x00].repeat((FRAME_BYTES_MAX - 8) / 2));
    assert!(matches!(
        wire::decode(&bytes),
        Err(WireError::TooMany { field: "body" })
    ));
}

#[test]
fn a_slow_loris_is_cut_off() {
    let bytes = wire::encode_framed(&Frame::Append(Append {
        request: 1,
        envelopes: vec![envelope(Kind::Change, timeline(1), 1, 1, &[0; 4_000])],
    }));
    let mut decoder = Decoder::new();
    assert_eq!(
        decoder.next_deadline(),
        None,
        "between frames nobody is slow"
    );
    let mut cut_at = None;
    for (second, byte) in bytes.iter().enumerate() {
        let now = Monotonic(second as u64 * 1_000_000);
        if decoder.check_deadline(now).is_err() {
            cut_at = Some(second as u64);
            break;
        }
        decoder.push(now, &[*byte]).unwrap();
        assert!(decoder.next_frame(now).unwrap().is_none());
    }
    let cut_at = cut_at.expect("a byte a second is too slow");
    assert!(
        (PARTIAL_FRAME_TIMEOUT_MS / 1_000..40).contains(&cut_at),
        "after {cut_at} s"
    );
    // A slow but honest link, at 4 KiB/s, gets a large frame through.
    let large = wire::encode_framed(&Frame::Append(Append {
        request: 1,
        envelopes: vec![envelope(Kind::Change, timeline(1), 1, 1, &[0; 250_000])],
    }));
    let mut decoder = Decoder::new();
    let mut whole = false;
    for (second, part) in large.chunks(4_096).enumerate() {
        let now = Monotonic(second as u64 * 1_000_000);
        decoder.check_deadline(now).unwrap();
        decoder.push(now, part).unwrap();
        whole = decoder.next_frame(now).unwrap().is_some();
    }
    assert!(
        whole && large.len() / 4_096 > 60,
        "it took longer than the flat timeout"
    );
    assert_eq!(decoder.next_deadline(), None);
}

#[test]
fn garbage_ends_the_connection_with_a_typed_error() {
    for garbage in [&b"GET / HTTP/1.1"[..], &[0xff; 64], &[], &[0x0a, 0xff]] {
        let error = wire::decode(garbage).unwrap_err();
        let mut pair = ready();
        pair.give_server(Input::Undecodable(error));
        assert!(matches!(pair.server_error, Some(SessionError::Wire(_))));
        assert!(pair.server.is_closed());
    }
}
