//! Acks: believed as a whole, and only if every request is in flight and the one receipt covers what was sent.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::id::ArrivalSeq;
use khlong_sync::replica::Replica;
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{Ack, AppendAnswer, AppendOutcome, ErrorFrame, Frame};
use support::pair::{Pair, speaking};
use support::{change, key, short, timeline, whole, whole_of};

fn ready() -> Pair {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    pair.assert_in_sync();
    pair
}

/// A client with one append in flight, and the ack that an honest relay would send.
fn in_flight() -> (Pair, Ack) {
    let mut pair = ready();
    pair.member.outbox = vec![change(1, 1, 1), change(1, 1, 2)];
    let envelopes = pair.member.outbox.clone();
    let ids: Vec<_> = envelopes.iter().map(|e| e.id()).collect();
    pair.give_client(Input::Append {
        request: 900,
        envelopes,
    });
    let receipt = whole(pair.relay.receipt(&ids, pair.at().wall));
    let stored = |n| AppendOutcome::Stored {
        arrival: ArrivalSeq(n),
    };
    (
        pair,
        Ack {
            first: AppendAnswer {
                request: 900,
                outcomes: vec![stored(1), stored(2)],
            },
            further: Vec::new(),
            receipt,
        },
    )
}

#[test]
fn an_honest_ack_is_believed() {
    for is_short in [false, true] {
        let (mut pair, mut ack) = in_flight();
        if is_short {
            ack.receipt = short(whole_of(&mut ack));
        }
        pair.give_client(Input::Frame(Frame::Ack(ack)));
        assert!(pair.client_error.is_none(), "{:?}", pair.client_error);
        assert_eq!(pair.member.stored.len(), 2);
    }
}

#[test]
fn a_short_receipt_has_no_place_in_version_1() {
    let (_, mut ack) = in_flight();
    ack.receipt = short(whole_of(&mut ack));
    let mut pair = Pair::new(&[timeline(1)]);
    pair.configure(speaking(1..=2), speaking(1..=1));
    pair.connect();
    pair.settle();
    pair.give_client(Input::Frame(Frame::Ack(ack)));
    let error = pair.client_error;
    assert!(
        matches!(error, Some(SessionError::Protocol { .. })),
        "{error:?}"
    );
}

#[test]
fn forged_acks_are_not_believed() {
    type Forge = fn(&mut Ack, &Pair);
    let forgeries: &[(&str, Forge)] = &[
        ("no receipt", |ack, _| ack.receipt = None),
        ("signature", |ack, _| whole_of(ack).signature[7] ^= 1),
        ("root", |ack, _| whole_of(ack).root[0] ^= 1),
        ("count", |ack, _| whole_of(ack).count = 1),
        ("date", |ack, _| whole_of(ack).received_at.0 += 1),
        ("fewer outcomes", |ack, _| ack.first.outcomes.truncate(1)),
        ("more outcomes", |ack, _| {
            ack.first.outcomes.push(ack.first.outcomes[0])
        }),
        ("another log", |ack, _| whole_of(ack).log_epoch = 9),
        ("other ids", |ack, pair| {
            ack.receipt = whole(pair.relay.receipt(&[change(1, 9, 9).id()], pair.at().wall));
        }),
        ("swapped ids", |ack, pair| {
            let ids = [change(1, 1, 2).id(), change(1, 1, 1).id()];
            ack.receipt = whole(pair.relay.receipt(&ids, pair.at().wall));
        }),
        ("another relay", |ack, pair| {
            let ids = [change(1, 1, 1).id(), change(1, 1, 2).id()];
            let (log, log_epoch) = pair.relay.replica.log();
            ack.receipt = whole(khlong_crdt::receipt::StoredReceipt::sign(
                &key(99),
                log,
                log_epoch,
                pair.at().wall,
                &ids,
            ));
        }),
        ("short, signature", |ack, _| {
            whole_of(ack).signature[7] ^= 1;
            ack.receipt = short(whole_of(ack));
        }),
        ("short, date", |ack, _| {
            whole_of(ack).received_at.0 += 1;
            ack.receipt = short(whole_of(ack));
        }),
        ("short, other ids", |ack, pair| {
            let receipt = pair.relay.receipt(&[change(1, 1, 1).id()], pair.at().wall);
            ack.receipt = short(&receipt);
        }),
        ("covers what it refuses", |ack, _| {
            let refused = AppendOutcome::Refused {
                code: ErrorCode::Busy,
                retry_after_ms: None,
            };
            ack.first.outcomes = vec![refused; 2];
        }),
    ];
    for (name, forge) in forgeries {
        let (mut pair, mut ack) = in_flight();
        forge(&mut ack, &pair);
        pair.give_client(Input::Frame(Frame::Ack(ack)));
        assert!(
            matches!(
                pair.client_error,
                Some(SessionError::ForgedAck { request: 900, .. })
            ),
            "{name}: {:?}",
            pair.client_error
        );
        assert!(pair.member.stored.is_empty(), "{name}");
        assert!(pair.client.is_closed());
    }
}

#[test]
fn a_replayed_ack_ends_the_connection() {
    let (mut pair, ack) = in_flight();
    pair.give_client(Input::Frame(Frame::Ack(ack.clone())));
    pair.give_client(Input::Frame(Frame::Ack(ack.clone())));
    assert!(matches!(
        pair.client_error,
        Some(SessionError::UnexpectedAck { request: 900 })
    ));
    // On the next connection the same number stands for other envelopes.
    let (mut pair, _) = in_flight();
    let mut replayed = ack;
    replayed.receipt = whole(StoredReceiptOf(whole_of(&mut replayed).clone()).other_root());
    pair.give_client(Input::Frame(Frame::Ack(replayed)));
    assert!(matches!(
        pair.client_error,
        Some(SessionError::ForgedAck { .. })
    ));
    // An error for a request that nobody made is no better.
    let mut pair = ready();
    let (code, message) = (ErrorCode::Busy, String::new());
    let error = ErrorFrame {
        code,
        request: Some(4),
        message,
        retry_after_ms: None,
    };
    pair.give_client(Input::Frame(Frame::Error(error)));
    assert!(matches!(
        pair.client_error,
        Some(SessionError::UnexpectedAck { request: 4 })
    ));
}

struct StoredReceiptOf(khlong_crdt::receipt::StoredReceipt);

impl StoredReceiptOf {
    /// A true receipt, of the relay, over other ids.
    fn other_root(self) -> khlong_crdt::receipt::StoredReceipt {
        let ids = [change(1, 1, 3).id(), change(1, 1, 4).id()];
        khlong_crdt::receipt::StoredReceipt::sign(
            &support::relay_key(),
            self.0.log,
            self.0.log_epoch,
            self.0.received_at,
            &ids,
        )
    }
}

/// A client with two appends in flight, and the one ack of the commit that decided both.
fn two_in_flight() -> (Pair, Ack) {
    let mut pair = ready();
    pair.member.outbox = vec![change(1, 1, 1), change(1, 1, 2), change(1, 1, 3)];
    let (first, further) = (
        vec![change(1, 1, 1)],
        vec![change(1, 1, 2), change(1, 1, 3)],
    );
    for (request, envelopes) in [(900, first), (901, further)] {
        pair.give_client(Input::Append { request, envelopes });
    }
    let ids = [1, 2, 3].map(|seq| change(1, 1, seq).id());
    let receipt = whole(pair.relay.receipt(&ids, pair.at().wall));
    let (first, further) = (answer(900, 1..2), answer(901, 2..4));
    let further = vec![further];
    (
        pair,
        Ack {
            first,
            further,
            receipt,
        },
    )
}

fn answer(request: u64, arrivals: std::ops::Range<u64>) -> AppendAnswer {
    let outcomes = arrivals.map(|n| AppendOutcome::Stored {
        arrival: ArrivalSeq(n),
    });
    AppendAnswer {
        request,
        outcomes: outcomes.collect(),
    }
}

#[test]
fn one_ack_answers_several_appends() {
    let (mut pair, ack) = two_in_flight();
    pair.give_client(Input::Frame(Frame::Ack(ack)));
    assert!(pair.client_error.is_none(), "{:?}", pair.client_error);
    assert_eq!(pair.member.stored.len(), 3);
    assert!(pair.member.outbox.is_empty());
}

#[test]
fn an_ack_of_several_appends_is_believed_as_a_whole_or_not_at_all() {
    type Forge = fn(&mut Ack, &Pair);
    type Expected = fn(&SessionError) -> bool;
    let unexpected: Expected = |error| matches!(error, SessionError::UnexpectedAck { .. });
    let forged: Expected = |error| matches!(error, SessionError::ForgedAck { .. });
    let cases: &[(&str, Forge, Expected)] = &[
        (
            "names the first request twice",
            |ack, pair| {
                ack.further = vec![answer(900, 1..2)];
                let ids = [change(1, 1, 1).id(), change(1, 1, 1).id()];
                ack.receipt = whole(pair.relay.receipt(&ids, pair.at().wall));
            },
            unexpected,
        ),
        (
            "names a further request twice",
            |ack, _| ack.further.push(answer(901, 2..4)),
            unexpected,
        ),
        (
            "names a request that is not in flight",
            |ack, _| ack.further[0].request = 902,
            unexpected,
        ),
        (
            "nothing kept, of a request that is not in flight",
            |ack, _| ack.further.push(answer(902, 0..0)),
            unexpected,
        ),
        (
            "a receipt over the first request alone",
            |ack, pair| {
                let ids = [change(1, 1, 1).id()];
                ack.receipt = whole(pair.relay.receipt(&ids, pair.at().wall));
            },
            forged,
        ),
        (
            "a receipt over the further request first",
            |ack, pair| {
                let ids = [2, 3, 1].map(|seq| change(1, 1, seq).id());
                ack.receipt = whole(pair.relay.receipt(&ids, pair.at().wall));
            },
            forged,
        ),
        (
            "a receipt over other ids",
            |ack, pair| {
                let ids = [1, 2, 4].map(|seq| change(1, 1, seq).id());
                ack.receipt = whole(pair.relay.receipt(&ids, pair.at().wall));
            },
            forged,
        ),
        (
            "fewer outcomes in the further request",
            |ack, _| ack.further[0].outcomes.truncate(1),
            forged,
        ),
        (
            "outcomes moved from one request to the other",
            |ack, _| {
                let moved = ack.further[0].outcomes.remove(0);
                ack.first.outcomes.push(moved);
            },
            forged,
        ),
        (
            "an answer less than its receipt covers",
            |ack, _| ack.further.clear(),
            forged,
        ),
        ("no receipt", |ack, _| ack.receipt = None, forged),
    ];
    for (name, forge, expected) in cases {
        let (mut pair, mut ack) = two_in_flight();
        forge(&mut ack, &pair);
        pair.give_client(Input::Frame(Frame::Ack(ack)));
        let error = pair.client_error.as_ref();
        assert!(error.is_some_and(expected), "{name}: {error:?}");
        assert!(pair.member.stored.is_empty(), "{name}");
        assert_eq!(pair.member.outbox.len(), 3, "{name}");
        assert!(pair.client.is_closed());
    }
}

#[test]
fn a_commit_of_several_appends_is_one_ack_on_the_wire() {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.relay.gathers = true;
    pair.member.outbox = (1..=8).map(|seq| change(1, 1, seq)).collect();
    pair.member.envelopes_per_append = 1;
    pair.connect();
    pair.settle();
    assert_eq!(pair.relay.gathered.len(), 8, "as many as may be in flight");
    assert!(pair.member.stored.is_empty(), "nothing before the commit");
    pair.commit();
    pair.settle();
    pair.assert_in_sync();
    assert_eq!(pair.member.stored.len(), 8);
}

#[test]
fn a_server_cannot_answer_what_nobody_asked() {
    let misused = |answers| {
        let mut pair = Pair::new(&[timeline(1)]);
        pair.relay.gathers = true;
        pair.member.outbox = vec![change(1, 1, 1)];
        pair.connect();
        pair.settle();
        let receipt = None;
        pair.give_server(Input::Acknowledge { answers, receipt });
        matches!(pair.server_error, Some(SessionError::Misuse { .. }))
    };
    let request = {
        let mut pair = Pair::new(&[timeline(1)]);
        pair.relay.gathers = true;
        pair.member.outbox = vec![change(1, 1, 1)];
        pair.connect();
        pair.settle();
        pair.relay.gathered[0].0
    };
    assert!(!misused(vec![answer(request, 1..2)]));
    assert!(misused(Vec::new()));
    assert!(misused(vec![answer(request, 1..2), answer(request, 1..2)]));
    assert!(misused(vec![answer(request, 1..2), answer(77, 1..2)]));
    assert!(misused(vec![answer(request, 1..3)]));
}
