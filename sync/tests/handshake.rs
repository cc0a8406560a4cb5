//! Versions, timeouts, keep-alive, good order.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_sync::limits::{HANDSHAKE_TIMEOUT_MS, KEEP_ALIVE_MS_DEFAULT, PROBE_SILENCE_MAX_MS};
use khlong_sync::session::Session;
use khlong_sync::session::config::{Role, SessionConfig};
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::session::output::{Event, Output};
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{Frame, Hello, Pong};
use support::pair::{Pair, speaking};
use support::{change, timeline};

fn config(versions: std::ops::RangeInclusive<u16>) -> SessionConfig {
    SessionConfig {
        versions,
        ..SessionConfig::default()
    }
}

#[test]
fn no_common_version_is_told_and_closes_both_sides() {
    for (client, server) in [(1..=1, 2..=3), (4..=9, 2..=3)] {
        let mut pair = Pair::new(&[timeline(1)]);
        pair.configure(config(client.clone()), config(server.clone()));
        pair.connect();
        pair.settle();
        match &pair.server_error {
            Some(SessionError::Version { theirs, ours }) => {
                assert_eq!((theirs, ours), (&client, &server));
            }
            other => panic!("{other:?}"),
        }
        assert!(
            matches!(
                &pair.client_error,
                Some(SessionError::Remote { code: ErrorCode::VersionUnsupported, message, .. })
                    if message.expose().contains("2..=3")
            ),
            "{:?}",
            pair.client_error
        );
        assert_eq!(
            pair.client_closed,
            Some(Some(ErrorCode::VersionUnsupported))
        );
        assert_eq!(
            pair.server_closed,
            Some(Some(ErrorCode::VersionUnsupported))
        );
        assert!(pair.client.is_closed() && pair.server.is_closed());
    }
}

#[test]
fn the_highest_common_version_is_chosen() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.configure(config(1..=7), config(1..=3));
    let mut client = Session::new(
        Role::Client {
            relay: support::relay(),
            token: Some(vec![1, 2].into()),
        },
        config(1..=7),
        Monotonic(0),
    );
    let mut server = Session::new(Role::Server, config(1..=3), Monotonic(0));
    let (hello, _) = first_frame(&mut client, &pair);
    server
        .handle(
            pair.at(),
            Input::Connected { exporter: [0; 32] },
            &pair.relay.replica,
        )
        .unwrap();
    server
        .handle(pair.at(), Input::Frame(hello), &pair.relay.replica)
        .unwrap();
    let answer = match server.poll_output() {
        Some(Output::Send(_, frame @ Frame::Hello(_))) => frame,
        other => panic!("{other:?}"),
    };
    match server.poll_output() {
        Some(Output::Event(Event::Ready { hello, version: 3 })) => {
            assert_eq!(hello.token, Some(vec![1, 2].into()));
            assert!(!format!("{hello:?}").contains("1, 2"), "it is shown");
        }
        other => panic!("{other:?}"),
    }
    client
        .handle(pair.at(), Input::Frame(answer), &pair.relay.replica)
        .unwrap();
    match client.poll_output() {
        Some(Output::Event(Event::Ready { hello, version: 3 })) => {
            assert_eq!(hello.relay_time, Some(pair.at().wall));
            assert_eq!(hello.log, Some((pair.relay.replica.log, 1)));
        }
        other => panic!("{other:?}"),
    }
    assert!(client.is_ready() && server.is_ready());
}

#[test]
fn a_server_that_chooses_what_was_not_offered_is_left() {
    for chosen in [2..=2, 1..=2] {
        let pair = Pair::new(&[]);
        let mut client = Session::new(
            Role::Client {
                relay: support::relay(),
                token: None,
            },
            config(1..=1),
            Monotonic(0),
        );
        let (hello, _) = first_frame(&mut client, &pair);
        let Frame::Hello(hello) = hello else {
            panic!("{hello:?}")
        };
        let answer = Hello {
            versions: chosen,
            log: Some((pair.relay.replica.log, 1)),
            ..hello
        };
        let error = client.handle(
            pair.at(),
            Input::Frame(Frame::Hello(answer)),
            &pair.relay.replica,
        );
        assert!(error.is_err());
        assert!(matches!(
            client.poll_output(),
            Some(Output::Send(_, Frame::Error(_)))
        ));
        assert!(matches!(client.poll_output(), Some(Output::Close { .. })));
        assert!(client.poll_output().is_none());
    }
}

fn first_frame(session: &mut Session, pair: &Pair) -> (Frame, Now) {
    let now = pair.at();
    session
        .handle(
            now,
            Input::Connected { exporter: [0; 32] },
            &pair.relay.replica,
        )
        .unwrap();
    match session.poll_output() {
        Some(Output::Send(_, frame)) => (frame, now),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_handshake_that_does_not_end_times_out_on_both_sides() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.link.cut_after = Some(0);
    pair.connect();
    pair.pass_ms(HANDSHAKE_TIMEOUT_MS - 1);
    assert!(pair.client_error.is_none() && pair.server_error.is_none());
    pair.pass_ms(1);
    assert!(matches!(
        pair.client_error,
        Some(SessionError::HandshakeTimeout)
    ));
    assert!(matches!(
        pair.server_error,
        Some(SessionError::HandshakeTimeout)
    ));
    assert!(pair.server_error.unwrap().is_retryable());
    assert_eq!(pair.client.next_deadline(), None);
}

#[test]
fn an_idle_connection_is_kept_alive_with_one_ping_an_interval() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    let before = pair.link.frames;
    pair.pass_ms(u64::from(KEEP_ALIVE_MS_DEFAULT) * 20 + 1_000);
    let frames = pair.link.frames - before;
    assert!(
        (38..=40).contains(&frames),
        "a ping and a pong an interval, not {frames}"
    );
    assert!(pair.client.is_ready() && pair.server.is_ready());
    pair.arrive(&[change(1, 2, 1)]);
    pair.settle();
    pair.assert_in_sync();
}

#[test]
fn the_smaller_keep_alive_counts_and_silence_closes_after_three() {
    let mut pair = Pair::new(&[timeline(1)]);
    let server = SessionConfig {
        keep_alive_ms: 5_000,
        ..SessionConfig::default()
    };
    pair.configure(SessionConfig::default(), server);
    pair.connect();
    pair.settle();
    pair.link.cut_after = Some(0);
    pair.pass_ms(14_900);
    assert!(pair.client_error.is_none() && pair.server_error.is_none());
    pair.pass_ms(200);
    assert!(matches!(pair.client_error, Some(SessionError::IdleTimeout)));
    assert!(matches!(pair.server_error, Some(SessionError::IdleTimeout)));
}

#[test]
fn who_asks_whether_the_relay_is_there_waits_for_its_answer() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    pair.give_client(Input::Probe);
    assert!(pair.client.is_probing());
    let asked = pair.link.frames;
    pair.give_client(Input::Probe);
    assert_eq!(pair.link.frames, asked, "one question is enough");
    pair.settle();
    assert!(!pair.client.is_probing());
    pair.pass_ms(u64::from(KEEP_ALIVE_MS_DEFAULT) * 4);
    assert!(pair.client.is_ready() && pair.server.is_ready());
}

#[test]
fn a_relay_that_is_silent_when_asked_is_left_after_ten_seconds() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    pair.link.cut_after = Some(0);
    pair.give_client(Input::Probe);
    pair.pass_ms(PROBE_SILENCE_MAX_MS - 1);
    assert!(pair.client.is_probing() && pair.client_error.is_none());
    pair.pass_ms(1);
    assert!(matches!(pair.client_error, Some(SessionError::IdleTimeout)));
    assert!(!pair.client.is_probing());
}

#[test]
fn a_relay_that_says_other_things_when_asked_is_kept_and_has_not_answered() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    pair.link.cut_after = Some(0);
    pair.give_client(Input::Probe);
    for _ in 0..4 {
        pair.pass_ms(PROBE_SILENCE_MAX_MS - 1);
        let of_another_question = Frame::Pong(Pong { nonce: 999 });
        pair.give_client(Input::Frame(of_another_question));
    }
    assert!(pair.client.is_ready() && pair.client.is_probing());
    pair.pass_ms(PROBE_SILENCE_MAX_MS);
    assert!(matches!(pair.client_error, Some(SessionError::IdleTimeout)));
}

#[test]
fn only_a_client_that_was_greeted_may_ask_whether_the_other_is_there() {
    let mut early = Pair::new(&[timeline(1)]);
    early.give_client(Input::Probe);
    assert!(matches!(
        early.client_error,
        Some(SessionError::Misuse { .. })
    ));
    let mut server = Pair::new(&[timeline(1)]);
    server.connect();
    server.settle();
    server.give_server(Input::Probe);
    assert!(matches!(
        server.server_error,
        Some(SessionError::Misuse { .. })
    ));
}

#[test]
fn goodbye_is_heard_and_ends_both() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    pair.give_server(Input::Close {
        code: Some(ErrorCode::ShuttingDown),
    });
    pair.settle();
    assert_eq!(pair.client_closed, Some(Some(ErrorCode::ShuttingDown)));
    assert!(pair.client_error.is_none() && pair.client.is_closed() && pair.server.is_closed());
    // What comes after the end is ignored.
    pair.give_server(Input::Timeout);
    pair.arrive(&[change(1, 2, 1)]);
    assert!(pair.server_error.is_none() && pair.member.received.is_empty());
}

#[test]
fn frames_of_a_later_version_are_skipped() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.give_server(Input::Frame(Frame::Unknown(40)));
    pair.settle();
    pair.give_client(Input::Frame(Frame::Unknown(33)));
    pair.give_server(Input::Frame(Frame::Unknown(99)));
    pair.arrive(&[change(1, 2, 1)]);
    pair.settle();
    pair.assert_in_sync();
}

#[test]
fn a_command_before_the_handshake_is_the_owners_mistake() {
    let pair = Pair::new(&[timeline(1)]);
    let mut client = Session::new(
        Role::Client {
            relay: support::relay(),
            token: None,
        },
        SessionConfig::default(),
        Monotonic(0),
    );
    let now = Now {
        monotonic: Monotonic(0),
        wall: UnixMillis(0),
    };
    let early = Input::Unsubscribe {
        timeline: timeline(1),
    };
    let error = client.handle(now, early, &pair.relay.replica).unwrap_err();
    assert!(matches!(error, SessionError::Misuse { .. }));
}

#[test]
fn old_and_new_speak_version_1_and_two_new_ones_version_2() {
    let carried = [(1, 1), (1, 2), (2, 1), (2, 2)].map(|(client, server)| {
        let mut pair = Pair::new(&[timeline(1)]);
        pair.configure(speaking(1..=client), speaking(1..=server));
        pair.arrive(&[change(1, 2, 1), change(1, 2, 2)]);
        pair.member.outbox = (1..=4).map(|seq| change(1, 1, seq)).collect();
        pair.connect();
        pair.settle();
        pair.arrive(&[change(1, 2, 3)]);
        pair.settle();
        pair.assert_in_sync();
        pair.link.carried
    });
    let [old, newer_server, newer_client, new] = carried;
    // The Hello of a client names what it offers; nothing else differs.
    assert_eq!((old, old), (newer_server, newer_client));
    assert!(new + 1_000 < old, "{new} of {old} bytes");
}
