//! What one connection can make a server do with proofs: it judges little, and
//! never verifies what it knows.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::cell::Cell;

use ed25519_dalek::Signer as _;
use khlong_crdt::admission::Rights;
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, AuthorKey, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_sync::limits::PROOFS_PER_TIMELINE_MAX;
use khlong_sync::replica::{Arrival, AuthorHeight, Replica, ReplicaError, TransferTotals, Verdict};
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::session::output::Output;
use khlong_sync::session::proof::{CheckedProof, proof_bytes};
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{Frame, Prove, Proved, Subscribe, TimelineSubscription};
use support::pair::{EXPORTER, Pair};
use support::replica::MemoryReplica;
use support::{author, key, timeline};

/// Counts the judgements: on a real store each one of an unknown timeline is a scan.
struct Counting<'r> {
    replica: &'r MemoryReplica,
    judged: Cell<usize>,
}

impl<'r> Counting<'r> {
    fn new(replica: &'r MemoryReplica) -> Self {
        let judged = Cell::new(0);
        Self { replica, judged }
    }
}

impl Replica for Counting<'_> {
    fn log(&self) -> (khlong_crdt::id::LogId, u32) {
        self.replica.log()
    }

    fn head(&self, class: Class) -> Result<Cursor, ReplicaError> {
        self.replica.head(class)
    }

    fn cursor_at(&self, class: Class, seq: ArrivalSeq) -> Result<Option<Cursor>, ReplicaError> {
        self.replica.cursor_at(class, seq)
    }

    fn timeline_head(&self, tl: TimelineId, class: Class) -> Result<ArrivalSeq, ReplicaError> {
        self.replica.timeline_head(tl, class)
    }

    fn entries(
        &self,
        tl: TimelineId,
        class: Class,
        after: ArrivalSeq,
        up_to: ArrivalSeq,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Arrival>, ReplicaError> {
        self.replica
            .entries(tl, class, after, up_to, entries_max, bytes_max)
    }

    fn totals(
        &self,
        tl: TimelineId,
        class: Class,
        after: ArrivalSeq,
    ) -> Result<TransferTotals, ReplicaError> {
        self.replica.totals(tl, class, after)
    }

    fn heights(&self, tl: TimelineId) -> Result<Vec<AuthorHeight>, ReplicaError> {
        self.replica.heights(tl)
    }

    fn judge(
        &self,
        tl: TimelineId,
        author: &AuthorKey,
        right: Rights,
        at: UnixMillis,
    ) -> Result<Verdict, ReplicaError> {
        self.judged.set(self.judged.get() + 1);
        self.replica.judge(tl, author, right, at)
    }
}

fn ready() -> Pair {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    pair.assert_in_sync();
    pair
}

fn proof(n: u8, seed: u8) -> Prove {
    let (timeline, author) = (timeline(n), author(seed));
    let message = proof_bytes(&EXPORTER, &timeline, &author);
    Prove {
        timeline,
        author,
        signature: key(seed).sign(&message).to_bytes(),
    }
}

fn give(pair: &mut Pair, input: Input, replica: &dyn Replica) -> Result<Vec<Frame>, SessionError> {
    let result = pair.server.handle(pair.at(), input, replica);
    let mut frames = Vec::new();
    while let Some(output) = pair.server.poll_output() {
        if let Output::Send(_, frame) = output {
            frames.push(frame);
        }
    }
    result.map(|()| frames)
}

fn subscribe(n: u8) -> Input {
    let every = Class::ALL.into_iter().map(|class| (class, ArrivalSeq(0)));
    Input::Frame(Frame::Subscribe(Subscribe {
        request: 9,
        cursors: Vec::new(),
        timelines: vec![TimelineSubscription {
            timeline: timeline(n),
            backfill: every.collect(),
        }],
        wake_up: None,
    }))
}

#[test]
fn a_timeline_that_is_not_here_is_asked_for_once_however_many_keys_were_proven() {
    let mut pair = ready();
    let replica = pair.relay.replica.clone();
    let counting = Counting::new(&replica);
    for seed in 1..=16 {
        let input = Input::Frame(Frame::Prove(proof(7, seed)));
        give(&mut pair, input, &counting).unwrap();
    }
    let frames = give(&mut pair, subscribe(7), &counting).unwrap();
    let refused: Vec<_> = frames
        .iter()
        .filter_map(|frame| match frame {
            Frame::Subscribed(body) => Some(body.refused.as_slice()),
            _ => None,
        })
        .collect();
    let unknown = [(timeline(7), ErrorCode::UnknownTimeline)];
    assert_eq!(refused, [&unknown[..]; 4]);
    assert_eq!(counting.judged.get(), 1, "each is a scan of the store");
}

#[test]
fn a_connection_proves_so_many_keys_of_a_timeline_and_no_more() {
    let mut pair = ready();
    let replica = pair.relay.replica.clone();
    let many = u8::try_from(PROOFS_PER_TIMELINE_MAX).unwrap();
    for seed in 1..=many {
        for _ in 0..2 {
            let input = Input::Frame(Frame::Prove(proof(1, seed)));
            give(&mut pair, input, &replica).unwrap();
        }
    }
    let elsewhere = Input::Frame(Frame::Prove(proof(2, many + 1)));
    give(&mut pair, elsewhere, &replica).unwrap();
    let input = Input::Frame(Frame::Prove(proof(1, many + 1)));
    let error = give(&mut pair, input, &replica).unwrap_err();
    assert!(
        matches!(error, SessionError::Limit { .. }),
        "one key too many: {error:?}"
    );
}

#[test]
fn what_is_proven_is_not_verified_again() {
    let mut pair = ready();
    let replica = pair.relay.replica.clone();
    let mut again = proof(1, 1);
    again.signature = [0; 64];
    let proved = Frame::Proved(Proved {
        timeline: again.timeline,
        author: again.author,
    });
    // Only a server that verifies it finds that the signature is none.
    let answer = give(&mut pair, Input::Frame(Frame::Prove(again)), &replica).unwrap();
    assert_eq!(answer, [proved]);
}

#[test]
fn a_proof_that_was_checked_before_the_queue_counts_for_its_own_connection_only() {
    for (exporter, holds) in [(EXPORTER, true), ([78; 32], false)] {
        let mut pair = ready();
        let replica = pair.relay.replica.clone();
        let mut prove = proof(3, 4);
        if !holds {
            // It holds where it was checked: on another connection.
            let message = proof_bytes(&exporter, &prove.timeline, &prove.author);
            prove.signature = key(4).sign(&message).to_bytes();
        }
        let checked = CheckedProof::new(prove, &exporter);
        let answer = give(&mut pair, Input::Proof(checked), &replica);
        assert_eq!(answer.is_ok(), holds, "{answer:?}");
        assert_eq!(pair.server.is_proven(&timeline(3)), holds);
    }
    let mut pair = ready();
    let replica = pair.relay.replica.clone();
    let mut wrong = proof(3, 4);
    wrong.signature[0] ^= 1;
    let checked = CheckedProof::new(wrong, &EXPORTER);
    let error = give(&mut pair, Input::Proof(checked), &replica).unwrap_err();
    assert!(matches!(error, SessionError::BadProof { .. }), "{error:?}");
}
