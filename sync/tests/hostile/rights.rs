//! Who asks for what they have no right to.

use ed25519_dalek::Signer;
use khlong_crdt::admission::Rights;
use khlong_crdt::class::Class;
use khlong_crdt::id::AuthorKey;
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::session::output::Output;
use khlong_sync::session::proof::proof_bytes;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{Ack, Append, AppendAnswer, AppendOutcome, Frame, Prove};

use super::{ask, ready, subscribe};
use crate::support::pair::EXPORTER;
use crate::support::{author, change, key, timeline};

#[test]
fn an_append_to_another_timeline_than_the_proven_is_refused_and_the_rest_is_kept() {
    let mut pair = ready();
    let envelopes = vec![change(1, 1, 1), change(2, 1, 1), change(1, 1, 2)];
    let frames = {
        let now = pair.at();
        let append = Frame::Append(Append {
            request: 90,
            envelopes,
        });
        pair.server
            .handle(now, Input::Frame(append), &pair.relay.replica)
            .unwrap();
        let event = match pair.server.poll_output() {
            Some(Output::Event(event)) => event,
            other => panic!("{other:?}"),
        };
        let answers = pair.relay.on(event, now.wall);
        let mut frames = Vec::new();
        for answer in answers {
            pair.server
                .handle(now, answer, &pair.relay.replica)
                .unwrap();
        }
        while let Some(output) = pair.server.poll_output() {
            if let Output::Send(_, frame) = output {
                frames.push(frame);
            }
        }
        frames
    };
    let Frame::Ack(ack) = &frames[0] else {
        panic!("{frames:?}")
    };
    let unproven = AppendOutcome::Refused {
        code: ErrorCode::Unproven,
        retry_after_ms: None,
    };
    let outcomes = &ack.first.outcomes;
    assert_eq!(outcomes[1], unproven);
    assert!(outcomes[0].is_kept() && outcomes[2].is_kept());
    let kept = [change(1, 1, 1).id(), change(1, 1, 2).id()];
    let (relay, wall) = (&pair.relay, pair.at().wall);
    assert_eq!(
        ack.receipt,
        crate::support::short(&relay.receipt(&kept, wall))
    );
    assert_eq!(
        pair.relay.replica.len(Class::Text),
        2,
        "the other timeline never reached the hub"
    );
    // Nothing proven at all: answered without asking the hub.
    let append = Append {
        request: 91,
        envelopes: vec![change(2, 1, 1)],
    };
    let frames = ask(&mut pair, Frame::Append(append)).unwrap();
    let refused = Ack {
        first: AppendAnswer {
            request: 91,
            outcomes: vec![unproven],
        },
        further: Vec::new(),
        receipt: None,
    };
    assert_eq!(frames, [Frame::Ack(refused)]);
}

#[test]
fn an_author_that_is_not_proven_ends_the_connection() {
    let (timeline, author) = (timeline(1), author(2));
    let signature = |seed: u8, bytes: &[u8]| key(seed).sign(bytes).to_bytes();
    let other_timeline = crate::support::timeline(2);
    let claims = [
        // Signed by another key.
        signature(3, &proof_bytes(&EXPORTER, &timeline, &author)),
        // Of another connection: replayed.
        signature(2, &proof_bytes(&[1; 32], &timeline, &author)),
        // For another timeline.
        signature(2, &proof_bytes(&EXPORTER, &other_timeline, &author)),
        [0; 64],
    ];
    for signature in claims {
        let mut pair = ready();
        let error = ask(
            &mut pair,
            Frame::Prove(Prove {
                timeline,
                author,
                signature,
            }),
        );
        assert!(
            matches!(error, Err(SessionError::BadProof { .. })),
            "{error:?}"
        );
        assert!(pair.server.is_closed());
    }
    // A weak key accepts anybody's signature in some libraries.
    let weak = AuthorKey::ZERO;
    let mut pair = ready();
    let prove = Prove {
        timeline,
        author: weak,
        signature: [0; 64],
    };
    assert!(matches!(
        ask(&mut pair, Frame::Prove(prove)),
        Err(SessionError::BadProof { .. })
    ));
}

#[test]
fn a_proven_author_without_rights_reads_nothing() {
    let mut pair = ready();
    pair.relay
        .replica
        .grant(timeline(2), author(5), Rights::MEMBER);
    let wall = pair.at().wall;
    pair.relay.replica.append(&change(2, 5, 1), wall).unwrap();
    let (timeline, author) = (timeline(2), author(6));
    let signature = key(6)
        .sign(&proof_bytes(&EXPORTER, &timeline, &author))
        .to_bytes();
    ask(
        &mut pair,
        Frame::Prove(Prove {
            timeline,
            author,
            signature,
        }),
    )
    .unwrap();
    let frames = ask(&mut pair, subscribe(70, &[2], 0)).unwrap();
    for frame in frames {
        match frame {
            Frame::Subscribed(body) => {
                assert_eq!(body.refused, [(timeline, ErrorCode::NotAdmitted)]);
            }
            Frame::CaughtUp(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(!pair.server.watches(&timeline));
}
